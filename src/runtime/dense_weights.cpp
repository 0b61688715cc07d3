// See dense_weights.h.
#include "runtime/dense_weights.h"

#include <algorithm>
#include <utility>

namespace strata::runtime {

namespace {

/// Of the first-level cache, which weights and sums share.
constexpr int64_t kSliceBytes = int64_t{32} << 10;

/// Bytes of one plane that the taps read for one tile.
int64_t bytes_per_plane(const Step& step, const StepMemory& memory, int64_t tile_blocks) {
  constexpr int64_t kBlock = kernels::kPixelBlock;
  constexpr auto kBlockBytes = static_cast<int64_t>(kBlock * sizeof(float));
  const kernels::PlaneLayout& planes = memory.scratch_layout;
  if (step.kind == StepKind::kGemm) {
    return std::min(tile_blocks, planes.plane_stride / kBlock) * kBlockBytes;
  }
  const kernels::ConvTiling& tiling = memory.tiling;
  const int64_t output = memory.geometry->rows().output * planes.pitch;
  tile_blocks = std::min(tile_blocks, (output + kBlock - 1) / kBlock);
  const int64_t together = tile_blocks + tiling.last_block - tiling.first_block;
  const auto rows = static_cast<int64_t>(memory.geometry->rows().shift.size());
  const int64_t apart =
      rows * (tile_blocks + (memory.geometry->columns().shift.size() > 1 ? 1 : 0));
  return std::min(together, apart) * kBlockBytes;
}

}  // namespace

double dense_from(double crossover, int64_t group_rows, int64_t panel_rows) {
  const int64_t padded = kernels::round_up(group_rows, panel_rows);
  return crossover * static_cast<double>(padded) / static_cast<double>(group_rows);
}

DenseTaps dense_taps(const graph::Parameter& weight, const Step& step, const StepMemory& memory,
                     int64_t tile_blocks) {
  DenseTaps taps;
  const int64_t plane_stride = memory.scratch_layout.plane_stride;
  std::vector<int64_t> planes;  // [tap]
  if (step.kind == StepKind::kGemm) {
    const int64_t columns = weight.shape[step.weight_by_input ? 0 : 1];
    for (int64_t i = 0; i < columns; ++i) {
      taps.tap_of_column.push_back(static_cast<int32_t>(i));
      taps.offsets.push_back(static_cast<int32_t>(i * plane_stride));
      planes.push_back(i);
    }
  } else {
    const kernels::ConvGeometry& geometry = *memory.geometry;
    for (int64_t c = 0; c < weight.shape[1]; ++c) {
      for (int64_t y = 0; y < weight.shape[2]; ++y) {
        for (int64_t x = 0; x < weight.shape[3]; ++x) {
          if (!geometry.rows().sees_pixels(y) || !geometry.columns().sees_pixels(x)) {
            taps.tap_of_column.push_back(DenseTaps::kNowhere);
            continue;
          }
          const auto source = geometry.source(memory.scratch_layout.pitch, y, x);
          const int64_t plane = c * geometry.phases() + source.phase;
          taps.tap_of_column.push_back(static_cast<int32_t>(planes.size()));
          taps.offsets.push_back(static_cast<int32_t>(plane * plane_stride + source.offset));
          planes.push_back(c);
        }
      }
    }
  }
  const int64_t phases = step.kind == StepKind::kConv ? memory.geometry->phases() : 1;
  const int64_t channel_bytes =
      std::max<int64_t>(1, phases * bytes_per_plane(step, memory, tile_blocks));
  const int64_t channels = planes.empty() ? 0 : planes.back() + 1;
  const int64_t most = std::max<int64_t>(1, kSliceBytes / channel_bytes);
  const int64_t slices = std::max<int64_t>(1, (channels + most - 1) / most);
  taps.slice_begin.push_back(0);
  for (int64_t slice = 1; slice < slices; ++slice) {
    const auto begin = std::lower_bound(planes.begin(), planes.end(), slice * channels / slices);
    taps.slice_begin.push_back(begin - planes.begin());
  }
  taps.slice_begin.push_back(static_cast<int64_t>(planes.size()));
  return taps;
}

Result<DenseWeights> DenseWeights::pack(const MatrixShape& shape, int64_t groups,
                                        int64_t panel_rows, const DenseTaps& taps, int first_level,
                                        std::span<const sparse::Increment* const> increments,
                                        const std::string& purpose) {
  DenseWeights packed;
  packed.offsets_ = taps.offsets;
  packed.slice_begin_ = taps.slice_begin;
  packed.panel_rows_ = panel_rows;
  packed.first_level_ = first_level;
  const int64_t group_rows = shape.rows / groups;
  packed.panels_per_group_ = (group_rows + panel_rows - 1) / panel_rows;
  const int64_t stride = packed.panel_stride();
  std::vector<int64_t> place_of_row;  // of its weight for tap 0
  for (int64_t row = 0; row < shape.rows; ++row) {
    const int64_t panel =
        row / group_rows * packed.panels_per_group_ + row % group_rows / panel_rows;
    place_of_row.push_back(panel * stride + row % group_rows % panel_rows);
  }
  const auto size = static_cast<uint64_t>(groups * packed.panels_per_group_ * stride);
  const auto fill = [&](const sparse::Increment& increment, float* weights) {
    for (size_t i = 0; i < increment.positions.size(); ++i) {
      const uint32_t position = increment.positions[i];
      const int32_t tap = taps.tap_of_column[static_cast<size_t>(shape.column(position))];
      if (tap == DenseTaps::kNowhere) continue;
      weights[place_of_row[static_cast<size_t>(shape.row(position))] + tap * panel_rows] =
          increment.values[i];
    }
  };
  for (size_t k = static_cast<size_t>(first_level); k < increments.size(); ++k) {
    if (packed.copies_.empty() || !increments[k]->positions.empty()) {
      STRATA_ASSIGN_OR_RETURN(auto weights, AlignedBuffer<float>::create(size, purpose));
      if (packed.copies_.empty()) {
        for (size_t below = 0; below < k; ++below) fill(*increments[below], weights.data());
      } else {
        std::copy_n(packed.copies_.back().data(), size, weights.data());
      }
      fill(*increments[k], weights.data());
      packed.copies_.push_back(std::move(weights));
    }
    packed.copy_of_level_.push_back(packed.copies_.size() - 1);
  }
  return packed;
}

size_t DenseWeights::bytes() const {
  size_t bytes = offsets_.capacity() * sizeof(int32_t);
  for (const auto& weights : copies_) bytes += weights.bytes();
  return bytes;
}

void DenseWeights::keep_levels(int level_count) {
  const auto count = static_cast<size_t>(std::max(0, level_count - first_level_));
  if (copy_of_level_.size() <= count) return;
  copy_of_level_.resize(count);
  copies_.resize(count == 0 ? 0 : copy_of_level_.back() + 1);
}

}  // namespace strata::runtime
