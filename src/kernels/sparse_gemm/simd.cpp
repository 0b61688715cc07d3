// A single vector leaves nothing for lanes to run over but the non-zeros themselves. Gathers are
// slower than loads on the CPUs at hand, so scattered taps are walked by scalar code with four
// independent sums; a dense prefix is walked by vectors.
#include "kernels/sparse_gemm/sparse_gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sparse_gemm/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

/// Sum of taps[0..count) against input[0..count), count a multiple of the lanes.
HWY_INLINE float dense_dot(const GemvTap* taps, const float* input, int64_t count) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sum = hn::Zero(d);
  for (int64_t i = 0; i < count; i += lanes) {
    V weights;
    V offsets;
    hn::LoadInterleaved2(d, &taps[i].weight, weights, offsets);
    sum = hn::MulAdd(weights, hn::LoadU(d, input + i), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

HWY_INLINE float sparse_dot(const GemvTap* tap, const GemvTap* end, const char* input) {
  const auto product = [input](const GemvTap& t) {
    return t.weight * *reinterpret_cast<const float*>(input + t.offset);
  };
  float a = 0;
  float b = 0;
  float c = 0;
  float e = 0;
  for (; end - tap >= 4; tap += 4) {
    a += product(tap[0]);
    b += product(tap[1]);
    c += product(tap[2]);
    e += product(tap[3]);
  }
  for (; tap != end; ++tap) a += product(*tap);
  return (a + b) + (c + e);
}

void run(const SparseGemvArguments& arguments, int64_t row_begin, int64_t row_end) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  for (int64_t row = row_begin; row < row_end; ++row) {
    float sum = 0;
    for (int64_t k = 0; k < arguments.increment_count; ++k) {
      const GemvIncrement& increment = arguments.increments[k];
      const GemvTap* taps = increment.taps + increment.row_begin[row];
      const GemvTap* end = increment.taps + increment.row_begin[row + 1];
      if (k == 0) {
        const int64_t dense = int64_t{arguments.dense_prefix[row]} / lanes * lanes;
        sum = dense_dot(taps, arguments.input, dense);
        taps += dense;
      }
      sum += sparse_dot(taps, end, reinterpret_cast<const char*>(arguments.input));
    }
    const float value = sum * arguments.scale[row] + arguments.shift[row];
    arguments.output[row] = arguments.relu && value < 0 ? 0.0F : value;
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

SparseGemvFunction sparse_gemv_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, run, sparse_gemv_reference)
}

}  // namespace strata::kernels
#endif
