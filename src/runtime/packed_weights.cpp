// See packed_weights.h.
#include "runtime/packed_weights.h"

#include <algorithm>
#include <cmath>
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
  const auto rows = static_cast<size_t>(rows_);
  const TapMap map(weight, plan, step, memory);
  const std::string purpose = "weights '" + weight.name + "'";
  int64_t total = 0;
  std::vector<uint32_t> cursor(rows);
  dense_prefix_.assign(rows, 0);
  for (int level = 0; level < source.level_count; ++level) {
    const sparse::Increment* increment = source.increment(level, weight.name);
    if (increment == nullptr) {
      return internal_error("level " + std::to_string(level) + " has no " + purpose);
    }
    const size_t count = increment->positions.size();
    total += static_cast<int64_t>(count);
    nonzeros_.push_back(total);
    STRATA_ASSIGN_OR_RETURN(auto taps, AlignedBuffer<Tap>::create(count, purpose));
    STRATA_ASSIGN_OR_RETURN(auto row_begin, AlignedBuffer<uint32_t>::create(rows + 1, purpose));
    for (const uint32_t position : increment->positions) {
      ++row_begin[static_cast<size_t>(map.row(position)) + 1];
    }
    for (size_t row = 0; row < rows; ++row) {
      row_begin[row + 1] += row_begin[row];
      cursor[row] = row_begin[row];
    }
    for (size_t i = 0; i < count; ++i) {
      const uint32_t position = increment->positions[i];
      const auto row = static_cast<size_t>(map.row(position));
      const uint32_t place = cursor[row]++;
      taps[place] = {increment->values[i], map.offset(position)};
      const bool extends_prefix = level == 0 && place - row_begin[row] == dense_prefix_[row] &&
                                  map.column(position) == int64_t{dense_prefix_[row]};
      if (extends_prefix) ++dense_prefix_[row];
    }
    views_.push_back({taps.data(), row_begin.data()});
    taps_.push_back(std::move(taps));
    row_begin_.push_back(std::move(row_begin));
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
  size_t bytes = dense_prefix_.capacity() * sizeof(uint32_t);
  for (const auto& taps : taps_) bytes += taps.bytes();
  for (const auto& row_begin : row_begin_) bytes += row_begin.bytes();
  for (const auto& scale : scale_) bytes += scale.capacity() * sizeof(float);
  for (const auto& shift : shift_) bytes += shift.capacity() * sizeof(float);
  return bytes;
}

void PackedWeights::keep_levels(int level_count) {
  const auto truncate = [level_count](auto& levels) {
    const auto count = std::min(levels.size(), static_cast<size_t>(level_count));
    levels.erase(levels.begin() + static_cast<std::ptrdiff_t>(count), levels.end());
  };
  truncate(taps_);
  truncate(row_begin_);
  truncate(views_);
  truncate(scale_);
  truncate(shift_);
  truncate(nonzeros_);
}

}  // namespace strata::runtime
