// Convolution by taps: every non-zero weight adds one shifted, scaled input plane to an output
// plane. Whatever the kernel size, the shift is one constant offset (see geometry.h), so that a
// row of the weight matrix is a list of (weight, offset) and vector lanes run over pixels.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace strata::kernels {

/// One non-zero weight: output pixel p reads the input `offset` bytes after input + p.
struct Tap {
  float weight = 0;
  int32_t offset = 0;
};

/// The taps that one level adds to the level below it: row r has [row_begin[r], row_begin[r + 1]).
struct TapIncrement {
  const Tap* taps = nullptr;
  const uint32_t* row_begin = nullptr;
};

/// One image. output[r][p] = activation(scale[r] * sum over taps + shift[r] + residual[r][p]),
/// and 0 where the mask is 0. Rows are output channels; pixels p count through the rows of a plane
/// at the output's pitch. Whole blocks of kPixelBlock pixels are read and written.
struct SparseConvArguments {
  const float* input = nullptr;              ///< what output pixel 0 sees through a tap of offset 0
  const TapIncrement* increments = nullptr;  ///< chained into the same sums
  int64_t increment_count = 0;               ///< 1 + the level that runs
  const float* scale = nullptr;              ///< [row]
  const float* shift = nullptr;              ///< [row]
  const float* residual = nullptr;           ///< pixel 0 of row 0, or null
  int64_t residual_stride = 0;               ///< floats from row to row
  float* output = nullptr;                   ///< pixel 0 of row 0
  int64_t output_stride = 0;                 ///< floats from row to row
  const uint32_t* mask = nullptr;            ///< [pixel]: all bits set or 0; null: all set
  bool relu = false;
};

/// Computes rows [row_begin, row_end) over the blocks [block_begin, block_end) of a plane. Each
/// output pixel adds up its taps in their order, so results do not depend on how work is cut.
using SparseConvFunction = void (*)(const SparseConvArguments& arguments, int64_t row_begin,
                                    int64_t row_end, int64_t block_begin, int64_t block_end);

struct SparseConvKernel {
  SparseConvFunction run = nullptr;
  int64_t tile_blocks = 1;  ///< blocks whose sums stay in registers: the best tile width
};

/// The kernel for one target, which must be among supported_targets().
SparseConvKernel sparse_conv_kernel(Target target);

/// The oracle.
void sparse_conv_reference(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
                           int64_t block_begin, int64_t block_end);

}  // namespace strata::kernels
