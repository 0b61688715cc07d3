// The SIMD version of ConvOutput::finish(), once per target: include after hwy/highway.h.
#if defined(STRATA_KERNELS_CONV_OUTPUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRATA_KERNELS_CONV_OUTPUT_INL_H_
#undef STRATA_KERNELS_CONV_OUTPUT_INL_H_
#else
#define STRATA_KERNELS_CONV_OUTPUT_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"
#include "kernels/conv_output.h"
#include "kernels/dispatch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Turns the sums of kVectors vectors of pixels, from `pixel` on, into outputs.
template <int64_t kVectors, typename V>
HWY_INLINE void finish_row(const ConvOutput& out, int64_t row, int64_t pixel, V* sum) {
  const hn::ScalableTag<float> d;
  constexpr int64_t kLanes = HWY_LANES(float);
  const V scale = hn::Set(d, out.scale[row]);
  const V shift = hn::Set(d, out.shift[row]);
  STRATA_UNROLL
  for (int64_t i = 0; i < kVectors; ++i) sum[i] = hn::MulAdd(sum[i], scale, shift);
  if (out.residual != nullptr) {
    const float* residual = out.residual + row * out.residual_stride + pixel;
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) {
      sum[i] = hn::Add(sum[i], hn::Load(d, residual + i * kLanes));
    }
  }
  if (out.relu) {
    const V zero = hn::Zero(d);
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) sum[i] = hn::Max(sum[i], zero);
  }
  if (out.mask != nullptr) {
    const hn::RebindToUnsigned<decltype(d)> du;
    const uint32_t* mask = out.mask + pixel;
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) {
      const hn::Vec<decltype(d)> value = sum[i];
      sum[i] = hn::And(value, hn::BitCast(d, hn::Load(du, mask + i * kLanes)));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
