// Every tap of a tiling has a place that means its offset, tiles move sums without losing a pixel
// of the output, and slices cover all planes within reach of 16 bits.
#include "kernels/sparse_conv/tiling.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

ConvGeometry random_geometry(int64_t largest_size) {
  Window window;
  int64_t size[2];
  int64_t output[2];
  for (size_t axis = 0; axis < 2; ++axis) {
    window.kernel[axis] = pick(1, 7);
    window.stride[axis] = pick(1, 3);
    window.dilation[axis] = pick(1, 4);
    window.pad_begin[axis] = pick(0, 6);
    window.pad_end[axis] = pick(0, 6);
    const int64_t reach = window.dilation[axis] * (window.kernel[axis] - 1) + 1;
    const int64_t padding = window.pad_begin[axis] + window.pad_end[axis];
    size[axis] = pick(std::max<int64_t>(1, reach - padding), largest_size);
    output[axis] = (size[axis] + padding - reach) / window.stride[axis] + 1;
  }
  return {window, size[0], size[1], output[0], output[1]};
}

ConvGeometry square(int64_t kernel, int64_t stride, int64_t size) {
  Window window;
  window.kernel = {kernel, kernel};
  window.stride = {stride, stride};
  window.pad_begin = window.pad_end = {kernel / 2, kernel / 2};
  return {window, size * stride, size * stride, size, size};
}

TileSizes random_sizes(int64_t most) { return {most, pick(0, most)}; }

RC_GTEST_PROP(Tiling, PlacesMeanTheirOffsets, ()) {
  const ConvGeometry geometry = random_geometry(80);
  const int64_t most = pick(2, 16);
  const int64_t pitch = choose_pitch(geometry, geometry.rows().output, pick(1, 90), most);
  RC_ASSERT(pitch >= geometry.min_pitch());
  const ConvTiling tiling = plan_tiling(geometry, pitch, pick(1, 300), random_sizes(most));
  for (const int64_t row : geometry.rows().shift) {
    for (const int64_t column : geometry.columns().shift) {
      const int64_t offset = row * pitch + column;
      const ConvTiling::Place place = tiling.place(offset);
      RC_ASSERT(place.block * kPixelBlock + tiling.shifts[static_cast<size_t>(place.shift)] ==
                offset);
      RC_ASSERT(place.block >= tiling.first_block);
      RC_ASSERT(place.block <= tiling.last_block);
    }
  }
  RC_ASSERT(tiling.tile_blocks + (tiling.overhang ? 1 : 0) <= most);
  RC_ASSERT(tiling.shifts.front() > -kPixelBlock);
  RC_ASSERT(tiling.shifts.back() < kPixelBlock);
  RC_ASSERT(tiling.shifts.back() - tiling.shifts.front() < kPixelBlock);
  RC_ASSERT(!tiling.overhang || tiling.shifts.front() >= 0);
}

RC_GTEST_PROP(Tiling, MovesLoseNoPixel, ()) {
  const ConvGeometry geometry = random_geometry(80);
  const int64_t most = pick(2, 16);
  const int64_t pitch = choose_pitch(geometry, geometry.rows().output, 1, most);
  const ConvTiling tiling = plan_tiling(geometry, pitch, pick(1, 300), random_sizes(most));
  if (tiling.overhang) return;
  const int64_t tile = tiling.tile_blocks * kPixelBlock;
  const int64_t height = geometry.rows().output;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < geometry.columns().output; ++x) {
      const int64_t in_tile = (y * pitch + x) % tile;
      // Sums that move beyond the end of the tile would be lost.
      RC_ASSERT(in_tile + tiling.shifts.back() < tile);
      for (const int64_t row : geometry.rows().shift) {
        for (const int64_t column : geometry.columns().shift) {
          const auto place = tiling.place(row * pitch + column);
          if (in_tile + tiling.shifts[static_cast<size_t>(place.shift)] >= 0) continue;
          // What moves in from before the tile is zero, so the tap must see padding.
          RC_ASSERT(x + column < 0 || y * pitch + x + row * pitch + column < 0);
        }
      }
    }
  }
}

RC_GTEST_PROP(Tiling, SlicesCoverAllPlanesWithin16Bits, ()) {
  const ConvTiling tiling =
      plan_tiling(random_geometry(40), pick(40, 90), pick(1, 300), random_sizes(pick(2, 16)));
  RC_ASSERT(check_taps(tiling).ok());
  const int64_t planes = pick(1, 3000);
  const int64_t stride = pick(1, 30000) * kPixelBlock;
  std::vector<double> taps_per_run(static_cast<size_t>(pick(1, 4)));
  for (double& taps : taps_per_run) taps = static_cast<double>(pick(0, 100000)) * 0.01;
  const std::vector<int64_t> slice_begin =
      pick(0, 1) == 1
          ? slice_planes(tiling, planes, stride, taps_per_run, pick(0, 1) == 1 ? kBundleRows : 1)
          : slice_planes(tiling, pick(1, 64), planes, stride, pick(0, 1 << 22));
  RC_ASSERT(slice_begin.front() == 0);
  RC_ASSERT(slice_begin.back() == planes);
  for (size_t slice = 0; slice + 1 < slice_begin.size(); ++slice) {
    const int64_t begin = slice_begin[slice];
    const int64_t end = slice_begin[slice + 1];
    RC_ASSERT(begin < end);
    RC_ASSERT((end - 1 - begin) * (stride / kPixelBlock) + tiling.last_block - tiling.first_block <=
              65535);
  }
}

