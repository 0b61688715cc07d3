// Convolution by taps: every non-zero weight adds one shifted, scaled input plane to an output
// plane. Whatever the kernel size, the shift is one constant offset (see geometry.h). It is cut
// into whole blocks, which a tap carries and which vectors load without crossing a cache line, and
// a rest of lanes, by which the sums of all taps that share it are moved at once (see tiling.h).
#pragma once

#include <array>
#include <cstdint>

#include "kernels/conv_output.h"
#include "kernels/target.h"

namespace strata::kernels {

/// Where the runs of one list and one slice begin and end among the taps of a step.
struct TapList {
  const uint32_t* begin = nullptr;  ///< [run]
  const uint32_t* end = nullptr;    ///< [run]
};

inline constexpr int64_t kMostTapLists = 4;

/// The taps of a level and a slice, in a few lists, all in the same memory. Runs are numbered
/// row * shift_count + shift; the taps of a run are those of all lists, from each a multiple of
/// SparseConvArguments::run_multiple; taps of weight 0 make up for what is missing.
struct TapLists {
  const float* weights = nullptr;
  const uint16_t* blocks = nullptr;  ///< what a tap reads, from SparseConvArguments::input on
  std::array<TapList, kMostTapLists> lists;
  int64_t count = 1;  ///< of lists
};

/// One slice of the input channels of one image. A tap with shift s and block b adds
/// weight * input[p + s + b * kPixelBlock] to the sum of pixel p. Without `overhang` it adds
/// nothing where pixel p + s lies before the computed blocks, and sums whose p + largest shift lies
/// after them are not defined.
struct SparseConvArguments : ConvOutput {
  const float* input = nullptr;  ///< what output pixel 0 sees at shift 0 and block 0
  TapLists taps;
  const int32_t* shifts = nullptr;  ///< lanes, ascending, -15..15, at most 15 apart in all
  int64_t shift_count = 1;
  int64_t run_multiple = 1;  ///< 1 or kRunMultiple
  bool overhang = false;     ///< sums reach into the block after the computed ones
};

/// Computes rows [row_begin, row_end) over the blocks [block_begin, block_end) of
/// a plane, at most SparseConvKernel::tile_blocks of them, one less with overhang. Each output
/// pixel adds up its taps in their order, so results do not depend on which rows are computed
/// together.
using SparseConvFunction = void (*)(const SparseConvArguments& arguments, int64_t row_begin,
                                    int64_t row_end, int64_t block_begin, int64_t block_end);

struct SparseConvKernel {
  SparseConvFunction run = nullptr;
  int64_t tile_blocks = 1;  ///< blocks whose sums stay in registers
};

/// The kernel for one target, which must be among supported_targets().
SparseConvKernel sparse_conv_kernel(Target target);

/// The oracle.
void sparse_conv_reference(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
                           int64_t block_begin, int64_t block_end);

/// Tiles of fewer blocks have runs of a multiple of kRunMultiple taps, of which they add up several
/// at a time.
inline constexpr int64_t kSmallTile = 4;
inline constexpr int64_t kRunMultiple = 4;

/// What the scalar target computes at once.
inline constexpr int64_t kReferenceTileBlocks = 4;

}  // namespace strata::kernels
