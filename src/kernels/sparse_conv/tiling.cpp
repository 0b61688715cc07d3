// See tiling.h.
#include "kernels/sparse_conv/tiling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "kernels/sparse_conv/sparse_conv.h"

namespace strata::kernels {
namespace {

/// Most input bytes of one slice of one tile, and the first-level cache for which the rules of
/// slices were found.
constexpr int64_t kMostSliceBytes = int64_t{128} << 10;
constexpr int64_t kUsualCacheBytes = int64_t{48} << 10;
constexpr double kBundledRunBlocks = 70;  // of each row's run in a bundle
constexpr int64_t kNarrowTile = ConvTiling::kNarrowTile;
constexpr int64_t kBlockBytes = kPixelBlock * int64_t{sizeof(float)};
constexpr int64_t kLargestBlock = std::numeric_limits<uint16_t>::max();

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Equal parts of at most `largest`.
int64_t balanced(int64_t total, int64_t largest) {
  return divide_up(total, divide_up(total, largest));
}

int64_t remainder(int64_t a) { return ((a % kPixelBlock) + kPixelBlock) % kPixelBlock; }

std::set<int64_t> offsets(const ConvGeometry& geometry, int64_t pitch) {
  std::set<int64_t> offsets;
  for (const int64_t row : geometry.rows().shift) {
    for (const int64_t column : geometry.columns().shift) offsets.insert(row * pitch + column);
  }
  return offsets;
}

bool movable(const std::set<int64_t>& shifts) {
  return *shifts.begin() > -kPixelBlock && *shifts.rbegin() < kPixelBlock &&
         *shifts.rbegin() - *shifts.begin() < kPixelBlock;
}

/// Shifts for a tile that is the whole plane, or none if moves would lose pixels.
std::set<int64_t> whole_plane_shifts(const ConvGeometry& geometry, int64_t pitch, int64_t blocks) {
  const int64_t last_pixel = (geometry.rows().output - 1) * pitch + geometry.columns().output - 1;
  std::set<int64_t> shifts;
  for (const int64_t offset : offsets(geometry, pitch)) {
    int64_t shift = remainder(offset);
    if (last_pixel + shift >= blocks * kPixelBlock) {
      shift -= kPixelBlock;
      if (offset - shift > 0) return {};
    }
    shifts.insert(shift);
  }
  return movable(shifts) ? shifts : std::set<int64_t>();
}

/// Blocks of a tile whose sums are never moved. Bundles of rows pay by what deep slices of narrow
/// tiles save, so not where one slice may have all of the `planes`.
int64_t narrow_tile(int64_t planes, const TileSizes& sizes) {
  const int64_t of_rows = std::min(sizes.most, kNarrowTile);
  const bool one_slice = planes * of_rows * kBlockBytes <= kMostSliceBytes;
  return sizes.bundled > 0 && !one_slice ? sizes.bundled : of_rows;
}

/// Tiles of a few vectors run several taps at a time, for which their runs are made longer. Tiles
/// that are less small gain nothing.
int64_t choose_run_multiple(int64_t summed_blocks) {
  return summed_blocks < kSmallTile ? kRunMultiple : 1;
}

/// What a tile reads of one plane.
int64_t plane_bytes(const ConvTiling& tiling, int64_t tile_blocks) {
  const int64_t span = tiling.last_block - tiling.first_block;
  return (tile_blocks + span) * kBlockBytes;
}

/// Equal slices of at most `wanted` planes, and of at most as many as taps can address.
std::vector<int64_t> cut_planes(const ConvTiling& tiling, int64_t planes, int64_t plane_stride,
                                int64_t wanted) {
  const int64_t span = tiling.last_block - tiling.first_block;
  const int64_t plane_blocks = std::max<int64_t>(plane_stride / kPixelBlock, 1);
  const int64_t addressable = (kLargestBlock - span) / plane_blocks + 1;
  const int64_t size = balanced(planes, std::min(addressable, wanted));
  std::vector<int64_t> begin = {0};
  while (begin.back() < planes) begin.push_back(std::min(planes, begin.back() + size));
  return begin;
}

}  // namespace

ConvTiling::Place ConvTiling::place(int64_t offset) const {
  for (size_t i = 0; i < shifts.size(); ++i) {
    if (remainder(offset - shifts[i]) == 0) {
      return {static_cast<int64_t>(i), (offset - shifts[i]) / kPixelBlock};
    }
  }
  return {};
}

int64_t choose_pitch(const ConvGeometry& geometry, int64_t height, int64_t least_pitch,
                     int64_t max_tile_blocks) {
  const int64_t pitch = std::max(least_pitch, geometry.min_pitch());
  if (geometry.rows().shift.size() == 1 && geometry.columns().shift.size() == 1) return pitch;
  constexpr int64_t kLargestWaste = 4;  // a quarter
  const int64_t whole = round_up(pitch, kPixelBlock);
  const int64_t blocks = divide_up(height * pitch, kPixelBlock);
  if (height * whole / kPixelBlock == blocks) return whole;
  const bool small = blocks <= max_tile_blocks;
  return small || (whole - pitch) * kLargestWaste > pitch ? pitch : whole;
}

ConvTiling plan_tiling(const ConvGeometry& geometry, int64_t pitch, int64_t planes,
                       const TileSizes& sizes) {
  const int64_t max_tile_blocks = sizes.most;
  ConvTiling tiling;
  tiling.sizes = sizes;
  const int64_t height = geometry.rows().output;
  const int64_t blocks = divide_up(height * pitch, kPixelBlock);
  const auto& columns = geometry.columns().shift;
  const std::set<int64_t> column_shifts(columns.begin(), columns.end());
  const std::set<int64_t> all = offsets(geometry, pitch);
  std::set<int64_t> shifts = {0};
  const int64_t row_blocks = pitch / kPixelBlock;
  if (std::all_of(all.begin(), all.end(), [](int64_t o) { return remainder(o) == 0; })) {
    tiling.tile_blocks = balanced(blocks, narrow_tile(planes, sizes));
    tiling.most_blocks = max_tile_blocks;
  } else if (pitch % kPixelBlock == 0 && row_blocks <= max_tile_blocks && movable(column_shifts)) {
    tiling.tile_blocks = balanced(height, max_tile_blocks / row_blocks) * row_blocks;
    tiling.most_blocks = max_tile_blocks;
    tiling.tile_multiple = row_blocks;
    shifts = column_shifts;
  } else if (blocks <= max_tile_blocks && !whole_plane_shifts(geometry, pitch, blocks).empty()) {
    tiling.tile_blocks = blocks;
    tiling.most_blocks = blocks;
    tiling.tile_multiple = 0;
    shifts = whole_plane_shifts(geometry, pitch, blocks);
  } else {
    tiling.tile_blocks = balanced(blocks, max_tile_blocks - 1);
    tiling.most_blocks = max_tile_blocks - 1;
    tiling.overhang = true;
    shifts.clear();
    for (const int64_t offset : all) shifts.insert(remainder(offset));
  }
  tiling.run_multiple = choose_run_multiple(tiling.tile_blocks + (tiling.overhang ? 1 : 0));
  for (const int64_t shift : shifts) tiling.shifts.push_back(static_cast<int32_t>(shift));
  for (const int64_t offset : all) {
    const int64_t block = tiling.place(offset).block;
    tiling.first_block = std::min(tiling.first_block, block);
    tiling.last_block = std::max(tiling.last_block, block);
    tiling.least_offset = std::min(tiling.least_offset, offset);
    tiling.largest_offset = std::max(tiling.largest_offset, offset);
  }
  return tiling;
}

Status check_taps(const ConvTiling& tiling) {
  const int64_t span = tiling.last_block - tiling.first_block;
  if (span <= kLargestBlock) return {};
  return unsupported("its taps lie " + std::to_string(span) + " blocks of " +
                     std::to_string(kPixelBlock) + " pixels apart, the runtime runs up to " +
                     std::to_string(kLargestBlock));
}

int64_t allowed_tile(const ConvTiling& tiling, int64_t blocks, int64_t wanted) {
  const int64_t multiple = tiling.tile_multiple;
  if (multiple == 0) return tiling.tile_blocks;
  const int64_t parts = divide_up(blocks, multiple);
  const int64_t most = std::clamp<int64_t>(wanted / multiple, 1, tiling.most_blocks / multiple);
  return balanced(parts, most) * multiple;
}

std::vector<int64_t> slice_planes(const ConvTiling& tiling, int64_t tile_blocks, int64_t planes,
                                  int64_t plane_stride, int64_t bytes) {
  return cut_planes(tiling, planes, plane_stride,
                    std::max<int64_t>(1, bytes / plane_bytes(tiling, tile_blocks)));
}

std::vector<int64_t> slice_planes(const ConvTiling& tiling, int64_t planes, int64_t plane_stride,
                                  std::span<const double> taps_per_run, int64_t bundle,
                                  int64_t cache_bytes) {
  const int64_t read_bytes = plane_bytes(tiling, tiling.tile_blocks);
  const int64_t least = std::max<int64_t>(1, cache_bytes / read_bytes);
  const int64_t most = std::max<int64_t>(1, kMostSliceBytes / read_bytes);
  // Starting a run costs as much as adding up some blocks, of which it should have many more: by
  // measurement so many, and fewer where less of a slice stays in the cache.
  const auto tile_blocks = static_cast<double>(tiling.tile_blocks);
  const double of_row = bundle > 1 ? kBundledRunBlocks : std::max(135.0, 60 + 7 * tile_blocks);
  const double run_blocks = of_row * static_cast<double>(cache_bytes) / kUsualCacheBytes;
  double logarithms = 0;
  for (const double taps : taps_per_run) {
    const double blocks = std::max(1.0, taps * tile_blocks);  // of a run over all planes
    const double wanted = static_cast<double>(planes) * run_blocks / blocks;
    logarithms +=
        std::log(std::clamp(wanted, static_cast<double>(least), static_cast<double>(most)));
  }
  const int64_t mean =
      std::llround(std::exp(logarithms / static_cast<double>(taps_per_run.size())));
  return cut_planes(tiling, planes, plane_stride, mean);
}

ConvTiling plan_product_tiling(int64_t blocks, const TileSizes& sizes) {
  ConvTiling tiling;
  tiling.sizes = sizes;
  tiling.tile_blocks = balanced(blocks, sizes.bundled > 0 ? sizes.bundled : sizes.most);
  tiling.most_blocks = sizes.most;
  tiling.run_multiple = choose_run_multiple(tiling.tile_blocks);
  tiling.shifts = {0};
  return tiling;
}

}  // namespace strata::kernels
