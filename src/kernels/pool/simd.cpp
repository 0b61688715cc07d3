// Lanes run over the windows of a row where they lie inside the input. Where too few do, the rows
// that a window sees are first reduced to one, lanes over columns, then that row's windows.
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

/// The same for a few columns.
template <bool kMaximum>
HWY_INLINE void combine_part(const float* plane, int64_t pitch, WindowSpan columns, WindowSpan rows,
                             float* row) {
  const Combine<kMaximum> combine;
  for (int64_t x = columns.begin; x < columns.end; ++x) {
    float value = plane[rows.begin * pitch + x];
    for (int64_t y = rows.begin + 1; y < rows.end; ++y)
      value = combine(value, plane[y * pitch + x]);
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

/// One output row, and what its windows see.
struct PoolRow {
  const float* first = nullptr;  ///< of the input rows, column 0
  int64_t pitch = 0;
  int64_t rows = 0;
  int64_t counted_rows = 0;  ///< by which an average is divided
  float* output = nullptr;
};

/// Windows side by side whose columns start at from, from + kStride, ...
template <bool kMaximum, int64_t kStride, typename D>
HWY_INLINE hn::Vec<D> combine_windows(D d, const PoolRow& row, const float* from, int64_t kernel) {
  const Combine<kMaximum> combine;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto value = hn::Zero(d);
  for (int64_t t = 0; t < kernel; t += kStride) {
    auto low = hn::LoadU(d, from + t);
    auto high = kStride == 1 ? low : hn::LoadU(d, from + t + lanes);
    for (int64_t y = 1; y < row.rows; ++y) {
      low = combine(low, hn::LoadU(d, from + t + y * row.pitch));
      if constexpr (kStride == 2) {
        high = combine(high, hn::LoadU(d, from + t + lanes + y * row.pitch));
      }
    }
    if constexpr (kStride == 1) {
      value = t == 0 ? low : combine(value, low);
    } else {
      const auto even = hn::ConcatEven(d, high, low);
      value = t == 0 ? even : combine(value, even);
      if (t + 1 < kernel) value = combine(value, hn::ConcatOdd(d, high, low));
    }
  }
  return value;
}

/// By vectors, the windows that lie inside the input row and whose loads do; returns their columns.
/// The last vector overlaps the one before it.
template <bool kMaximum, int64_t kStride>
HWY_INLINE WindowSpan pool_inner(const PoolArguments& arguments, const PoolRow& row) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t pad = arguments.window.pad_begin[1];
  const int64_t kernel = arguments.window.kernel[1];
  const int64_t first = (pad + kStride - 1) / kStride;
  const int64_t loaded = (kernel - 1) / kStride * kStride + kStride * lanes;  // floats per vector
  const int64_t room = arguments.input_layout.width + pad - loaded;
  const int64_t last =
      HWY_MIN(room < 0 ? -1 : room / kStride, arguments.output_layout.width - lanes);
  if (last < first) return {};
  const auto count = hn::Set(d, static_cast<float>(row.counted_rows * kernel));
  for (int64_t x = first; x < last + lanes; x += lanes) {
    const int64_t at = HWY_MIN(x, last);
    auto value = combine_windows<kMaximum, kStride>(d, row, row.first + at * kStride - pad, kernel);
    if constexpr (!kMaximum) value = hn::Div(value, count);
    hn::StoreU(value, d, row.output + at);
  }
  return {first, last + lanes, 0};
}

template <bool kMaximum>
void pool_plane(const PoolArguments& arguments, const float* input, float* output, float* scratch) {
  const PlaneLayout& in = arguments.input_layout;
  const PlaneLayout& out = arguments.output_layout;
  const int64_t stride = arguments.window.stride[1];
  for (int64_t y = 0; y < out.height; ++y) {
    const WindowSpan rows = window_span(arguments.window, 0, in.height, y);
    const int64_t count = rows.end - rows.begin;
    const PoolRow row{input + rows.begin * in.pitch, in.pitch, count,
                      arguments.count_include_pad ? rows.padded : count, output + y * out.pitch};
    WindowSpan inner;
    if (stride == 1) inner = pool_inner<kMaximum, 1>(arguments, row);
    if (stride == 2) inner = pool_inner<kMaximum, 2>(arguments, row);
    const bool by_column = inner.end > inner.begin;
    if (!by_column) combine_rows<kMaximum>(input, in.pitch, in.width, rows, scratch);
    for (int64_t x = 0; x < out.width; ++x) {
      if (x >= inner.begin && x < inner.end) continue;
      const WindowSpan columns = window_span(arguments.window, 1, in.width, x);
      if (by_column) {
        combine_part<kMaximum>(input, in.pitch, columns, rows, scratch);
      }
      float value = combine_columns<kMaximum>(scratch, columns.begin, columns.end);
      if constexpr (!kMaximum) {
        value /= static_cast<float>(row.counted_rows * (arguments.count_include_pad
                                                            ? columns.padded
                                                            : columns.end - columns.begin));
      }
      row.output[x] = value;
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
