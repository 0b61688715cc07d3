// One row after the other.
#include "kernels/dense_gemm/dense_gemm.h"

namespace strata::kernels {

void dense_gemm_reference(const float* weights, int64_t columns, const float* input,
                          int64_t vectors, float* sums) {
  for (int64_t vector = 0; vector < vectors; ++vector) {
    for (int64_t row = 0; row < kDensePanelRows; ++row) {
      float sum = 0;
      for (int64_t c = 0; c < columns; ++c) {
        sum += weights[c * kDensePanelRows + row] * input[vector * columns + c];
      }
      sums[vector * kDensePanelRows + row] = sum;
    }
  }
}

}  // namespace strata::kernels
