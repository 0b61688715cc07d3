// Products of a matrix most of whose weights are not zero with few vectors, where weights stream
// from memory: lanes run over the rows of a panel, and every weight is read once for all vectors.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace strata::kernels {

inline constexpr int64_t kDensePanelRows = 16;   ///< one cache line of weights per column
inline constexpr int64_t kMostDenseVectors = 3;  ///< of one call; more are lanes of dense_conv

/// sums[vector][kDensePanelRows] = product of one panel, weights [column][kDensePanelRows] on cache
/// lines, with 1..kMostDenseVectors vectors, input [vector][columns].
using DenseGemmFunction = void (*)(const float* weights, int64_t columns, const float* input,
                                   int64_t vectors, float* sums);

/// Densities from which on dense weights are faster than sparse panels.
struct GemmCrossover {
  double one = 1;   ///< with one vector
  double more = 1;  ///< with more, of which sparse panels take several at a time
};

struct DenseGemmKernel {
  DenseGemmFunction run = nullptr;
  GemmCrossover cached;    ///< of dense weights that stay in a cache from one use to the next
  GemmCrossover streamed;  ///< of others

  /// Of a layer whose dense weights take `bytes`.
  [[nodiscard]] double crossover(int64_t vectors, int64_t bytes) const;
};

/// The kernel for one target, which must be among supported_targets(). The sums of a vector do not
/// depend on the panels and vectors that are computed beside it.
DenseGemmKernel dense_gemm_kernel(Target target);

/// The oracle.
void dense_gemm_reference(const float* weights, int64_t columns, const float* input,
                          int64_t vectors, float* sums);

}  // namespace strata::kernels
