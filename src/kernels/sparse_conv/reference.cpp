// One pixel after the other, one tap after the other.
#include <algorithm>

#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/sparse_conv.h"

namespace strata::kernels {

void sparse_conv_reference(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
                           int64_t block_begin, int64_t block_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    for (int64_t p = block_begin * kPixelBlock; p < block_end * kPixelBlock; ++p) {
      float sum = 0;
      for (int64_t k = 0; k < arguments.increment_count; ++k) {
        const TapIncrement& increment = arguments.increments[k];
        for (uint32_t i = increment.row_begin[row]; i < increment.row_begin[row + 1]; ++i) {
          const Tap tap = increment.taps[i];
          sum += tap.weight * arguments.input[p + tap.offset / int64_t{sizeof(float)}];
        }
      }
      float value = sum * arguments.scale[row] + arguments.shift[row];
      if (arguments.residual != nullptr) {
        value += arguments.residual[row * arguments.residual_stride + p];
      }
      if (arguments.relu) value = std::max(value, 0.0F);
      if (arguments.mask != nullptr && arguments.mask[p] == 0) value = 0;
      arguments.output[row * arguments.output_stride + p] = value;
    }
  }
}

}  // namespace strata::kernels
