// Sparse matrix times one dense vector: a row's non-zeros against the vector's elements. For
// several vectors at once use sparse_conv, with the batch in the place of the pixels.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace strata::kernels {

/// One non-zero weight and the byte offset of the element that it multiplies.
struct GemvTap {
  float weight = 0;
  int32_t offset = 0;
};

/// The taps that one level adds to the level below it: row r has [row_begin[r], row_begin[r + 1]).
struct GemvIncrement {
  const GemvTap* taps = nullptr;
  const uint32_t* row_begin = nullptr;
};

/// output[r] = activation(scale[r] * sum over taps of weight * input[offset / 4] + shift[r]).
struct SparseGemvArguments {
  const float* input = nullptr;
  const GemvIncrement* increments = nullptr;  ///< chained into the same sum
  int64_t increment_count = 0;                ///< 1 + the level that runs
  /// [row]: how many of its first taps in increment 0 read input[0], input[1], ... without a hole;
  /// lets layers that stay dense run at the speed of vectors.
  const uint32_t* dense_prefix = nullptr;
  const float* scale = nullptr;  ///< [row]
  const float* shift = nullptr;  ///< [row]
  float* output = nullptr;
  bool relu = false;
};

using SparseGemvFunction = void (*)(const SparseGemvArguments& arguments, int64_t row_begin,
                                    int64_t row_end);

/// The kernel for one target, which must be among supported_targets(). A row's sum does not depend
/// on which rows are computed together.
SparseGemvFunction sparse_gemv_kernel(Target target);

/// The oracle.
void sparse_gemv_reference(const SparseGemvArguments& arguments, int64_t row_begin,
                           int64_t row_end);

}  // namespace strata::kernels
