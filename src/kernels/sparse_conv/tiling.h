// How the work of one convolution is cut: its output into tiles whose sums stay in registers, its
// taps by the lanes that they are off a block boundary, its input channels into slices that stay in
// the first-level cache while all rows pass over them. Fixed when a plan is made, so that results
// do not depend on the number of threads.
//
// Taps that share an offset modulo the block are added up with aligned loads, as if they had no
// such rest; then the sums of the whole tile are moved by it. For that to be right, what a move
// loses or lets in must be zero or outside of the output: a tile is whole rows of a pitch that is
// whole blocks (what crosses its ends is padding), or the whole plane, or it has a spare block.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/cache_size.h"
#include "core/status.h"
#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/geometry.h"
#include "kernels/sparse_conv/sparse_conv.h"

namespace strata::kernels {

struct ConvTiling {
  /// Blocks of a narrow tile of single rows. Without shifts, narrow tiles and deep slices write
  /// fewer sums than wide tiles and flat slices do.
  static constexpr int64_t kNarrowTile = 9;

  /// Where a tap goes: its index into `shifts` and the blocks that it is off.
  struct Place {
    int64_t shift = 0;
    int64_t block = 0;
  };

  TileSizes sizes;              ///< of the kernel
  int64_t tile_blocks = 1;      ///< output blocks of one tile, by the rules
  int64_t most_blocks = 1;      ///< that a tile may have
  int64_t tile_multiple = 1;    ///< what a tile smaller than the plane is a multiple of; 0: none is
  bool overhang = false;        ///< tiles sum one spare block
  int64_t run_multiple = 1;     ///< as SparseConvArguments::run_multiple
  std::vector<int32_t> shifts;  ///< as SparseConvArguments::shifts
  int64_t first_block = 0;      ///< least block of a tap, at most 0
  int64_t last_block = 0;       ///< largest, at least 0
  int64_t least_offset = 0;     ///< of a tap in floats, at most 0
  int64_t largest_offset = 0;   ///< at least 0

  /// `offset` in floats within a plane must be one of the geometry that the tiling was made for.
  [[nodiscard]] Place place(int64_t offset) const;
  /// Rows that are walked together where tiles have `blocks` output blocks.
  [[nodiscard]] int64_t bundle(int64_t blocks) const {
    return blocks + (overhang ? 1 : 0) <= sizes.bundled ? kBundleRows : 1;
  }
  /// Floats before the first pixel of a plane where its first block is that a tap can name.
  [[nodiscard]] int64_t block_base() const { return -first_block * kPixelBlock; }
  /// Floats that a plane needs before its first pixel, whether taps read blocks or offsets.
  [[nodiscard]] int64_t head() const { return std::max(block_base(), -least_offset); }
  /// Floats from the first pixel of a plane on that tiles of `blocks` output blocks read.
  [[nodiscard]] int64_t reach(int64_t blocks) const {
    return std::max((blocks + last_block + (overhang ? 1 : 0)) * kPixelBlock,
                    blocks * kPixelBlock + largest_offset);
  }
};

/// The best pitch at or above geometry.min_pitch() for planes of `height` rows: whole blocks where
/// that costs little, so that only column shifts are left.
int64_t choose_pitch(const ConvGeometry& geometry, int64_t height, int64_t least_pitch,
                     int64_t max_tile_blocks);

/// `planes`: inputs of one group. `sizes`: of the kernel, at least 2 blocks.
ConvTiling plan_tiling(const ConvGeometry& geometry, int64_t pitch, int64_t planes,
                       const TileSizes& sizes);

/// Errors: taps of one plane so far apart that they do not fit the 16 bits of TapLists::blocks.
Status check_taps(const ConvTiling& tiling);

/// The tile nearest to `wanted` blocks that `tiling` allows for planes of `blocks` blocks.
int64_t allowed_tile(const ConvTiling& tiling, int64_t blocks, int64_t wanted);

/// Cuts the `planes` of one group, `plane_stride` floats apart, into slices of which a tile of
/// `tile_blocks` reads `bytes`, at least one plane: where these begin, [slice + 1].
std::vector<int64_t> slice_planes(const ConvTiling& tiling, int64_t tile_blocks, int64_t planes,
                                  int64_t plane_stride, int64_t bytes);

/// The same of a size that suits the taps and the first-level cache. With few of them a slice is
/// larger than what stays in the first-level cache, for starting a run would cost more than what it
/// saves. `taps_per_run`: of every level that the slices are for, on average, were there one slice;
/// what several levels want is met halfway. `bundle`: rows that are walked together.
std::vector<int64_t> slice_planes(const ConvTiling& tiling, int64_t planes, int64_t plane_stride,
                                  std::span<const double> taps_per_run, int64_t bundle,
                                  int64_t cache_bytes = first_level_cache_bytes());

/// The tiling of a matrix product over a batch: every input feature is a plane of `blocks` blocks.
ConvTiling plan_product_tiling(int64_t blocks, const TileSizes& sizes);

}  // namespace strata::kernels
