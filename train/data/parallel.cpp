// Items are handed out in order, so all items before a failing one have been tried when it fails.
#include "train/data/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace strata::data {

void for_each_item(int64_t count, int threads, const std::function<void(int64_t)>& work,
                   const std::function<void(int64_t done, int64_t total)>& progress) {
  constexpr int64_t kReportEvery = 64;
  std::atomic<int64_t> next = 0;
  std::atomic<int64_t> done = 0;
  std::atomic<int64_t> first_failure = count;
  std::exception_ptr failure;
  std::mutex mutex;
  const auto run = [&](bool reports) {
    int64_t own = 0;
    for (int64_t i = next++; i < first_failure; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (i < first_failure) {
          first_failure = i;
          failure = std::current_exception();
        }
      }
      ++done;
      if (reports && progress && ++own % kReportEvery == 0) progress(done, count);
    }
  };
  {
    std::vector<std::jthread> workers;
    const int64_t helpers = std::min<int64_t>(threads, count) - 1;
    for (int64_t i = 0; i < helpers; ++i) workers.emplace_back(run, false);
    run(true);
  }
  if (failure) std::rethrow_exception(failure);
  if (progress) progress(count, count);
}

}  // namespace strata::data
