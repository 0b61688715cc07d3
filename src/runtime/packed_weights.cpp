// See packed_weights.h.
#include "runtime/packed_weights.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace strata::runtime {
namespace {

using kernels::kPixelBlock;

/// Where the taps of one weight column go.
struct TapColumn {
  int64_t run = 0;  ///< of row 0; kNowhere for taps that see nothing but padding
  uint16_t block = 0;
};
constexpr int64_t kNowhere = -1;

/// Up to so many taps, all increments share one list: its runs are walked as if their level were
/// alone, and what a sparser level skips comes from the cache. More taps are streamed, and a
/// sparser level must not read what it skips: they have a list per increment.
constexpr int64_t kMostTapsTogether = 1 << 15;

std::vector<TapColumn> map_columns(const graph::Parameter& weight, const Step& step,
                                   const StepMemory& memory, const MatrixShape& shape) {
  const kernels::ConvTiling& tiling = memory.tiling;
  const auto shifts = static_cast<int64_t>(tiling.shifts.size());
  const int64_t plane_blocks = memory.scratch_layout.plane_stride / kPixelBlock;
  const auto column = [&](int64_t plane, int64_t offset) -> TapColumn {
    const auto place = tiling.place(offset);
    const auto after =
        std::upper_bound(tiling.slice_begin.begin(), tiling.slice_begin.end(), plane);
    const int64_t slice = after - tiling.slice_begin.begin() - 1;
    const int64_t block = (plane - *(after - 1)) * plane_blocks + place.block - tiling.first_block;
    return {slice * shape.rows * shifts + place.shift, static_cast<uint16_t>(block)};
  };
  std::vector<TapColumn> columns;
  columns.reserve(static_cast<size_t>(shape.columns));
  if (step.kind == StepKind::kGemm) {
    for (int64_t i = 0; i < shape.columns; ++i) columns.push_back(column(i, 0));
    return columns;
  }
  const kernels::ConvGeometry& geometry = *memory.geometry;
  for (int64_t c = 0; c < weight.shape[1]; ++c) {
    for (int64_t y = 0; y < weight.shape[2]; ++y) {
      for (int64_t x = 0; x < weight.shape[3]; ++x) {
        const auto tap = geometry.source(memory.scratch_layout.pitch, y, x);
        const bool used = geometry.rows().sees_pixels(y) && geometry.columns().sees_pixels(x);
        columns.push_back(used ? column(c * geometry.phases() + tap.phase, tap.offset)
                               : TapColumn{kNowhere, 0});
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
                                          const LevelSource& source, const DenseRule& rule) {
  PackedWeights packed;
  packed.first_dense_level_ = source.level_count;
  if (step.kind == StepKind::kOperator) {
    STRATA_RETURN_IF_ERROR(packed.pack_operands(model, step, source));
    return packed;
  }
  packed.rows_ = plan.tensors[static_cast<size_t>(step.output)].size[1];
  if (!step.weight.empty()) {
    const graph::Parameter& weight = *model.find_parameter(step.weight);
    STRATA_RETURN_IF_ERROR(packed.pack_product(weight, plan, step, memory, source, rule));
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
                                   const LevelSource& source, const DenseRule& rule) {
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
  const double crossover = few_vectors ? rule.gemm.crossover
                           : wide      ? rule.conv.wide_crossover
                                       : rule.conv.narrow_crossover;
  const double from = rule.from.value_or(dense_from(crossover, rows_ / step.group, panel_rows));
  const auto elements = static_cast<double>(shape.rows * shape.columns);
  const auto first = std::find_if(nonzeros_.begin(), nonzeros_.end(), [&](int64_t nonzeros) {
    return static_cast<double>(nonzeros) >= from * elements;
  });
  first_dense_level_ = static_cast<int>(first - nonzeros_.begin());
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
  return pack_taps(weight, step, memory, shape,
                   std::span(increments).first(static_cast<size_t>(first_dense_level_)));
}

Status PackedWeights::pack_taps(const graph::Parameter& weight, const Step& step,
                                const StepMemory& memory, const MatrixShape& shape,
                                std::span<const sparse::Increment* const> increments) {
  const std::vector<TapColumn> columns = map_columns(weight, step, memory, shape);
  const auto shifts = static_cast<int64_t>(memory.tiling.shifts.size());
  const auto runs = static_cast<size_t>(memory.tiling.slices() * rows_ * shifts);
  const auto multiple = static_cast<uint32_t>(memory.tiling.run_multiple);
  const auto round_up = [](uint32_t count, uint32_t to) { return (count + to - 1) / to * to; };
  const std::string purpose = "weights '" + weight.name + "'";
  // Of a weight; kNowhere if it sees nothing.
  const auto run_of = [&](uint32_t position) {
    const int64_t run = columns[static_cast<size_t>(shape.column(position))].run;
    return run == kNowhere ? kNowhere : run + shape.row(position) * shifts;
  };
  // The first list takes what is more than there may be lists.
  const size_t levels = increments.size();
  const int64_t total = nonzeros_[levels - 1];
  const size_t lists = total <= kMostTapsTogether
                           ? 1
                           : std::min(levels, static_cast<size_t>(kernels::kMostTapLists));
  const auto list_of = [&](size_t k) { return k + lists < levels ? 0 : k + lists - levels; };
  // Counts the taps of each run, then turns counts into places.
  std::vector<std::vector<uint32_t>> next(levels);  // [level][run]: where the next tap goes
  uint32_t end = 0;
  for (size_t from = 0; from < levels;) {
    size_t until = from + 1;
    while (until < levels && list_of(until) == list_of(from)) ++until;
    RunBounds& list = bounds_.emplace_back();
    STRATA_ASSIGN_OR_RETURN(list.begin, AlignedBuffer<uint32_t>::create(runs + 1, purpose));
    for (size_t k = from; k < until; ++k) {
      if (k > from) {
        STRATA_ASSIGN_OR_RETURN(auto inner, AlignedBuffer<uint32_t>::create(runs, purpose));
        list.inner.push_back(std::move(inner));
      }
      next[k].resize(runs);
      for (const uint32_t position : increments[k]->positions) {
        const int64_t run = run_of(position);
        if (run != kNowhere) ++next[k][static_cast<size_t>(run)];
      }
    }
    for (size_t run = 0; run < runs; ++run) {
      list.begin[run] = end;
      for (size_t k = from; k < until; ++k) {
        const uint32_t begin = end;
        end += round_up(next[k][run], multiple);
        next[k][run] = begin;
        if (k + 1 < until) list.inner[k - from][run] = end;
      }
    }
    list.begin[runs] = end;
    from = until;
  }
  STRATA_ASSIGN_OR_RETURN(weights_, AlignedBuffer<float>::create(end, purpose));
  STRATA_ASSIGN_OR_RETURN(blocks_, AlignedBuffer<uint16_t>::create(end, purpose));
  for (size_t k = 0; k < levels; ++k) {
    for (size_t i = 0; i < increments[k]->positions.size(); ++i) {
      const uint32_t position = increments[k]->positions[i];
      const int64_t run = run_of(position);
      if (run == kNowhere) continue;
      const uint32_t place = next[k][static_cast<size_t>(run)]++;
      weights_[place] = increments[k]->values[i];
      blocks_[place] = columns[static_cast<size_t>(shape.column(position))].block;
    }
    // What makes up for a multiple reads where the tap before it does.
    for (const uint32_t after : next[k]) {
      for (uint32_t i = after; i % multiple != 0; ++i) blocks_[i] = blocks_[i - 1];
    }
  }
  list_levels(levels);
  return {};
}

void PackedWeights::list_levels(size_t level_count) {
  level_lists_.clear();
  std::vector<kernels::TapList> full;
  for (const RunBounds& list : bounds_) {
    for (size_t i = 1; i <= list.increments() && level_lists_.size() < level_count; ++i) {
      level_lists_.push_back(full);
      level_lists_.back().push_back(list.first(i));
    }
    full.push_back(list.first(list.increments()));
  }
}

void PackedWeights::keep_taps(size_t level_count) {
  if (bounds_.empty() || level_lists_.size() <= level_count) return;
  const size_t lists = level_lists_[level_count - 1].size();
  bounds_.erase(bounds_.begin() + static_cast<std::ptrdiff_t>(lists), bounds_.end());
  RunBounds& last = bounds_.back();
  const kernels::TapList kept = level_lists_[level_count - 1].back();
  const size_t runs = last.begin.size() - 1;
  uint32_t end = last.begin[0];
  for (size_t run = 0; run < runs; ++run) {
    const uint32_t from = kept.begin[run];
    const uint32_t until = kept.end[run];
    std::copy(weights_.data() + from, weights_.data() + until, weights_.data() + end);
    std::copy(blocks_.data() + from, blocks_.data() + until, blocks_.data() + end);
    for (auto& inner : last.inner) inner[run] -= from - end;
    last.begin[run] = end;
    end += until - from;
  }
  last.begin[runs] = end;
  size_t below = 0;  // levels of the lists before
  for (size_t list = 0; list + 1 < lists; ++list) below += bounds_[list].increments();
  last.inner.resize(level_count - below - 1);
  list_levels(level_count);
  // Without memory for smaller copies the large ones stay.
  auto weights = AlignedBuffer<float>::create(end, "fewer weights");
  auto blocks = AlignedBuffer<uint16_t>::create(end, "fewer weights");
  if (!weights.ok() || !blocks.ok()) return;
  std::copy_n(weights_.data(), end, weights->data());
  std::copy_n(blocks_.data(), end, blocks->data());
  weights_ = std::move(weights).value();
  blocks_ = std::move(blocks).value();
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
    panels.weights.push_back({panels.increments.data(), count, shape.groups_per_panel()});
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
  size_t bytes = weights_.bytes() + blocks_.bytes() + dense_.bytes() + panels_.bytes();
  for (const RunBounds& list : bounds_) {
    bytes += list.begin.bytes();
    for (const auto& inner : list.inner) bytes += inner.bytes();
  }
  for (const OperandWeights& operand : operands_) {
    for (const auto& dense : operand.dense) bytes += dense.capacity() * sizeof(float);
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
  keep_taps(static_cast<size_t>(level_count));
  dense_.keep_levels(level_count);
  panels_.keep_levels(static_cast<size_t>(level_count));
  for (OperandWeights& operand : operands_) {
    truncate(operand.dense);
    operand.panels.keep_levels(static_cast<size_t>(level_count));
  }
  truncate(scale_);
  truncate(shift_);
  truncate(nonzeros_);
}

}  // namespace strata::runtime
