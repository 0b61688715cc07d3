// What one parallel loop costs when its tasks do nothing, and what an inference takes that comes
// after a pause in which the workers fell asleep.
#include <chrono>
#include <thread>

#include <benchmark/benchmark.h>

#include "core/thread_pool.h"

namespace strata {
namespace {

void BM_EmptyLoop(benchmark::State& state) {
  auto pool = ThreadPool::create(static_cast<int>(state.range(0)));
  if (!pool.ok()) return state.SkipWithError(pool.status().message().c_str());
  for (auto _ : state) {
    (*pool)->parallel_for(static_cast<int>(state.range(1)),
                          [](int task, int) { benchmark::DoNotOptimize(task); });
  }
}
BENCHMARK(BM_EmptyLoop)
    ->ArgNames({"threads", "tasks"})
    ->Args({1, 12})
    ->Args({2, 12})
    ->UseRealTime();

/// 56 loops of 8 tasks that take 12 microseconds each, after `idle_ms` without work: 2.7 ms if two
/// threads share them.
void BM_LoopsAfterAPause(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  auto pool = ThreadPool::create(static_cast<int>(state.range(0)));
  if (!pool.ok()) return state.SkipWithError(pool.status().message().c_str());
  for (auto _ : state) {
    std::this_thread::sleep_for(std::chrono::milliseconds(state.range(1)));
    const auto begin = Clock::now();
    for (int loop = 0; loop < 56; ++loop) {
      (*pool)->parallel_for(8, [](int, int) {
        const auto start = Clock::now();
        while (Clock::now() - start < std::chrono::microseconds(12)) {
        }
      });
    }
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - begin).count());
  }
}
BENCHMARK(BM_LoopsAfterAPause)
    ->ArgNames({"threads", "idle_ms"})
    ->Args({2, 0})
    ->Args({2, 17})
    ->Iterations(200)
    ->UseManualTime();

}  // namespace
}  // namespace strata
