// Strides 1 and 2, which nearly all networks have, copy by vectors.
#include "kernels/sparse_conv/phase_split.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sparse_conv/phase_split_simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/sparse_conv/phase_split-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

/// Every other pixel, by vectors as far as their loads stay before the last pixel; returns how many
/// pixels are done. The last vector overlaps the one before it.
template <typename D>
int64_t copy_even(D d, const float* from, int64_t count, float* to) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t last = count - 1 - lanes;
  if (last < 0) return 0;
  for (int64_t x = 0; x < last + lanes; x += lanes) {
    const int64_t at = HWY_MIN(x, last);
    const auto low = hn::LoadU(d, from + 2 * at);
    const auto high = hn::LoadU(d, from + 2 * at + lanes);
    hn::StoreU(hn::ConcatEven(d, high, low), d, to + at);
  }
  return count - 1;
}

struct CopyRow {
  void operator()(const float* from, int64_t stride, int64_t count, float* to) const {
    if (stride == 1) return static_cast<void>(std::copy_n(from, count, to));
    int64_t x = 0;
    if (stride == 2) {
      x = copy_even(hn::ScalableTag<float>(), from, count, to);
      if (x == 0) x = copy_even(hn::CappedTag<float, 4>(), from, count, to);
    }
    for (; x < count; ++x) to[x] = from[x * stride];
  }
};

void run(const ConvGeometry& geometry, const Window& window, const PlaneLayout& input_layout,
         const float* input, const PlaneLayout& output_layout, float* output, int64_t image,
         int64_t channel_begin, int64_t channel_end) {
  split_phases(geometry, window, input_layout, input, output_layout, output, image, channel_begin,
               channel_end, CopyRow());
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

PhaseSplitFunction phase_split_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, run, phase_split_reference)
}

}  // namespace strata::kernels
#endif
