// See packed_weights.h.
#include "runtime/packed_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace strata::runtime {
namespace {

using kernels::Tap;

/// Which row a flat weight index belongs to, and the byte offset of what it multiplies.
class TapMap {
 public:
  TapMap(const graph::Parameter& weight, const Plan& plan, const Step& step,
         const StepMemory& memory) {
    if (step.kind == StepKind::kConv) {
      const int64_t outputs = weight.shape[0];
      const int64_t channels = weight.shape[1];
      rows_per_group_ = outputs / step.group;
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t y = 0; y < weight.shape[2]; ++y) {
          for (int64_t x = 0; x < weight.shape[3]; ++x) {
            offsets_.push_back(memory.geometry->tap_offset(memory.scratch_layout, c, y, x));
          }
        }
      }
      group_offset_ = channels * memory.geometry->phases() * memory.scratch_layout.plane_stride *
                      int64_t{sizeof(float)};
    } else {
      by_input_ = step.weight_by_input;
      rows_ = plan.tensors[static_cast<size_t>(step.output)].size[1];
      const int64_t inputs = plan.tensors[static_cast<size_t>(step.input)].size[1];
      for (int64_t i = 0; i < inputs; ++i) {
        offsets_.push_back(i * memory.scratch_layout.plane_stride * int64_t{sizeof(float)});
      }
      rows_per_group_ = rows_;
    }
  }

  [[nodiscard]] int64_t row(uint32_t position) const {
    return by_input_ ? position % rows_ : position / static_cast<int64_t>(offsets_.size());
  }
  /// Place of the weight within its row.
  [[nodiscard]] int64_t column(uint32_t position) const {
    return by_input_ ? position / rows_ : position % static_cast<int64_t>(offsets_.size());
  }
  [[nodiscard]] int32_t offset(uint32_t position) const {
    return static_cast<int32_t>(offsets_[static_cast<size_t>(column(position))] +
                                row(position) / rows_per_group_ * group_offset_);
  }

 private:
  std::vector<int64_t> offsets_;  ///< [column], of the first group
  int64_t group_offset_ = 0;
  int64_t rows_per_group_ = 1;
  int64_t rows_ = 1;
  bool by_input_ = false;
};

}  // namespace

Result<PackedWeights> PackedWeights::pack(const graph::Model& model, const Plan& plan,
                                          const Step& step, const StepMemory& memory,
                                          const LevelSource& source) {
  PackedWeights packed;
  packed.rows_ = plan.tensors[static_cast<size_t>(step.output)].size[1];
  if (!step.weight.empty()) {
    STRATA_RETURN_IF_ERROR(
        packed.pack_taps(*model.find_parameter(step.weight), plan, step, memory, source));
  } else {
    packed.nonzeros_.assign(static_cast<size_t>(source.level_count), 0);
  }
  const bool has_vectors = step.kind == StepKind::kConv || step.kind == StepKind::kGemm ||
                           step.kind == StepKind::kElementwise;
  if (has_vectors) STRATA_RETURN_IF_ERROR(packed.pack_vectors(step, source));
  return packed;
}

Status PackedWeights::pack_taps(const graph::Parameter& weight, const Plan& plan, const Step& step,
                                const StepMemory& memory, const LevelSource& source) {
  const auto levels = static_cast<size_t>(source.level_count);
  const auto rows = static_cast<size_t>(rows_);
  const TapMap map(weight, plan, step, memory);
  std::vector<const sparse::Increment*> increments;
  int64_t total = 0;
  row_end_.assign(levels, std::vector<uint32_t>(rows));
  for (size_t level = 0; level < levels; ++level) {
    const sparse::Increment* increment = source.increment(static_cast<int>(level), weight.name);
    if (increment == nullptr) {
      return internal_error("level " + std::to_string(level) + " has no weights '" + weight.name +
                            "'");
    }
    for (const uint32_t position : increment->positions) {
      ++row_end_[level][static_cast<size_t>(map.row(position))];
    }
    total += static_cast<int64_t>(increment->positions.size());
    nonzeros_.push_back(total);
    increments.push_back(increment);
  }
  if (total > std::numeric_limits<uint32_t>::max()) {
    return unsupported("parameter '" + weight.name + "' has " + std::to_string(total) +
                       " non-zeros, the runtime runs up to 2^32 - 1");
  }
  STRATA_ASSIGN_OR_RETURN(taps_, AlignedBuffer<Tap>::create(static_cast<size_t>(total),
                                                            "weights '" + weight.name + "'"));

  // From counts per level and row to the end of every level's part of a row.
  row_begin_.resize(rows);
  uint32_t next = 0;
  std::vector<uint32_t> cursor(levels * rows);
  for (size_t row = 0; row < rows; ++row) {
    row_begin_[row] = next;
    for (size_t level = 0; level < levels; ++level) {
      cursor[level * rows + row] = next;
      next += row_end_[level][row];
      row_end_[level][row] = next;
    }
  }
  dense_prefix_.assign(rows, 0);
  for (size_t level = 0; level < levels; ++level) {
    const sparse::Increment& increment = *increments[level];
    for (size_t i = 0; i < increment.positions.size(); ++i) {
      const uint32_t position = increment.positions[i];
      const auto row = static_cast<size_t>(map.row(position));
      const uint32_t place = cursor[level * rows + row]++;
      taps_[place] = {increment.values[i], map.offset(position)};
      if (place - row_begin_[row] == dense_prefix_[row] &&
          map.column(position) == int64_t{dense_prefix_[row]}) {
        ++dense_prefix_[row];
      }
    }
  }
  return {};
}

