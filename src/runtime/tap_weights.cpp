// See tap_weights.h.
#include "runtime/tap_weights.h"

#include <algorithm>
#include <utility>

namespace strata::runtime {
namespace {

using kernels::kPixelBlock;

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

/// The places of the taps of one list.
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
    int64_t run = TapColumn::kNowhere;  ///< kNowhere for a weight that sees nothing
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
    packed.slices_.push_back(
        kib > 0 ? kernels::slice_planes(geometry.tiling, packed.tile_blocks_[level],
                                        geometry.planes, geometry.plane_stride, kib << 10)
                : kernels::slice_planes(geometry.tiling, geometry.planes, geometry.plane_stride,
                                        std::span(taps_per_run).subspan(level, sharing)));
  }
  // Counts the taps of each run, then turns counts into places.
  const auto multiple = static_cast<uint32_t>(geometry.tiling.run_multiple);
  const auto round_up = [multiple](uint32_t count) {
    return (count + multiple - 1) / multiple * multiple;
  };
  const auto first_increment = [&](size_t list) { return list < packed.alone_ ? 0 : list; };
  std::vector<Places> places;                       // [slicing]
  std::vector<std::vector<uint32_t>> next(levels);  // [list][run]: where the next tap goes
  uint32_t end = 0;
  for (size_t list = 0; list < levels; ++list) {
    const std::vector<int64_t>& slices = packed.slices(static_cast<int>(list));
    if (list < packed.alone_) places.emplace_back(shape, geometry, slices);
    const auto runs = static_cast<uint64_t>(packed.rows_ * packed.shifts_) * (slices.size() - 1);
    STRATA_ASSIGN_OR_RETURN(auto begin, AlignedBuffer<uint32_t>::create(runs + 1, purpose));
    next[list].resize(runs);
    for (size_t k = first_increment(list); k <= list; ++k) {
      for (const uint32_t position : increments[k]->positions) {
        const int64_t run = places.back().of(position).run;
        if (run != TapColumn::kNowhere) ++next[list][static_cast<size_t>(run)];
      }
    }
    for (size_t run = 0; run < runs; ++run) {
      begin[run] = end;
      end += round_up(next[list][run]);
      next[list][run] = begin[run];
    }
    begin[runs] = end;
    packed.run_begin_.push_back(std::move(begin));
  }
  STRATA_ASSIGN_OR_RETURN(packed.weights_, AlignedBuffer<float>::create(end, purpose));
  STRATA_ASSIGN_OR_RETURN(packed.blocks_, AlignedBuffer<uint16_t>::create(end, purpose));
  for (size_t list = 0; list < levels; ++list) {
    const Places& where = places[packed.slicing_of(static_cast<int>(list))];
    for (size_t k = first_increment(list); k <= list; ++k) {
      for (size_t i = 0; i < increments[k]->positions.size(); ++i) {
        const Places::Place place = where.of(increments[k]->positions[i]);
        if (place.run == TapColumn::kNowhere) continue;
        const uint32_t tap = next[list][static_cast<size_t>(place.run)]++;
        packed.weights_[tap] = increments[k]->values[i];
        packed.blocks_[tap] = place.block;
      }
    }
    // What makes up for a multiple reads where the tap before it does.
    for (const uint32_t after : next[list]) {
      for (uint32_t i = after; i % multiple != 0; ++i) packed.blocks_[i] = packed.blocks_[i - 1];
    }
  }
  return packed;
}

kernels::TapLists TapWeights::taps(int level, int64_t slice) const {
  kernels::TapLists taps;
  taps.weights = weights_.data();
  taps.blocks = blocks_.data();
  const size_t slicing = slicing_of(level);
  const int64_t first_run = slice * rows_ * shifts_;
  taps.count = 0;
  for (size_t list = slicing; list <= static_cast<size_t>(level); ++list) {
    const uint32_t* begin = run_begin_[list].data() + first_run;
    taps.lists[static_cast<size_t>(taps.count++)] = {begin, begin + 1};
  }
  return taps;
}

size_t TapWeights::bytes() const {
  size_t bytes = weights_.bytes() + blocks_.bytes();
  for (const auto& begin : run_begin_) bytes += begin.bytes();
  for (const auto& slices : slices_) bytes += slices.capacity() * sizeof(int64_t);
  return bytes;
}

void TapWeights::keep_levels(size_t level_count) {
  if (run_begin_.size() <= level_count) return;
  run_begin_.resize(level_count);
  if (slices_.size() > level_count) slices_.resize(level_count);
  const size_t end = run_begin_.back()[run_begin_.back().size() - 1];
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
