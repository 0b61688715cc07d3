// What one parallel loop costs when its tasks do nothing.
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

}  // namespace
}  // namespace strata
