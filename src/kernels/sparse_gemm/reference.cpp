// One row after the other, one tap after the other.
#include <algorithm>

#include "kernels/sparse_gemm/sparse_gemm.h"

namespace strata::kernels {

void sparse_gemv_reference(const SparseGemvArguments& arguments, int64_t row_begin,
                           int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    float sum = 0;
    for (int64_t k = 0; k < arguments.increment_count; ++k) {
      const GemvIncrement& increment = arguments.increments[k];
      for (uint32_t i = increment.row_begin[row]; i < increment.row_begin[row + 1]; ++i) {
        const GemvTap tap = increment.taps[i];
        sum += tap.weight * arguments.input[tap.offset / int64_t{sizeof(float)}];
      }
    }
    const float value = sum * arguments.scale[row] + arguments.shift[row];
    arguments.output[row] = arguments.relu ? std::max(value, 0.0F) : value;
  }
}

}  // namespace strata::kernels
