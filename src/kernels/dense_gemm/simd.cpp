// Several sums per row, each of every so many-th column, so that an addition need not wait for the
// one before.
#include <cstdint>

#include "core/cache_size.h"
#include "kernels/dense_gemm/dense_gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dense_gemm/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/vector_registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr int64_t kDenseLanes = HWY_LANES(float);
constexpr int64_t kRowVectors = kDensePanelRows / kDenseLanes;
// At most 12 registers of sums.
constexpr int64_t kChains = HWY_MAX(1, 4 / kRowVectors);

template <int64_t kVectors>
void run_vectors(const float* HWY_RESTRICT weights, int64_t columns,
                 const float* HWY_RESTRICT input, float* HWY_RESTRICT sums) {
  const hn::ScalableTag<float> d;
  using V = ArrayElement<hn::Vec<hn::ScalableTag<float>>>;
  constexpr int64_t kSums = kVectors * kRowVectors;
  V sum[kChains * kSums];
  STRATA_UNROLL
  for (int64_t i = 0; i < kChains * kSums; ++i) sum[i] = hn::Zero(d);
  const auto add = [&](int64_t column, V* to) HWY_ATTR {
    STRATA_UNROLL
    for (int64_t v = 0; v < kVectors; ++v) {
      const V x = hn::Set(d, input[v * columns + column]);
      STRATA_UNROLL
      for (int64_t i = 0; i < kRowVectors; ++i) {
        const V w = hn::Load(d, weights + column * kDensePanelRows + i * kDenseLanes);
        to[v * kRowVectors + i] = hn::MulAdd(w, x, to[v * kRowVectors + i]);
      }
    }
  };
  int64_t column = 0;
  for (; column + kChains <= columns; column += kChains) {
    STRATA_UNROLL
    for (int64_t chain = 0; chain < kChains; ++chain) add(column + chain, sum + chain * kSums);
  }
  for (; column < columns; ++column) add(column, sum);
  STRATA_UNROLL
  for (int64_t i = 0; i < kSums; ++i) {
    STRATA_UNROLL
    for (int64_t chain = 1; chain < kChains; ++chain) {
      sum[i] = hn::Add(sum[i], sum[chain * kSums + i]);
    }
    hn::Store(sum[i], d, sums + i * kDenseLanes);
  }
}

void run(const float* weights, int64_t columns, const float* input, int64_t vectors, float* sums) {
  switch (vectors) {
    case 1:
      return run_vectors<1>(weights, columns, input, sums);
    case 2:
      return run_vectors<2>(weights, columns, input, sums);
    default:
      return run_vectors<kMostDenseVectors>(weights, columns, input, sums);
  }
}

// By bench/density_bench.cpp and bench/matrix_vector_bench.cpp; docs/kernels.md says which are
// guessed.
constexpr GemmCrossover kCached = HWY_TARGET == HWY_AVX3   ? GemmCrossover{0.5, 0.25}
                                  : HWY_TARGET == HWY_AVX2 ? GemmCrossover{0.25, 0.15}
                                                           : GemmCrossover{0.15, 0.3};
constexpr GemmCrossover kStreamed = HWY_TARGET == HWY_AVX3   ? GemmCrossover{0.7, 0.45}
                                    : HWY_TARGET == HWY_AVX2 ? GemmCrossover{0.4, 0.25}
                                                             : GemmCrossover{0.25, 0.3};

const DenseGemmKernel kKernel = {run, kCached, kStreamed};

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

DenseGemmKernel dense_gemm_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, kKernel,
                           (DenseGemmKernel{dense_gemm_reference, {0.9, 0.9}, {0.9, 0.9}}))
}

double DenseGemmKernel::crossover(int64_t vectors, int64_t bytes) const {
  constexpr int64_t kShares = 16;  // of the cache: other layers, and others, want some, too
  const GemmCrossover& where = bytes <= last_level_cache_bytes() / kShares ? cached : streamed;
  return vectors == 1 ? where.one : where.more;
}

}  // namespace strata::kernels
#endif
