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

/// Where the runs of one list and one slice begin and end among the steps of all runs.
struct TapList {
  const uint32_t* begin = nullptr;  ///< [run]
  const uint32_t* end = nullptr;    ///< [run]
};

inline constexpr int64_t kMostTapLists = 4;

/// Rows that are walked together where that is faster.
inline constexpr int64_t kBundleRows = 4;

/// The taps of a level and a slice, in a few lists, all in the same memory. Rows stand at places,
/// and those of as many places as a bundle has are walked together: step i of a run has one tap for
/// each of them, at i * bundle + place in the bundle. Runs are numbered
/// bundle * shift_count + shift; their steps are those of all lists, from each a multiple of
/// SparseConvArguments::run_multiple; taps of weight 0 make up for what is missing.
struct TapLists {
  const float* weights = nullptr;    ///< of bundles of several rows aligned to a step
  const uint16_t* blocks = nullptr;  ///< what a tap reads, from SparseConvArguments::input on
  std::array<TapList, kMostTapLists> lists;  ///< in steps
  int64_t count = 1;                         ///< of lists
  int64_t bundle = 1;                        ///< rows: 1 or kBundleRows
  const uint32_t* rows = nullptr;  ///< [place] of bundles of several; null: row r at place r
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
  int64_t run_multiple = 1;  ///< 1 or, of bundles of one row, kRunMultiple
  bool overhang = false;     ///< sums reach into the block after the computed ones
};

/// Computes the rows at places [begin, end), whole bundles, over the blocks
/// [block_begin, block_end) of a plane, at most as many as TileSizes has for such bundles, one less
/// with overhang. Each output pixel adds up its taps in their order, so results do not depend on
/// which rows are computed together.
using SparseConvFunction = void (*)(const SparseConvArguments& arguments, int64_t begin,
                                    int64_t end, int64_t block_begin, int64_t block_end);

/// Blocks whose sums stay in registers.
struct TileSizes {
  int64_t most = 1;     ///< of one row
  int64_t bundled = 0;  ///< of each row of a bundle; 0: there are no bundles
};

struct SparseConvKernel {
  SparseConvFunction run = nullptr;
  TileSizes tiles;
};

/// The kernel for one target, which must be among supported_targets().
SparseConvKernel sparse_conv_kernel(Target target);

/// The oracle.
void sparse_conv_reference(const SparseConvArguments& arguments, int64_t begin, int64_t end,
                           int64_t block_begin, int64_t block_end);

/// Tiles of fewer blocks have runs of a multiple of kRunMultiple taps, of which they add up several
/// at a time.
inline constexpr int64_t kSmallTile = 4;
inline constexpr int64_t kRunMultiple = 4;

/// What the scalar target computes at once.
inline constexpr TileSizes kReferenceTiles = {4, 2};

}  // namespace strata::kernels
