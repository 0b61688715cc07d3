// See packed_weights.h.
#include "runtime/packed_weights.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace strata::runtime {
namespace {

std::vector<TapColumn> map_columns(const graph::Parameter& weight, const Step& step,
                                   const StepMemory& memory, const MatrixShape& shape) {
  const kernels::ConvTiling& tiling = memory.tiling;
  std::vector<TapColumn> columns;
  columns.reserve(static_cast<size_t>(shape.columns));
  if (step.kind == StepKind::kGemm) {
    for (int64_t i = 0; i < shape.columns; ++i) columns.push_back({i, 0, 0});
    return columns;
  }
  const kernels::ConvGeometry& geometry = *memory.geometry;
  for (int64_t c = 0; c < weight.shape[1]; ++c) {
    for (int64_t y = 0; y < weight.shape[2]; ++y) {
      for (int64_t x = 0; x < weight.shape[3]; ++x) {
        TapColumn& column = columns.emplace_back();
        if (!geometry.rows().sees_pixels(y) || !geometry.columns().sees_pixels(x)) continue;
        const auto source = geometry.source(memory.scratch_layout.pitch, y, x);
        const auto place = tiling.place(source.offset);
        column = {c * geometry.phases() + source.phase, place.block - tiling.first_block,
                  place.shift};
      }
    }
  }
  return columns;
}

Result<const sparse::Increment*> find_increment(const LevelSource& source, int level,
                                                const std::string& name) {
  const sparse::Increment* increment = source.increment(level, name);
  if (increment != nullptr) return increment;
  return internal_error("level " + std::to_string(level) + " has no weights '" + name + "'");
}

}  // namespace

Result<PackedWeights> PackedWeights::pack(const graph::Model& model, const Plan& plan,
                                          const Step& step, const StepMemory& memory,
                                          const LevelSource& source, const DenseRule& rule,
                                          const StepTuning& tuning) {
  PackedWeights packed;
  packed.first_dense_level_ = source.level_count;
  if (step.kind == StepKind::kOperator) {
    STRATA_RETURN_IF_ERROR(packed.pack_operands(model, step, source));
    return packed;
  }
  packed.rows_ = plan.tensors[static_cast<size_t>(step.output)].size[1];
  if (!step.weight.empty()) {
    const graph::Parameter& weight = *model.find_parameter(step.weight);
    STRATA_RETURN_IF_ERROR(packed.pack_product(weight, plan, step, memory, source, rule, tuning));
  } else {
    packed.nonzeros_.assign(static_cast<size_t>(source.level_count), 0);
  }
  const bool has_vectors = step.kind == StepKind::kConv || step.kind == StepKind::kGemm ||
                           step.kind == StepKind::kElementwise;
  if (has_vectors) STRATA_RETURN_IF_ERROR(packed.pack_vectors(step, source));
  return packed;
}

Status PackedWeights::pack_product(const graph::Parameter& weight, const Plan& plan,
                                   const Step& step, const StepMemory& memory,
                                   const LevelSource& source, const DenseRule& rule,
                                   const StepTuning& tuning) {
  MatrixShape shape{rows_, 1, step.weight_by_input};
  for (const int64_t size : weight.shape) shape.columns *= size;
  shape.columns /= rows_;
  std::vector<const sparse::Increment*> increments;
  int64_t total = 0;
  for (int level = 0; level < source.level_count; ++level) {
    STRATA_ASSIGN_OR_RETURN(const sparse::Increment* increment,
                            find_increment(source, level, weight.name));
    increments.push_back(increment);
    total += static_cast<int64_t>(increment->positions.size());
    nonzeros_.push_back(total);
  }
  const bool few_vectors = step.kind == StepKind::kGemm && memory.tiling.shifts.empty();
  const int64_t panel_rows = few_vectors ? kernels::kDensePanelRows : rule.conv.panel_rows;
  const bool wide = memory.tiling.tile_blocks > kernels::ConvTiling::kNarrowTile;
  const int64_t vectors = plan.tensors[static_cast<size_t>(step.input)].size[0];
  const int64_t bytes = shape.rows * shape.columns * static_cast<int64_t>(sizeof(float));
  const double crossover = few_vectors ? rule.gemm.crossover(vectors, bytes)
                           : wide      ? rule.conv.wide_crossover
                                       : rule.conv.narrow_crossover;
  const double from = rule.from.value_or(dense_from(crossover, rows_ / step.group, panel_rows));
  const auto elements = static_cast<double>(shape.rows * shape.columns);
  const auto first = std::find_if(nonzeros_.begin(), nonzeros_.end(), [&](int64_t nonzeros) {
    return static_cast<double>(nonzeros) >= from * elements;
  });
  first_dense_level_ = static_cast<int>(first - nonzeros_.begin());
  if (tuning.first_dense_level >= 0 && !rule.from) {
    first_dense_level_ = std::min(tuning.first_dense_level, source.level_count);
  }
  if (first_dense_level_ < source.level_count) {
    STRATA_ASSIGN_OR_RETURN(
        dense_,
        DenseWeights::pack(shape, step.group, panel_rows,
                           dense_taps(weight, step, memory, rule.conv.tile_blocks),
                           first_dense_level_, increments, "weights '" + weight.name + "'"));
  }
  if (first_dense_level_ == 0) return {};
  if (few_vectors) {
    STRATA_ASSIGN_OR_RETURN(
        panels_, pack_panels(weight.name, product_panels(plan, step), source, first_dense_level_));
    return {};
  }
  const int64_t planes = (step.kind == StepKind::kGemm ? shape.columns : weight.shape[1]) *
                         (step.kind == StepKind::kConv ? memory.geometry->phases() : 1);
  const kernels::PlaneLayout& planes_out = memory.scratch_layout;
  const int64_t pixels = step.kind == StepKind::kConv
                             ? memory.geometry->rows().output * planes_out.pitch
                             : planes_out.plane_stride;
  const int64_t blocks = (pixels + kernels::kPixelBlock - 1) / kernels::kPixelBlock;
  STRATA_ASSIGN_OR_RETURN(
      taps_,
      TapWeights::pack(shape,
                       {memory.tiling, map_columns(weight, step, memory, shape), planes,
                        memory.scratch_layout.plane_stride, blocks, step.group, memory.tasks},
                       std::span(increments).first(static_cast<size_t>(first_dense_level_)), tuning,
                       "weights '" + weight.name + "'"));
  return {};
}

