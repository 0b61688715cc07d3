// Max and average pooling over windows of a plane, as ONNX defines them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/plane_layout.h"
#include "kernels/target.h"
#include "kernels/window.h"

namespace strata::kernels {

enum class PoolKind : uint8_t { kMax, kAverage };

/// `input` and `output` point at the start of the memory that the layouts describe; any layouts do.
/// Windows may stick out into the padding, and beyond it where ceil_mode made the output larger,
/// but each must see a pixel. Dilation must be 1.
struct PoolArguments {
  PoolKind kind = PoolKind::kMax;
  Window window;
  bool count_include_pad = false;  ///< average: divide by the window with its padding
  const float* input = nullptr;
  PlaneLayout input_layout;
  float* output = nullptr;
  PlaneLayout output_layout;
};

/// Floats that the kernels need for one row, for widths of input and output.
inline int64_t pool_row_floats(const Window& window, int64_t input, int64_t output) {
  return std::max(window.pad_begin[1] + input,
                  round_up(output, kPixelBlock) * window.stride[1] + window.kernel[1]);
}

/// Pools channels [channel_begin, channel_end) of one image and zeroes the margins of their planes.
/// `row` is scratch of pool_row_floats().
using PoolFunction = void (*)(const PoolArguments& arguments, int64_t image, int64_t channel_begin,
                              int64_t channel_end, float* row);

/// The kernel for one target, which must be among supported_targets().
PoolFunction pool_kernel(Target target);

/// The oracle.
void pool_reference(const PoolArguments& arguments, int64_t image, int64_t channel_begin,
                    int64_t channel_end, float* row);

}  // namespace strata::kernels
