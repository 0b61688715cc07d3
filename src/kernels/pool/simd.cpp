// First reduces the rows that a window sees, lanes over columns, into one row; then reduces that
// row's windows, which is a small part of the work.
#include "kernels/pool/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

template <bool kMaximum>
struct Combine {
  template <typename V>
  HWY_INLINE V operator()(V a, V b) const {
    if constexpr (kMaximum) {
      return hn::Max(a, b);
    } else {
      return hn::Add(a, b);
    }
  }
  HWY_INLINE float operator()(float a, float b) const {
    if constexpr (kMaximum) {
      return HWY_MAX(a, b);
    } else {
      return a + b;
    }
  }
};

/// row[x] = the rows [first, last) of `plane` combined in column x.
template <bool kMaximum>
HWY_INLINE void combine_rows(const float* plane, int64_t pitch, int64_t width, WindowSpan rows,
                             float* HWY_RESTRICT row) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Combine<kMaximum> combine;
  const float* first = plane + rows.begin * pitch;
  const int64_t count = rows.end - rows.begin;
  int64_t x = 0;
  for (; x + lanes <= width; x += lanes) {
    auto value = hn::LoadU(d, first + x);
    for (int64_t y = 1; y < count; ++y) value = combine(value, hn::LoadU(d, first + y * pitch + x));
    hn::StoreU(value, d, row + x);
  }
  for (; x < width; ++x) {
    float value = first[x];
    for (int64_t y = 1; y < count; ++y) value = combine(value, first[y * pitch + x]);
    row[x] = value;
  }
}

template <bool kMaximum>
HWY_INLINE float combine_columns(const float* row, int64_t begin, int64_t end) {
  const Combine<kMaximum> combine;
  float value = row[begin];
  for (int64_t x = begin + 1; x < end; ++x) value = combine(value, row[x]);
  return value;
}

template <bool kMaximum>
void pool_plane(const PoolArguments& arguments, const float* input, float* output, float* row) {
  const PlaneLayout& in = arguments.input_layout;
  const PlaneLayout& out = arguments.output_layout;
  for (int64_t y = 0; y < out.height; ++y) {
    const WindowSpan rows = window_span(arguments.window, 0, in.height, y);
    combine_rows<kMaximum>(input, in.pitch, in.width, rows, row);
    for (int64_t x = 0; x < out.width; ++x) {
      const WindowSpan columns = window_span(arguments.window, 1, in.width, x);
      float value = combine_columns<kMaximum>(row, columns.begin, columns.end);
      if constexpr (!kMaximum) {
        const int64_t count = arguments.count_include_pad
                                  ? rows.padded * columns.padded
                                  : (rows.end - rows.begin) * (columns.end - columns.begin);
        value /= static_cast<float>(count);
      }
      output[y * out.pitch + x] = value;
    }
  }
}

void run(const PoolArguments& arguments, int64_t image, int64_t channel_begin, int64_t channel_end,
         float* row) {
  for (int64_t channel = channel_begin; channel < channel_end; ++channel) {
    const float* input = arguments.input + arguments.input_layout.plane(image, channel);
    float* output = arguments.output + arguments.output_layout.plane(image, channel);
    if (arguments.kind == PoolKind::kMax) {
      pool_plane<true>(arguments, input, output, row);
    } else {
      pool_plane<false>(arguments, input, output, row);
    }
    clear_margins(arguments.output_layout, output);
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

PoolFunction pool_kernel(Target target) { STRATA_RETURN_FOR_TARGET(target, run, pool_reference) }

}  // namespace strata::kernels
#endif
