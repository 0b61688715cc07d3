// Whatever the levels and however many taps there are, the runs of a level are its weights, each in
// the run of its row, slice and shift, and dropping levels changes nothing below.
#include "runtime/tap_weights.h"

#include <map>
#include <random>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace strata::runtime {
namespace {

int64_t pick(int64_t least, int64_t most) { return *rc::gen::inRange(least, most + 1); }

/// By row, plane, shift and block within the plane.
using Taps = std::map<std::tuple<int64_t, int64_t, int64_t, int64_t>, float>;

struct Problem {
  MatrixShape shape;
  kernels::ConvTiling tiling;
  TapGeometry geometry{tiling, {}, 0, 0};
  std::vector<sparse::Increment> increments;
  std::vector<Taps> levels;
};

void fill(Problem& p, int64_t rows, int64_t planes, int64_t columns_per_plane, int levels,
          uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](int64_t count) {
    return static_cast<int64_t>(random() % static_cast<uint32_t>(count));
  };
  p.shape = {rows, planes * columns_per_plane, random() % 2 == 0};
  p.tiling.tile_blocks = 1 + below(16);
  p.tiling.run_multiple = random() % 2 == 0 ? 1 : kernels::kRunMultiple;
  p.tiling.shifts = {-1, 0, 1};
  p.tiling.sizes = {16, below(17)};
  do p.geometry.groups = 1 + below(rows);
  while (rows % p.geometry.groups != 0);
  p.geometry.tasks = 1 + below(20);
  p.tiling.last_block = columns_per_plane;
  p.geometry.planes = planes;
  p.geometry.plane_stride = (columns_per_plane + below(40)) * kernels::kPixelBlock;
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t i = 0; i < columns_per_plane; ++i) {
      const bool sees = random() % 8 != 0;
      p.geometry.columns.push_back(sees ? TapColumn{plane, i, below(3)} : TapColumn{});
    }
  }
  p.increments.resize(static_cast<size_t>(levels));
  for (uint32_t position = 0; position < static_cast<uint32_t>(rows * p.shape.columns);
       ++position) {
    const auto level = static_cast<size_t>(random() % 12);
    if (level >= p.increments.size()) continue;
    p.increments[level].positions.push_back(position);
    p.increments[level].values.push_back(static_cast<float>(position) + 1);
  }
  Taps taps;
  for (const sparse::Increment& increment : p.increments) {
    for (size_t i = 0; i < increment.positions.size(); ++i) {
      const uint32_t position = increment.positions[i];
      const TapColumn& column = p.geometry.columns[static_cast<size_t>(p.shape.column(position))];
      if (column.plane == TapColumn::kNowhere) continue;
      taps[{p.shape.row(position), column.plane, column.shift, column.block}] = increment.values[i];
    }
    p.levels.push_back(taps);
  }
}

Taps taps_of(const Problem& p, const TapWeights& weights, int level) {
  Taps found;
  const std::vector<int64_t>& slices = weights.slices(level);
  const auto shifts = static_cast<int64_t>(p.tiling.shifts.size());
  const int64_t plane_blocks = p.geometry.plane_stride / kernels::kPixelBlock;
  for (size_t slice = 0; slice + 1 < slices.size(); ++slice) {
    const kernels::TapLists taps = weights.taps(level, static_cast<int64_t>(slice));
    EXPECT_LE(taps.count, kernels::kMostTapLists);
    EXPECT_TRUE(taps.bundle == 1 || p.tiling.bundle(weights.tile_blocks(level)) == taps.bundle);
    const int64_t multiple = taps.bundle == 1 ? p.tiling.run_multiple : 1;
    for (int64_t run = 0; run < p.shape.rows / taps.bundle * shifts; ++run) {
      for (size_t list = 0; list < static_cast<size_t>(taps.count); ++list) {
        const uint32_t begin = taps.lists[list].begin[run];
        const uint32_t end = taps.lists[list].end[run];
        EXPECT_EQ((end - begin) % multiple, 0);
        for (int64_t i = begin * taps.bundle; i < end * taps.bundle; ++i) {
          const int64_t plane = slices[slice] + taps.blocks[i] / plane_blocks;
          EXPECT_LT(plane, slices[slice + 1]);
          if (taps.weights[i] == 0) continue;  // makes up for what is missing
          const int64_t place = run / shifts * taps.bundle + i % taps.bundle;
          const int64_t row = taps.rows == nullptr ? place : taps.rows[place];
          // Rows stay in their part of their group.
          const int64_t group = p.shape.rows / p.geometry.groups;
          const int64_t part = weights.part_rows(level);
          EXPECT_EQ(row / group, place / group);
          EXPECT_EQ(row % group / part, place % group / part);
          found[{row, plane, run % shifts, taps.blocks[i] % plane_blocks}] = taps.weights[i];
        }
      }
    }
  }
  return found;
}