Result<PackedWeights::Panels> PackedWeights::pack_panels(const std::string& weight,
                                                         const kernels::PanelShape& shape,
                                                         const LevelSource& source,
                                                         int level_count) {
  Panels panels;
  for (int level = 0; level < level_count; ++level) {
    STRATA_ASSIGN_OR_RETURN(const sparse::Increment* increment,
                            find_increment(source, level, weight));
    STRATA_ASSIGN_OR_RETURN(
        kernels::PackedPanels packed,
        kernels::PackedPanels::pack(shape, increment->positions, increment->values,
                                    "weights '" + weight + "'"));
    panels.increments.push_back(packed.view());
    panels.packed.push_back(std::move(packed));
  }
  for (int64_t count = 1; count <= level_count; ++count) {
    panels.weights.push_back(
        {panels.increments.data(), count, shape.groups_per_panel(), shape.padded_columns()});
  }
  return panels;
}

size_t PackedWeights::Panels::bytes() const {
  size_t bytes = 0;
  for (const kernels::PackedPanels& increment : packed) bytes += increment.bytes();
  return bytes;
}

void PackedWeights::Panels::keep_levels(size_t level_count) {
  if (packed.size() <= level_count) return;
  packed.erase(packed.begin() + static_cast<std::ptrdiff_t>(level_count), packed.end());
  weights.resize(level_count);
}

Status PackedWeights::pack_operands(const graph::Model& model, const Step& step,
                                    const LevelSource& source) {
  const auto level_count = static_cast<size_t>(source.level_count);
  nonzeros_.assign(level_count, 0);
  operands_.resize(step.parameters.size());
  for (size_t i = 0; i < step.operands.size(); ++i) {
    if (step.operands[i].kind != Operand::Kind::kParameter) continue;
    const auto index = static_cast<size_t>(step.operands[i].index);
    const graph::Parameter& parameter = *model.find_parameter(step.parameters[index]);
    OperandWeights& operand = operands_[index];
    const auto elements = static_cast<size_t>(parameter.element_count());
    const bool weight = parameter.role == graph::ParameterRole::kWeight;
    const auto shape = weight ? step.kernel->panels(i) : std::nullopt;
    if (shape) {
      STRATA_ASSIGN_OR_RETURN(operand.panels,
                              pack_panels(parameter.name, *shape, source, source.level_count));
    }
    int64_t total = 0;
    for (size_t k = 0; k < level_count; ++k) {
      const int level = static_cast<int>(k);
      if (!weight) {
        const std::vector<float>* values = source.vector(level, parameter.name);
        if (values == nullptr || values->size() != elements) {
          return invalid_argument("level " + std::to_string(level) + ": parameter '" +
                                  parameter.name + "' of step '" + step.name + "' must have " +
                                  std::to_string(elements) + " elements");
        }
        operand.dense.push_back(*values);
        continue;
      }
      STRATA_ASSIGN_OR_RETURN(const sparse::Increment* increment,
                              find_increment(source, level, parameter.name));
      total += static_cast<int64_t>(increment->positions.size());
      nonzeros_[k] += total;
      if (shape) continue;
      std::vector<float> dense = k == 0 ? std::vector<float>(elements) : operand.dense.back();
      for (size_t j = 0; j < increment->positions.size(); ++j) {
        dense[increment->positions[j]] = increment->values[j];
      }
      operand.dense.push_back(std::move(dense));
    }
    const auto slice = weight ? step.kernel->column_slice(i) : std::nullopt;
    if (!slice) continue;
    for (const std::vector<float>& dense : operand.dense) {
      operand.columns.emplace_back(dense.data(), parameter.shape[0], parameter.shape[1], *slice);
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
  size_t bytes = taps_.bytes() + dense_.bytes() + panels_.bytes();
  for (const OperandWeights& operand : operands_) {
    for (const auto& dense : operand.dense) bytes += dense.capacity() * sizeof(float);
    for (const auto& columns : operand.columns) bytes += columns.bytes();
    bytes += operand.panels.bytes();
  }
  for (const auto& scale : scale_) bytes += scale.capacity() * sizeof(float);
  for (const auto& shift : shift_) bytes += shift.capacity() * sizeof(float);
  return bytes;
}

void PackedWeights::keep_levels(int level_count) {
  const auto truncate = [level_count](auto& levels) {
    const auto count = std::min(levels.size(), static_cast<size_t>(level_count));
    levels.erase(levels.begin() + static_cast<std::ptrdiff_t>(count), levels.end());
  };
  taps_.keep_levels(static_cast<size_t>(level_count));
  dense_.keep_levels(level_count);
  panels_.keep_levels(static_cast<size_t>(level_count));
  for (OperandWeights& operand : operands_) {
    truncate(operand.dense);
    truncate(operand.columns);
    operand.panels.keep_levels(static_cast<size_t>(level_count));
  }
  truncate(scale_);
  truncate(shift_);
  truncate(nonzeros_);
}

}  // namespace strata::runtime
