// One pixel after the other, one tap after the other.
#include <algorithm>

#include "kernels/dense_conv/dense_conv.h"
#include "kernels/plane_layout.h"

namespace strata::kernels {

void dense_conv_reference(const DenseConvArguments& arguments, int64_t panel_begin,
                          int64_t panel_end, int64_t block_begin, int64_t block_end) {
  const int64_t row_end = std::min(panel_end * arguments.panel_rows, arguments.rows);
  for (int64_t row = panel_begin * arguments.panel_rows; row < row_end; ++row) {
    const float* weights = arguments.weights + row / arguments.panel_rows * arguments.panel_stride +
                           row % arguments.panel_rows;
    for (int64_t p = block_begin * kPixelBlock; p < block_end * kPixelBlock; ++p) {
      float* output = arguments.output + row * arguments.output_stride + p;
      float sum = arguments.first_slice ? 0.0F : *output;
      for (int64_t t = 0; t < arguments.taps; ++t) {
        sum += weights[t * arguments.panel_rows] * arguments.input[p + arguments.offsets[t]];
      }
      *output = arguments.last_slice ? arguments.finish(sum, row, p) : sum;
    }
  }
}

}  // namespace strata::kernels
