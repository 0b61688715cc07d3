// The product with one vector, ResNet-50's classifier, on every target of this CPU. The
// convolutions are in layers_bench.cpp.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/sparse_gemm/sparse_gemm.h"
#include "kernels/target.h"

namespace strata::kernels {
namespace {

void BM_SparseGemv(benchmark::State& state, Target target, double density) {
  constexpr int64_t kInputs = 2048;
  constexpr int64_t kOutputs = 1000;
  std::vector<GemvTap> taps;
  std::vector<uint32_t> row_begin = {0};
  std::mt19937 random(1);
  for (int64_t row = 0; row < kOutputs; ++row) {
    for (int64_t i = 0; i < kInputs; ++i) {
      if (std::uniform_real_distribution<>()(random) >= density) continue;
      taps.push_back({0.01F, static_cast<int32_t>(i * 4)});
    }
    row_begin.push_back(static_cast<uint32_t>(taps.size()));
  }
  const std::vector<uint32_t> dense(kOutputs, density < 1 ? 0 : kInputs);
  const std::vector<float> scale(kOutputs, 1.0F);
  const std::vector<float> input(kInputs, 1.0F);
  std::vector<float> output(kOutputs);
  const GemvIncrement increment{taps.data(), row_begin.data()};
  const SparseGemvArguments arguments{input.data(), &increment,    1,    dense.data(), scale.data(),
                                      scale.data(), output.data(), false};
  const SparseGemvFunction gemv = sparse_gemv_kernel(target);
  for (auto _ : state) {
    gemv(arguments, 0, kOutputs);
    benchmark::ClobberMemory();
  }
}

const bool registered = [] {
  for (const Target target : supported_targets()) {
    const std::string name(target_name(target));
    benchmark::RegisterBenchmark(("BM_SparseGemv/" + name + "/10pct").c_str(), BM_SparseGemv,
                                 target, 0.1);
    benchmark::RegisterBenchmark(("BM_SparseGemv/" + name + "/dense").c_str(), BM_SparseGemv,
                                 target, 1.0);
  }
  return true;
}();

}  // namespace
}  // namespace strata::kernels