TEST(TapWeights, RunsOfALevelAreItsWeights) {
  EXPECT_TRUE(rc::check("taps of any level", [] {
    Problem p;
    const int levels = static_cast<int>(pick(1, 7));
    const bool many = *rc::gen::arbitrary<bool>();  // more taps than lists of one level may have
    fill(p, many ? 90 : pick(1, 40), many ? 300 : pick(1, 60), many ? 4 : pick(1, 4), levels,
         static_cast<uint32_t>(pick(0, 1000)));
    std::vector<const sparse::Increment*> increments;
    for (const sparse::Increment& increment : p.increments) increments.push_back(&increment);
    auto packed = TapWeights::pack(p.shape, p.geometry, increments, {}, "test");
    RC_ASSERT(packed.ok());
    for (int kept = levels; kept > 0; kept = static_cast<int>(pick(0, kept - 1))) {
      const size_t bytes = packed->bytes();
      packed->keep_levels(static_cast<size_t>(kept));
      RC_ASSERT(packed->bytes() <= bytes);
      for (int level = 0; level < kept; ++level) {
        RC_ASSERT(taps_of(p, *packed, level) == p.levels[static_cast<size_t>(level)]);
      }
    }
  }));
}

/// How many lists every level of a matrix of 256x512 weights has, of which `percents` are in the
/// levels.
std::vector<int64_t> lists_of(const std::vector<int>& percents) {
  Problem p;
  p.shape = {256, 512, false};
  p.tiling.shifts = {0};
  p.geometry.planes = 512;
  p.geometry.plane_stride = kernels::kPixelBlock;
  for (int64_t plane = 0; plane < 512; ++plane) p.geometry.columns.push_back({plane, 0, 0});
  p.increments.resize(percents.size());
  for (uint32_t position = 0; position < 256 * 512; ++position) {
    const auto percent = static_cast<int>(position * 37 % 100);
    const auto level = std::upper_bound(percents.begin(), percents.end(), percent);
    if (level == percents.end()) continue;
    sparse::Increment& increment = p.increments[static_cast<size_t>(level - percents.begin())];
    increment.positions.push_back(position);
    increment.values.push_back(1);
  }
  std::vector<const sparse::Increment*> increments;
  for (const sparse::Increment& increment : p.increments) increments.push_back(&increment);
  const TapWeights packed = TapWeights::pack(p.shape, p.geometry, increments, {}, "test").value();
  std::vector<int64_t> lists;
  for (size_t level = 0; level < percents.size(); ++level) {
    lists.push_back(packed.list_count(static_cast<int>(level)));
  }
  return lists;
}

TEST(TapWeights, SparsestLevelsHaveListsOfTheirOwnWhereThatStoresLittleTwice) {
  EXPECT_EQ(lists_of({2, 5, 13}), (std::vector<int64_t>{1, 1, 1}));  // few taps
  EXPECT_EQ(lists_of({13, 30}), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(lists_of({2, 5, 13, 30}), (std::vector<int64_t>{1, 1, 2, 3}));
  EXPECT_EQ(lists_of({1, 2, 40}), (std::vector<int64_t>{1, 1, 1}));
  EXPECT_EQ(lists_of({10, 20, 30, 40, 50, 60}), (std::vector<int64_t>{1, 1, 1, 2, 3, 4}));
}

}  // namespace
}  // namespace strata::runtime