Status PackedWeights::pack_vectors(const Step& step, const LevelSource& source) {
  const auto rows = static_cast<size_t>(rows_);
  for (int level = 0; level < source.level_count; ++level) {
    const auto find = [&](const std::string& name) -> Result<const float*> {
      const std::vector<float>* found = source.vector(level, name);
      if (found == nullptr || found->size() != rows) {
        return invalid_argument("level " + std::to_string(level) + ": parameter '" + name +
                                "' of " + "step '" + step.name + "' must have " +
                                std::to_string(rows) + " elements");
      }
      return found->data();
    };
    std::vector<float> scale(rows, step.alpha);
    std::vector<float> shift(rows, 0.0F);
    if (!step.bias.empty()) {
      STRATA_ASSIGN_OR_RETURN(const float* bias, find(step.bias));
      for (size_t i = 0; i < rows; ++i) shift[i] = step.beta * bias[i];
    }
    for (const Normalisation& norm : step.normalisations) {
      STRATA_ASSIGN_OR_RETURN(const float* norm_scale, find(norm.scale));
      STRATA_ASSIGN_OR_RETURN(const float* norm_shift, find(norm.shift));
      STRATA_ASSIGN_OR_RETURN(const float* mean, find(norm.mean));
      STRATA_ASSIGN_OR_RETURN(const float* variance, find(norm.variance));
      for (size_t i = 0; i < rows; ++i) {
        const double factor = norm_scale[i] / std::sqrt(double{variance[i]} + norm.epsilon);
        scale[i] = static_cast<float>(scale[i] * factor);
        shift[i] = static_cast<float>((double{shift[i]} - mean[i]) * factor + norm_shift[i]);
      }
    }
    scale_.push_back(std::move(scale));
    shift_.push_back(std::move(shift));
  }
  return {};
}

size_t PackedWeights::bytes() const {
  const auto vectors = [](const auto& levels) {
    size_t bytes = 0;
    for (const auto& values : levels) bytes += values.capacity() * sizeof(values[0]);
    return bytes;
  };
  return taps_.bytes() + (row_begin_.capacity() + dense_prefix_.capacity()) * sizeof(uint32_t) +
         vectors(row_end_) + vectors(scale_) + vectors(shift_);
}

Result<PackedWeights> PackedWeights::first_levels(int level_count) const {
  const auto levels = static_cast<size_t>(level_count);
  PackedWeights kept;
  kept.rows_ = rows_;
  kept.nonzeros_.assign(nonzeros_.begin(), nonzeros_.begin() + level_count);
  if (!scale_.empty()) {
    kept.scale_.assign(scale_.begin(), scale_.begin() + level_count);
    kept.shift_.assign(shift_.begin(), shift_.begin() + level_count);
  }
  if (row_begin_.empty()) return kept;
  STRATA_ASSIGN_OR_RETURN(kept.taps_, AlignedBuffer<Tap>::create(
                                          static_cast<size_t>(kept.nonzeros_.back()), "weights"));
  kept.row_end_.assign(levels, std::vector<uint32_t>(row_begin_.size()));
  uint32_t next = 0;
  for (size_t row = 0; row < row_begin_.size(); ++row) {
    const uint32_t begin = row_begin_[row];
    const uint32_t end = row_end_[levels - 1][row];
    kept.row_begin_.push_back(next);
    kept.dense_prefix_.push_back(std::min(dense_prefix_[row], end - begin));
    for (size_t level = 0; level < levels; ++level) {
      kept.row_end_[level][row] = row_end_[level][row] - begin + next;
    }
    std::copy(&taps_[begin], &taps_[begin] + (end - begin), kept.taps_.data() + next);
    next += end - begin;
  }
  kept.row_begin_.shrink_to_fit();
  kept.dense_prefix_.shrink_to_fit();
  return kept;
}

}  // namespace strata::runtime
