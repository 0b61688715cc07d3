#include "tools/strata/each_sample.h"

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "tools/strata/console.h"

namespace strata::cli {

void for_each_sample(size_t count, size_t workers, Progress& progress,
                     const std::function<void(size_t sample, size_t worker)>& work) {
  std::atomic<size_t> next{0};
  std::atomic<size_t> done{0};
  std::atomic<bool> failed{false};
  std::exception_ptr failure;
  std::mutex failure_lock;
  size_t reported = 0;  // by worker 0 alone
  const auto report = [&] {
    const size_t now = done;
    progress.advance(static_cast<int64_t>(now - reported));
    reported = now;
  };
  const auto loop = [&](size_t worker) {
    try {
      while (!failed) {
        const size_t sample = next.fetch_add(1);
        if (sample >= count) break;
        stop_if_interrupted();
        work(sample, worker);
        ++done;
        if (worker == 0) report();
      }
    } catch (...) {
      const std::lock_guard guard(failure_lock);
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t t = 1; t < workers; ++t) threads.emplace_back([&, t] { loop(t); });
    loop(0);
  }
  if (failure) std::rethrow_exception(failure);
  report();
}

}  // namespace strata::cli
