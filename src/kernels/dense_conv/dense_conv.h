// Convolution and product with weights most of which are not zero: every row of a panel of output
// channels has a weight for every tap, zero or not. An input is loaded once for all rows of a
// panel, whereas taps of sparse_conv load it for one. Taps are the same constant offsets; inputs
// are read where they lie, across cache lines, because a load serves so many sums.
#pragma once

#include <cstdint>

#include "kernels/conv_output.h"
#include "kernels/target.h"

namespace strata::kernels {

/// Some taps of one group of channels of one image; ConvOutput's rows are those of the group.
/// The sum of pixel p of row r gets weight * input[p + offset of the tap] from every tap.
struct DenseConvArguments : ConvOutput {
  const float* input = nullptr;      ///< what output pixel 0 sees at offset 0
  const int32_t* offsets = nullptr;  ///< [tap] in floats
  int64_t taps = 0;
  const float* weights = nullptr;  ///< [panel][tap][panel_rows]
  int64_t panel_rows = 0;          ///< of the kernel that is called
  int64_t panel_stride = 0;        ///< floats from panel to panel
  int64_t rows = 0;                ///< what the last panel has beyond them has weights of 0
};

/// Computes panels [panel_begin, panel_end) over the blocks [block_begin, block_end) of a plane.
/// Every pixel adds up its taps in their order, so results depend neither on which panels and
/// blocks are computed together nor on slices.
using DenseConvFunction = void (*)(const DenseConvArguments& arguments, int64_t panel_begin,
                                   int64_t panel_end, int64_t block_begin, int64_t block_end);

struct DenseConvKernel {
  DenseConvFunction run = nullptr;
  int64_t panel_rows = 1;   ///< rows whose sums stay in registers together
  int64_t tile_blocks = 1;  ///< blocks that one task should have
  /// Densities from which on it is faster than sparse_conv, by measurement: where that has tiles of
  /// more blocks than ConvTiling::kNarrowTile, and where it has narrower ones.
  double wide_crossover = 1;
  double narrow_crossover = 1;
};

/// The kernel for one target, which must be among supported_targets().
DenseConvKernel dense_conv_kernel(Target target);

/// The oracle, for any number of rows per panel.
void dense_conv_reference(const DenseConvArguments& arguments, int64_t panel_begin,
                          int64_t panel_end, int64_t block_begin, int64_t block_end);

}  // namespace strata::kernels
