// Rows are ordered, none is lost, and those of a bundle have like counts.
#include "runtime/row_bundles.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace strata::runtime {
namespace {

/// Steps of all runs of all bundles.
uint32_t steps(const std::vector<uint32_t>& counts, size_t runs, size_t bundle,
               const std::vector<uint32_t>& rows) {
  uint32_t sum = 0;
  for (size_t first = 0; first < rows.size(); first += bundle) {
    for (size_t run = 0; run < runs; ++run) {
      uint32_t most = 0;
      for (size_t r = 0; r < bundle; ++r) {
        most = std::max(most, counts[rows[first + r] * runs + run]);
      }
      sum += most;
    }
  }
  return sum;
}

RC_GTEST_PROP(RowBundles, EveryRowStandsSomewhere, ()) {
  const auto bundle = *rc::gen::element<size_t>(1, 2, 4);
  const auto runs = *rc::gen::inRange<size_t>(1, 8);
  const size_t size = *rc::gen::inRange<size_t>(0, 50) * bundle;
  const auto counts =
      *rc::gen::container<std::vector<uint32_t>>(size * runs, rc::gen::inRange<uint32_t>(0, 20));
  std::vector<uint32_t> rows(size);
  order_rows(counts, static_cast<int64_t>(runs), static_cast<int64_t>(bundle), rows);
  std::sort(rows.begin(), rows.end());
  std::vector<uint32_t> all(size);
  std::iota(all.begin(), all.end(), 0U);
  RC_ASSERT(rows == all);
}

TEST(RowBundles, RowsOfOneRunStandByTheirCounts) {
  const std::vector<uint32_t> counts = {3, 9, 1, 7, 0, 9, 2, 8};
  std::vector<uint32_t> rows(8);
  order_rows(counts, 1, 4, rows);
  EXPECT_EQ(rows, (std::vector<uint32_t>{1, 5, 7, 3, 0, 6, 2, 4}));
}

TEST(RowBundles, RowsThatAreAlikeInAllRunsMeet) {
  // Two kinds of rows with the same totals.
  const std::vector<uint32_t> counts = {8, 0, 0, 8, 8, 0, 0, 8, 8, 0, 0, 8, 8, 0, 0, 8};
  std::vector<uint32_t> rows(8);
  order_rows(counts, 2, 4, rows);
  EXPECT_EQ(rows, (std::vector<uint32_t>{0, 2, 4, 6, 1, 3, 5, 7}));
}

TEST(RowBundles, LittleIsAddedToRandomRows) {
  constexpr size_t kRows = 256;
  for (const size_t runs : {size_t{1}, size_t{2}, size_t{3}}) {
    std::mt19937 random(7);
    std::binomial_distribution<uint32_t> taps(128, 0.1);
    std::vector<uint32_t> counts(kRows * runs);
    for (uint32_t& count : counts) count = taps(random);
    std::vector<uint32_t> rows(kRows);
    std::iota(rows.begin(), rows.end(), 0U);
    const uint32_t unordered = steps(counts, runs, 4, rows);
    order_rows(counts, static_cast<int64_t>(runs), 4, rows);
    const double needed = std::accumulate(counts.begin(), counts.end(), 0.0) / 4;
    EXPECT_LT(steps(counts, runs, 4, rows), needed * (runs == 1 ? 1.03 : 1.12)) << runs;
    EXPECT_GT(unordered, needed * 1.2) << runs;
  }
}

}  // namespace
}  // namespace strata::runtime
