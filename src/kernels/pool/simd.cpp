// The rows that a window sees are first reduced to one, lanes over columns, then that row's
// windows, lanes over windows. Around the row lies what leaves a window as it is, so that no window
// differs.
#include <algorithm>
#include <limits>

#include "kernels/pool/pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/partial_vector-inl.h"

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
  // Narrow rows, and what is left of others, by short vectors of which the last overlaps.
  const hn::CappedTag<float, 4> few;
  const auto step = static_cast<int64_t>(hn::Lanes(few));
  for (; x < width && width >= step; x += step) {
    const int64_t at = HWY_MIN(x, width - step);
    auto value = hn::LoadU(few, first + at);
    for (int64_t y = 1; y < count; ++y) {
      value = combine(value, hn::LoadU(few, first + y * pitch + at));
    }
    hn::StoreU(value, few, row + at);
  }
  for (; x < width; ++x) {
    float value = first[x];
    for (int64_t y = 1; y < count; ++y) value = combine(value, first[y * pitch + x]);
    row[x] = value;
  }
}

/// output[x] = columns x * kStride ... x * kStride + kernel - 1 of `row` combined, for x < count.
template <bool kMaximum, int64_t kStride>
HWY_INLINE void combine_windows(const float* row, int64_t kernel, int64_t count, float* output) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Combine<kMaximum> combine;
  for (int64_t x = 0; x < count; x += lanes) {
    auto value = hn::Zero(d);
    for (int64_t t = 0; t < kernel; t += kStride) {
      const float* from = row + x * kStride + t;
      const auto low = hn::LoadU(d, from);
      if constexpr (kStride == 1) {
        value = t == 0 ? low : combine(value, low);
      } else {
        const auto high = hn::LoadU(d, from + lanes);
        const auto even = hn::ConcatEven(d, high, low);
        value = t == 0 ? even : combine(value, even);
        if (t + 1 < kernel) value = combine(value, hn::ConcatOdd(d, high, low));
      }
    }
    if (count - x >= lanes) {
      hn::StoreU(value, d, output + x);
    } else {
      store_first(value, d, output + x, count - x);
    }
  }
}

/// Turns the sums of one output row into averages; each row of the input counts `row_count` times.
void divide_row(const PoolArguments& arguments, int64_t row_count, float* output) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Window& window = arguments.window;
  const int64_t width = arguments.input_layout.width;
  const int64_t columns = arguments.output_layout.width;
  const int64_t kernel = window.kernel[1];
  const auto whole = hn::Set(d, static_cast<float>(row_count * kernel));
  for (int64_t x = 0; x < columns;) {
    const int64_t first = x * window.stride[1] - window.pad_begin[1];
    const int64_t last = first + (lanes - 1) * window.stride[1] + kernel;
    if (first >= 0 && last <= width && x + lanes <= columns) {
      hn::StoreU(hn::Div(hn::LoadU(d, output + x), whole), d, output + x);
      x += lanes;
    } else {
      const WindowSpan span = window_span(window, 1, width, x);
      const int64_t count = arguments.count_include_pad ? span.padded : span.end - span.begin;
      output[x++] /= static_cast<float>(row_count * count);
    }
  }
}

/// `row`: what surrounds an input row in it leaves windows as they are.
template <bool kMaximum>
void pool_plane(const PoolArguments& arguments, const float* input, float* output, float* row) {
  const PlaneLayout& in = arguments.input_layout;
  const PlaneLayout& out = arguments.output_layout;
  const Window& window = arguments.window;
  const int64_t kernel = window.kernel[1];
  const Combine<kMaximum> combine;
  constexpr int64_t kFewWindows = 2;  // for which vectors do not pay
  for (int64_t y = 0; y < out.height; ++y) {
    const WindowSpan rows = window_span(window, 0, in.height, y);
    combine_rows<kMaximum>(input, in.pitch, in.width, rows, row + window.pad_begin[1]);
    float* to = output + y * out.pitch;
    if (window.stride[1] == 1 && out.width > kFewWindows) {
      combine_windows<kMaximum, 1>(row, kernel, out.width, to);
    } else if (window.stride[1] == 2 && out.width > kFewWindows) {
      combine_windows<kMaximum, 2>(row, kernel, out.width, to);
    } else {
      for (int64_t x = 0; x < out.width; ++x) {
        const float* from = row + x * window.stride[1];
        to[x] = from[0];
        for (int64_t t = 1; t < kernel; ++t) to[x] = combine(to[x], from[t]);
      }
    }
    if constexpr (!kMaximum) {
      divide_row(arguments, arguments.count_include_pad ? rows.padded : rows.end - rows.begin, to);
    }
  }
}

void run(const PoolArguments& arguments, int64_t image, int64_t channel_begin, int64_t channel_end,
         float* row) {
  const bool maximum = arguments.kind == PoolKind::kMax;
  std::fill_n(row,
              pool_row_floats(arguments.window, arguments.input_layout.width,
                              arguments.output_layout.width),
              maximum ? -std::numeric_limits<float>::infinity() : 0.0F);
  for (int64_t channel = channel_begin; channel < channel_end; ++channel) {
    const float* input = arguments.input + arguments.input_layout.plane(image, channel);
    float* output = arguments.output + arguments.output_layout.plane(image, channel);
    if (maximum) {
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
