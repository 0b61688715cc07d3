// Numbered work on several threads.
#include "train/data/parallel.h"

#include <atomic>
#include <vector>

#include <gtest/gtest.h>

#include "sample_files.h"
#include "train/error.h"

namespace strata::data {
namespace {

TEST(ForEachItem, DoesEachItemOnce) {
  for (const int threads : {1, 2, 7}) {
    std::vector<std::atomic<int>> counts(100);
    for_each_item(100, threads, [&](int64_t i) { ++counts[static_cast<size_t>(i)]; });
    for (const auto& count : counts) EXPECT_EQ(count, 1);
  }
}

TEST(ForEachItem, NoItemsNoWork) {
  for_each_item(0, 4, [](int64_t) { FAIL(); });
}

TEST(ForEachItem, FirstFailureIsReportedAndTheRestIsLeft) {
  for (const int threads : {1, 4}) {
    std::atomic<int> done = 0;
    EXPECT_EQ(error_of([&] {
                for_each_item(100'000, threads, [&](int64_t i) {
                  ++done;
                  if (i >= 10) throw Error("item " + std::to_string(i));
                });
              }),
              "item 10");
    EXPECT_LT(done, 1000);
  }
}

}  // namespace
}  // namespace strata::data
