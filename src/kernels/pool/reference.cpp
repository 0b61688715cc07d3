// One window after the other.
#include <algorithm>
#include <limits>

#include "kernels/pool/pool.h"

namespace strata::kernels {
namespace {

float pool_window(const PoolArguments& arguments, const float* plane, const WindowSpan& rows,
                  const WindowSpan& columns) {
  const bool maximum = arguments.kind == PoolKind::kMax;
  float result = maximum ? -std::numeric_limits<float>::infinity() : 0.0F;
  for (int64_t y = rows.begin; y < rows.end; ++y) {
    for (int64_t x = columns.begin; x < columns.end; ++x) {
      const float value = plane[y * arguments.input_layout.pitch + x];
      result = maximum ? std::max(result, value) : result + value;
    }
  }
  if (maximum) return result;
  const int64_t count = arguments.count_include_pad
                            ? rows.padded * columns.padded
                            : (rows.end - rows.begin) * (columns.end - columns.begin);
  return result / static_cast<float>(count);
}

}  // namespace

void pool_reference(const PoolArguments& arguments, int64_t image, int64_t channel_begin,
                    int64_t channel_end, float* /*row*/) {
  const PlaneLayout& in = arguments.input_layout;
  const PlaneLayout& out = arguments.output_layout;
  for (int64_t channel = channel_begin; channel < channel_end; ++channel) {
    const float* input = arguments.input + in.plane(image, channel);
    float* output = arguments.output + out.plane(image, channel);
    for (int64_t y = 0; y < out.height; ++y) {
      const WindowSpan rows = window_span(arguments.window, 0, in.height, y);
      for (int64_t x = 0; x < out.width; ++x) {
        const WindowSpan columns = window_span(arguments.window, 1, in.width, x);
        output[y * out.pitch + x] = pool_window(arguments, input, rows, columns);
      }
    }
    clear_margins(out, output);
  }
}

}  // namespace strata::kernels