RC_GTEST_PROP(Tiling, AnyTileThatIsAllowedIsWholeRowsOrThePlaneWhereMovesNeedThem, ()) {
  const ConvGeometry geometry = random_geometry(40);
  const int64_t most = pick(2, 16);
  const int64_t pitch = choose_pitch(geometry, geometry.rows().output, 1, most);
  const ConvTiling tiling = plan_tiling(geometry, pitch, pick(1, 300), random_sizes(most));
  const int64_t pixels = geometry.rows().output * pitch;
  const int64_t blocks = (pixels + kPixelBlock - 1) / kPixelBlock;
  const int64_t tile = allowed_tile(tiling, blocks, pick(1, 70));
  RC_ASSERT(tile >= 1);
  RC_ASSERT(tile + (tiling.overhang ? 1 : 0) <= most);
  const bool moves = tiling.shifts.size() > 1 || tiling.shifts.front() != 0;
  if (moves && !tiling.overhang && tile < blocks) RC_ASSERT(tile * kPixelBlock % pitch == 0);
}

TEST(Tiling, SlicesHoldWhatWasAskedFor) {
  const ConvTiling tiling = plan_tiling(square(1, 1, 56), 56, 64, {16, 0});
  const int64_t plane_bytes = 8 * kPixelBlock * int64_t{sizeof(float)};
  EXPECT_EQ(slice_planes(tiling, 8, 64, 3136, 16 * plane_bytes).size() - 1, 4U);
  EXPECT_EQ(slice_planes(tiling, 4, 64, 3136, 16 * plane_bytes).size() - 1, 2U);
  EXPECT_EQ(slice_planes(tiling, 8, 64, 3136, 0).size() - 1, 64U);
}

TEST(Tiling, RefusesTapsTooFarApart) {
  ConvTiling tiling;
  tiling.last_block = 70000;
  const Status status = check_taps(tiling);
  EXPECT_EQ(status.message(),
            "its taps lie 70000 blocks of 16 pixels apart, the runtime runs up to 65535");
}

TEST(Tiling, SlicesOfFewTapsAreDeeper) {
  const ConvGeometry geometry = square(1, 1, 56);
  const ConvTiling tiling = plan_tiling(geometry, 56, 64, {16, 0});
  const int64_t stride = 3136;
  const auto slices = [&](const std::vector<double>& taps) {
    return slice_planes(tiling, 2048, stride, taps, 1).size() - 1;
  };
  EXPECT_LT(slices({0}), slices({200}));
  EXPECT_LE(slices({200}), slices({2048}));
  EXPECT_LT(slices({0}), slices({0, 2048}));
  EXPECT_LT(slices({0, 2048}), slices({2048}));
}

TEST(Tiling, SlicesForASmallCacheAreFlatter) {
  const ConvTiling tiling = plan_tiling(square(1, 1, 56), 56, 64, {16, 0});
  const auto slices = [&](double taps, int64_t cache_kib) {
    return slice_planes(tiling, 2048, 3136, std::vector<double>{taps}, 1, cache_kib << 10).size() -
           1;
  };
  EXPECT_GT(slices(2048, 32), slices(2048, 48));
  EXPECT_GT(slices(600, 32), slices(600, 48));
  EXPECT_EQ(slices(0, 32), slices(0, 48));  // as deep as slices may be
}

TEST(Tiling, BundlesOfRowsHaveNarrowTilesAndFlatterSlices) {
  const ConvTiling bundled = plan_tiling(square(1, 1, 56), 56, 256, {16, 6});
  EXPECT_EQ(bundled.tile_blocks, 6);
  EXPECT_EQ(bundled.bundle(6), kBundleRows);
  EXPECT_EQ(bundled.bundle(7), 1);
  EXPECT_EQ(plan_tiling(square(1, 1, 56), 56, 64, {16, 6}).tile_blocks, 9);  // in one slice
  const ConvTiling moved = plan_tiling(square(3, 1, 56), 64, 256, {16, 6});
  EXPECT_EQ(moved.tile_blocks, 16);
  EXPECT_EQ(moved.bundle(moved.tile_blocks), 1);
  const auto slices = [&](int64_t bundle) {
    return slice_planes(bundled, 2048, 3136, std::vector<double>{300}, bundle, 48 << 10).size();
  };
  EXPECT_GT(slices(kBundleRows), slices(1));
}

TEST(Tiling, OfResNetNeedsNoSpareBlock) {
  for (const int64_t size : {56, 28, 14, 7}) {
    const ConvGeometry geometry = square(3, 1, size);
    const ConvTiling tiling =
        plan_tiling(geometry, choose_pitch(geometry, size, size, 16), 64, {16, 6});
    EXPECT_FALSE(tiling.overhang) << size;
    EXPECT_EQ(tiling.shifts.size(), size == 7 ? 6U : 3U) << size;
  }
}

TEST(Tiling, PitchIsWholeBlocksUnlessThatWastesMuch) {
  EXPECT_EQ(choose_pitch(square(3, 1, 56), 56, 56, 16), 64);
  EXPECT_EQ(choose_pitch(square(3, 1, 14), 14, 14, 16), 16);
  EXPECT_EQ(choose_pitch(square(3, 1, 7), 7, 7, 16), 8);      // the plane fits one tile
  EXPECT_EQ(choose_pitch(square(3, 1, 33), 33, 33, 16), 34);  // 48 would be half as much again
  EXPECT_EQ(choose_pitch(square(1, 1, 56), 56, 56, 16), 56);  // nothing to move
}

}  // namespace
}  // namespace strata::kernels
