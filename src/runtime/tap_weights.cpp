// See tap_weights.h.
#include "runtime/tap_weights.h"

#include <algorithm>
#include <utility>

#include "runtime/row_bundles.h"
#include "runtime/tasks.h"

namespace strata::runtime {
namespace {

using kernels::kPixelBlock;

/// Runs of a row in a slice, of all shifts and lists: rows that are to be alike in more of them are
/// not found, and bundles would be a quarter longer.
constexpr int64_t kMostBundledRuns = 12;

/// Rows of a part at least, of which bundles are made.
constexpr int64_t kLeastPart = 32;

uint32_t round_up(uint32_t value, uint32_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// A level has at most kMostTapLists lists.
size_t least_alone(size_t levels) {
  const size_t most_lists = kernels::kMostTapLists;
  return levels > most_lists ? levels - most_lists + 1 : 1;
}

/// How many of the sparsest levels have lists of their own, which are walked as if they were alone:
/// all of a step with few taps, else as many as store few of them twice; more of them are streamed
/// and take memory. `taps`: [level].
size_t choose_alone(std::span<const int64_t> taps) {
  constexpr int64_t kFewTaps = 1 << 15;
  constexpr int64_t kShareTwice = 12;  // of all taps
  if (taps.empty() || taps.back() <= kFewTaps) return std::max<size_t>(taps.size(), 1);
  int64_t twice = 0;
  size_t alone = 1;
  while (alone < taps.size() && (twice + taps[alone - 1]) * kShareTwice <= taps.back()) {
    twice += taps[alone - 1];
    ++alone;
  }
  return std::max(alone, least_alone(taps.size()));
}

/// The places of the taps of the lists that share slices.
class Places {
 public:
  Places(const MatrixShape& shape, const TapGeometry& geometry,
         const std::vector<int64_t>& slice_begin)
      : shape_(shape), shifts_(static_cast<int64_t>(geometry.tiling.shifts.size())) {
    const int64_t plane_blocks = geometry.plane_stride / kPixelBlock;
    for (const TapColumn& column : geometry.columns) {
      Place& place = places_.emplace_back();
      if (column.plane == TapColumn::kNowhere) continue;
      const auto after = std::upper_bound(slice_begin.begin(), slice_begin.end(), column.plane);
      const int64_t slice = after - slice_begin.begin() - 1;
      place.run = slice * shape.rows * shifts_ + column.shift;
      place.block =
          static_cast<uint16_t>((column.plane - *(after - 1)) * plane_blocks + column.block);
    }
  }

  struct Place {
    int64_t run = TapColumn::kNowhere;  ///< of a row by itself; kNowhere for one that sees nothing
    uint16_t block = 0;
  };
  [[nodiscard]] Place of(uint32_t position) const {
    Place place = places_[static_cast<size_t>(shape_.column(position))];
    if (place.run != TapColumn::kNowhere) place.run += shape_.row(position) * shifts_;
    return place;
  }

 private:
  const MatrixShape& shape_;
  int64_t shifts_;
  std::vector<Place> places_;  ///< [column], of row 0
};

}  // namespace

Result<TapWeights> TapWeights::pack(const MatrixShape& shape, const TapGeometry& geometry,
                                    std::span<const sparse::Increment* const> increments,
                                    const StepTuning& tuning, const std::string& purpose) {
  TapWeights packed;
  packed.rows_ = shape.rows;
  packed.shifts_ = static_cast<int64_t>(geometry.tiling.shifts.size());
  const size_t levels = increments.size();
  std::vector<double> taps_per_run;  // [level], were there one slice
  std::vector<int64_t> taps;         // [level]
  for (const sparse::Increment* increment : increments) {
    taps.push_back((taps.empty() ? 0 : taps.back()) +
                   static_cast<int64_t>(increment->positions.size()));
    taps_per_run.push_back(static_cast<double>(taps.back()) /
                           static_cast<double>(shape.rows * packed.shifts_));
  }
  packed.alone_ = choose_alone(taps);
  if (tuning.alone > 0) {
    packed.alone_ = std::clamp(static_cast<size_t>(tuning.alone), least_alone(levels), levels);
  }
  const auto tuned = [&tuning](size_t level) {
    return level < tuning.levels.size() ? tuning.levels[level] : LevelTuning();
  };
  for (size_t level = 0; level < levels; ++level) {
    const int64_t wanted = tuned(level).tile_blocks;
    packed.tile_blocks_.push_back(
        wanted > 0 ? kernels::allowed_tile(geometry.tiling, geometry.blocks, wanted)
                   : geometry.tiling.tile_blocks);
  }
  for (size_t level = 0; level < packed.alone_; ++level) {
    const int64_t kib = tuned(level).slice_kib;
    const size_t sharing = level + 1 < packed.alone_ ? 1 : levels - level;
    Slicing& slicing = packed.slicings_.emplace_back();
    const auto tiles = std::span(packed.tile_blocks_).subspan(level, sharing);
    slicing.group_rows = shape.rows / geometry.groups;
    slicing.bundle = geometry.tiling.bundle(*std::max_element(tiles.begin(), tiles.end()));
    const int64_t runs_of_row = packed.shifts_ * static_cast<int64_t>(sharing);
    if (slicing.group_rows % slicing.bundle != 0 || runs_of_row > kMostBundledRuns) {
      slicing.bundle = 1;
    }
    slicing.part_rows = 1;
    if (slicing.bundle > 1) {
      const int64_t parts = divide_up(
          geometry.tasks, geometry.groups * divide_up(geometry.blocks, packed.tile_blocks_[level]));
      slicing.part_rows = std::min(
          slicing.group_rows,
          std::max(kLeastPart,
                   kernels::round_up(divide_up(slicing.group_rows, parts), slicing.bundle)));
    }
    slicing.begin =
        kib > 0 ? kernels::slice_planes(geometry.tiling, packed.tile_blocks_[level],
                                        geometry.planes, geometry.plane_stride, kib << 10)
                : kernels::slice_planes(geometry.tiling, geometry.planes, geometry.plane_stride,
                                        std::span(taps_per_run).subspan(level, sharing),
                                        slicing.bundle);
  }
  // Counts the taps of each row's runs, bundles rows of like counts, then turns counts into places.
  const auto first_increment = [&](size_t list) { return list < packed.alone_ ? 0 : list; };
  const auto slicing_of = [&](size_t list) -> Slicing& {
    return packed.slicings_[packed.slicing_of(static_cast<int>(list))];
  };
  std::vector<Places> places;                       // [slicing]
  std::vector<std::vector<uint32_t>> next(levels);  // [list][run of a row]: where its next tap goes
  for (size_t list = 0; list < levels; ++list) {
    const std::vector<int64_t>& slices = slicing_of(list).begin;
    if (list < packed.alone_) places.emplace_back(shape, geometry, slices);
    next[list].resize(static_cast<size_t>(packed.rows_ * packed.shifts_) * (slices.size() - 1));
    for (size_t k = first_increment(list); k <= list; ++k) {
      for (const uint32_t position : increments[k]->positions) {
        const int64_t run = places.back().of(position).run;
        if (run != TapColumn::kNowhere) ++next[list][static_cast<size_t>(run)];
      }
    }
  }
  for (size_t s = 0; s < packed.alone_; ++s) {
    const size_t sharing = s + 1 < packed.alone_ ? 1 : levels - s;
    packed.bundle_rows(packed.slicings_[s], std::span(next).subspan(s, sharing));
  }
  uint32_t end = 0;
  std::vector<std::vector<uint8_t>> longest(levels);  // [list][run]: place of the row in the bundle
  for (size_t list = 0; list < levels; ++list) {
    const Slicing& slicing = slicing_of(list);
    const auto bundle = static_cast<uint32_t>(slicing.bundle);
    const auto multiple = bundle > 1 ? 1 : static_cast<uint32_t>(geometry.tiling.run_multiple);
    const size_t runs = next[list].size() / bundle;
    STRATA_ASSIGN_OR_RETURN(auto begin, AlignedBuffer<uint32_t>::create(runs + 1, purpose));
    longest[list].resize(runs);
    end = round_up(end, static_cast<uint32_t>(kernels::kBundleRows));
    for (size_t run = 0; run < runs; ++run) {
      uint32_t steps = 0;
      for (uint32_t r = 0; r < bundle; ++r) {
        uint32_t& count = next[list][packed.run_of_row(slicing, run, r)];
        if (count > steps) longest[list][run] = static_cast<uint8_t>(r);
        steps = std::max(steps, count);
        count = end + r;
      }
      begin[run] = end / bundle;
      end += round_up(steps, multiple) * bundle;
    }
    begin[runs] = end / bundle;
    packed.run_begin_.push_back(std::move(begin));
  }
  STRATA_ASSIGN_OR_RETURN(packed.weights_, AlignedBuffer<float>::create(end, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.blocks_, AlignedBuffer<uint16_t>::create(end, purpose));
  for (size_t list = 0; list < levels; ++list) {
    const Slicing& slicing = slicing_of(list);
    const auto bundle = static_cast<uint32_t>(slicing.bundle);
    const Places& where = places[packed.slicing_of(static_cast<int>(list))];
    for (size_t k = first_increment(list); k <= list; ++k) {
      for (size_t i = 0; i < increments[k]->positions.size(); ++i) {
        const Places::Place place = where.of(increments[k]->positions[i]);
        if (place.run == TapColumn::kNowhere) continue;
        uint32_t& tap = next[list][static_cast<size_t>(place.run)];
        packed.weights_[tap] = increments[k]->values[i];
        packed.blocks_[tap] = place.block;
        tap += bundle;
      }
    }
    // What makes up for missing taps reads what another tap reads: one before it, or that of the
    // row of the bundle that has the most.
    const AlignedBuffer<uint32_t>& begin = packed.run_begin_[list];
    for (size_t run = 0; run < longest[list].size(); ++run) {
      for (uint32_t r = 0; r < bundle; ++r) {
        uint32_t tap = next[list][packed.run_of_row(slicing, run, r)];
        for (; tap < begin[run + 1] * bundle; tap += bundle) {
          packed.blocks_[tap] =
              packed.blocks_[bundle == 1 ? tap - 1 : tap - r + longest[list][run]];
        }
      }
    }
  }
  return packed;
}

size_t TapWeights::run_of_row(const Slicing& slicing, size_t run, uint32_t r) const {
  if (slicing.bundle == 1) return run;
  const auto shifts = static_cast<size_t>(shifts_);
  const auto rows = static_cast<size_t>(rows_);
  const size_t place = run / shifts * static_cast<size_t>(slicing.bundle) + r;
  return (place / rows * rows + slicing.rows[place]) * shifts + run % shifts;
}

void TapWeights::bundle_rows(Slicing& slicing,
                             std::span<const std::vector<uint32_t>> counts) const {
  if (slicing.bundle == 1) return;
  const auto shifts = static_cast<size_t>(shifts_);
  const size_t lists = counts.size();
  const size_t rows = counts[0].size() / shifts;  // of all slices
  slicing.rows.resize(rows);
  std::vector<uint32_t> of_rows(rows * lists * shifts);  // [row][list][shift]
  for (size_t row = 0; row < rows; ++row) {
    for (size_t list = 0; list < lists; ++list) {
      std::copy_n(&counts[list][row * shifts], shifts, &of_rows[(row * lists + list) * shifts]);
    }
  }
  // Parts do not cross slices, for all rows are whole groups, which are cut into parts.
  const auto all_rows = static_cast<size_t>(rows_);
  const auto group = static_cast<size_t>(slicing.group_rows);
  const auto part = static_cast<size_t>(slicing.part_rows);
  for (size_t group_begin = 0; group_begin < rows; group_begin += group) {
    for (size_t begin = group_begin; begin < group_begin + group; begin += part) {
      const size_t size = std::min(part, group_begin + group - begin);
      const std::span<uint32_t> order(&slicing.rows[begin], size);
      order_rows(std::span(of_rows).subspan(begin * lists * shifts, size * lists * shifts),
                 static_cast<int64_t>(lists * shifts), slicing.bundle, order);
      for (uint32_t& row : order) row += static_cast<uint32_t>(begin % all_rows);
    }
  }
}

kernels::TapLists TapWeights::taps(int level, int64_t slice) const {
  kernels::TapLists taps;
  taps.weights = weights_.data();
  taps.blocks = blocks_.data();
  const size_t sharing = slicing_of(level);
  const Slicing& slicing = slicings_[sharing];
  const int64_t first_row = slice * rows_;
  const int64_t first_run = first_row / slicing.bundle * shifts_;
  taps.bundle = slicing.bundle;
  if (!slicing.rows.empty()) taps.rows = slicing.rows.data() + first_row;
  taps.count = 0;
  for (size_t list = sharing; list <= static_cast<size_t>(level); ++list) {
    const uint32_t* begin = run_begin_[list].data() + first_run;
    taps.lists[static_cast<size_t>(taps.count++)] = {begin, begin + 1};
  }
  return taps;
}

size_t TapWeights::bytes() const {
  size_t bytes = weights_.bytes() + blocks_.bytes();
  for (const auto& begin : run_begin_) bytes += begin.bytes();
  for (const Slicing& slicing : slicings_) {
    bytes +=
        slicing.begin.capacity() * sizeof(int64_t) + slicing.rows.capacity() * sizeof(uint32_t);
  }
  return bytes;
}

void TapWeights::keep_levels(size_t level_count) {
  if (run_begin_.size() <= level_count) return;
  run_begin_.resize(level_count);
  if (slicings_.size() > level_count) slicings_.resize(level_count);
  const AlignedBuffer<uint32_t>& last = run_begin_.back();
  const int64_t bundle = slicings_[slicing_of(static_cast<int>(level_count) - 1)].bundle;
  const size_t end = last[last.size() - 1] * static_cast<size_t>(bundle);
  // Without memory for smaller copies the large ones stay.
  auto weights = AlignedBuffer<float>::create(end, "fewer weights");
  auto blocks = AlignedBuffer<uint16_t>::create(end, "fewer weights");
  if (!weights.ok() || !blocks.ok()) return;
  std::copy_n(weights_.data(), end, weights->data());
  std::copy_n(blocks_.data(), end, blocks->data());
  weights_ = std::move(weights).value();
  blocks_ = std::move(blocks).value();
}

}  // namespace strata::runtime
