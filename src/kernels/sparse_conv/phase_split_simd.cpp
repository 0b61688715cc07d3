// Stride 2, which nearly all strided convolutions have, by vectors.
#include "kernels/sparse_conv/phase_split.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sparse_conv/phase_split_simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/partial_vector-inl.h"
#include "kernels/sparse_conv/phase_split-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

void zero(float* to, int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(hn::Zero(d), d, to + i);
  for (; i < count; ++i) to[i] = 0;
}

template <typename D>
HWY_INLINE void store_part(hn::Vec<D> v, D d, float* to, int64_t count) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  if (count >= lanes) return hn::StoreU(v, d, to);
  if (2 * count == lanes) return hn::StoreU(hn::LowerHalf(v), hn::Half<D>(), to);
  store_first(v, d, to, count);
}

/// Stride 2: pixel 2x goes to even[x] and pixel 2x + 1 to odd[x], where they are not null.
void split_pairs(const PhaseRows& from, float* even, float* odd) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t y = 0; y < from.height; ++y) {
    const int64_t width = y < from.rows ? from.width : 0;
    const float* row = from.pixels + (width > 0 ? y * from.row_stride : 0);
    for (int64_t x = 0; x < from.pitch; x += lanes) {
      const auto load = [&](int64_t at) {  // zeros beyond the row
        if (at + lanes <= width) return hn::LoadU(d, row + at);
        return at < width ? load_first(d, row + at, width - at) : hn::Zero(d);
      };
      const auto low = load(2 * x);
      const auto high = load(2 * x + lanes);
      const int64_t at = y * from.pitch + x;
      if (even != nullptr) {
        store_part(hn::ConcatEven(d, high, low), d, even + at, from.pitch - x);
      }
      if (odd != nullptr) store_part(hn::ConcatOdd(d, high, low), d, odd + at, from.pitch - x);
    }
  }
}

void split_rows(const PhaseRows& from, int64_t stride) {
  if (stride != 2) return split_rows_reference(from, stride);
  const bool has_even = from.phases.front() == 0;
  const bool has_odd = from.phases.back() == 1;
  split_pairs(from, has_even ? from.target : nullptr,
              has_odd ? from.target + (has_even ? from.target_stride : 0) : nullptr);
}

void run(const ConvGeometry& geometry, const Window& window, const PlaneLayout& input_layout,
         const float* input, const PlaneLayout& output_layout, float* output, int64_t image,
         int64_t channel_begin, int64_t channel_end) {
  split_phases(
      geometry, window, input_layout, input, output_layout, output, image, channel_begin,
      channel_end, [&](const PhaseRows& rows) { split_rows(rows, window.stride[1]); }, zero);
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
