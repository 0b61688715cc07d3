// See memory_plan.h. Tensors that a stride-1 convolution or a residual addition ties together get
// the same row pitch.
#include "runtime/memory_plan.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <utility>

#include "kernels/pool/pool.h"
#include "kernels/sparse_gemm/panel_product.h"
#include "runtime/tasks.h"

namespace strata::runtime {
namespace {

using kernels::kPixelBlock;
using kernels::PlaneLayout;
using kernels::round_up;

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

/// Disjoint sets of tensors.
class Classes {
 public:
  explicit Classes(size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), 0); }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(size_t a, size_t b) { parent_[find(a)] = find(b); }

 private:
  std::vector<size_t> parent_;
};

/// A piece of the arena in use during steps first..last.
struct Piece {
  int64_t floats = 0;
  size_t first = 0;
  size_t last = 0;
  int64_t* offset = nullptr;
};

/// Whether a window sees more of an image than its pixels.
bool reads_padding(const kernels::Window& window) {
  const auto any = [](const std::array<int64_t, 2>& sizes) { return sizes[0] + sizes[1] > 0; };
  return window.kernel[0] * window.kernel[1] > 1 || any(window.pad_begin) || any(window.pad_end);
}

/// Largest first, each at the lowest place that no piece alive at the same time takes.
int64_t place_pieces(std::vector<Piece> pieces) {
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const Piece& a, const Piece& b) { return a.floats > b.floats; });
  int64_t total = 0;
  std::vector<std::pair<int64_t, int64_t>> taken;
  for (size_t i = 0; i < pieces.size(); ++i) {
    taken.clear();
    for (size_t j = 0; j < i; ++j) {
      if (pieces[j].first <= pieces[i].last && pieces[i].first <= pieces[j].last) {
        taken.emplace_back(*pieces[j].offset, *pieces[j].offset + pieces[j].floats);
      }
    }
    std::sort(taken.begin(), taken.end());
    int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + pieces[i].floats <= begin) break;
      offset = std::max(offset, end);
    }
    *pieces[i].offset = offset;
    total = std::max(total, offset + pieces[i].floats);
  }
  return total;
}

class MemoryPlanner {
 public:
  MemoryPlanner(const Plan& plan, const kernels::TileSizes& tile_sizes, int threads)
      : plan_(plan),
        tile_sizes_(tile_sizes),
        threads_(threads),
        planes_(plan.tensors.size()),
        classes_(plan.tensors.size()) {
    memory_.tensors.resize(plan.tensors.size());
    memory_.steps.resize(plan.steps.size());
  }

  Result<MemoryPlan> make() {
    choose_planes();
    lay_out_tensors();
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      STRATA_RETURN_IF_ERROR(plan_scratch(plan_.steps[i], memory_.steps[i]));
    }
    place();
    return std::move(memory_);
  }

 private:
  [[nodiscard]] const PlanTensor& tensor(int index) const {
    return plan_.tensors[static_cast<size_t>(index)];
  }

  /// Which tensors have room around their planes, and which convolutions can do without a copy.
  void choose_planes() {
    std::vector<bool> can(plan_.tensors.size());
    for (const Step& step : plan_.steps) {
      const auto output = static_cast<size_t>(step.output);
      can[output] = writes_planes(step.kind);
      if (step.kind == StepKind::kConv) planes_[output] = true;
    }
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      if (step.kind != StepKind::kConv) continue;
      const auto& in = tensor(step.input).size;
      const auto& out = tensor(step.output).size;
      StepMemory& memory = memory_.steps[i];
      memory.geometry.emplace(step.window, in[2], in[3], out[2], out[3]);
      const auto input = static_cast<size_t>(step.input);
      const auto output = static_cast<size_t>(step.output);
      memory.packed = !memory.geometry->direct() || !can[input];
      if (!memory.packed) {
        planes_[input] = true;
        classes_.join(input, output);
      }
      if (step.addend >= 0) {
        planes_[static_cast<size_t>(step.addend)] = true;
        classes_.join(static_cast<size_t>(step.addend), output);
      }
    }
  }

  void lay_out_tensors() {
    const size_t count = plan_.tensors.size();
    std::vector<int64_t> pitch(count);
    std::vector<int64_t> head(count);
    std::vector<int64_t> reach(count);
    for (size_t t = 0; t < count; ++t) {
      int64_t& widest = pitch[classes_.find(t)];
      widest = std::max(widest, plan_.tensors[t].size[3]);
    }
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      if (!memory_.steps[i].geometry) continue;
      const PlanTensor& output = tensor(plan_.steps[i].output);
      int64_t& widest = pitch[classes_.find(static_cast<size_t>(plan_.steps[i].output))];
      widest = kernels::choose_pitch(*memory_.steps[i].geometry, output.size[2], widest,
                                     tile_sizes_.most);
    }
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      StepMemory& step = memory_.steps[i];
      if (!step.geometry) continue;
      const int64_t p = pitch[classes_.find(static_cast<size_t>(plan_.steps[i].output))];
      const Step& conv = plan_.steps[i];
      const int64_t planes = tensor(conv.input).size[1] / conv.group * step.geometry->phases();
      step.tiling = kernels::plan_tiling(*step.geometry, p, planes, tile_sizes_);
      if (step.packed) continue;
      const auto input = static_cast<size_t>(plan_.steps[i].input);
      const int64_t blocks = round_up(tensor(plan_.steps[i].output).size[2] * p, kPixelBlock);
      head[input] = std::max(head[input], step.tiling.head());
      reach[input] = std::max(reach[input], step.tiling.reach(blocks / kPixelBlock));
      if (reads_padding(plan_.steps[i].window)) memory_.tensors[input].padded = true;
    }
    for (size_t t = 0; t < count; ++t) {
      const auto& size = plan_.tensors[t].size;
      PlaneLayout& layout = memory_.tensors[t].layout;
      layout = kernels::compact_layout(size[0], size[1], size[2], size[3]);
      if (!planes_[t]) continue;
      layout.pitch = pitch[classes_.find(t)];
      kernels::lay_out_planes(layout, head[t], reach[t]);
    }
  }

  void plan_operator_scratch(const Step& step, StepMemory& memory) {
    for (const Operand& operand : step.operands) {
      const bool tensor = operand.kind == Operand::Kind::kTensor;
      const auto index = static_cast<size_t>(operand.index);
      memory.copies.push_back(-1);
      if (!tensor || memory_.tensors[index].layout.compact()) continue;
      memory.copies.back() = memory.scratch_floats;
      memory.scratch_floats += round_up(plan_.tensors[index].elements(), kPixelBlock);
    }
    memory.kernel_scratch = memory.scratch_floats;
    const auto bytes = static_cast<int64_t>(step.kernel->scratch_bytes(threads_));
    memory.scratch_floats += round_up(bytes, kPixelBlock * kFloatBytes) / kFloatBytes;
  }

  Status plan_scratch(const Step& step, StepMemory& memory) {
    if (step.kind == StepKind::kOperator) {
      plan_operator_scratch(step, memory);
      return {};
    }
    const PlaneLayout& in = memory_.tensors[static_cast<size_t>(step.input)].layout;
    const PlaneLayout& out = memory_.tensors[static_cast<size_t>(step.output)].layout;
    if (threads_ > 1) {
      const int64_t images = step.kind == StepKind::kConv ? out.batch : 1;
      memory.tasks = divide_up(kTasksPerThread * threads_, images);
    }
    if (step.kind == StepKind::kMaxPool || step.kind == StepKind::kAveragePool) {
      const int64_t row = kernels::pool_row_floats(step.window, in.width, out.width);
      memory_.row_floats = std::max(memory_.row_floats, round_up(row, kPixelBlock));
    } else if (step.kind == StepKind::kConv) {
      memory.scratch_layout = in;
      if (memory.packed) {
        memory.scratch_layout =
            memory.geometry->phase_layout(in.batch, in.channels, out.pitch, memory.tiling.head(),
                                          memory.tiling.reach(out.blocks()));
        memory.scratch_floats = floats(memory.scratch_layout);
      }
      const Status fits = kernels::check_taps(memory.tiling);
      if (!fits.ok()) return unsupported("step '" + step.name + "': " + fits.message());
    } else if (step.kind == StepKind::kGemm) {
      if (in.batch < kMinBatchForLanes) {
        memory.scratch_floats =
            kernels::PanelProduct::most_input_floats(product_panels(plan_, step), in.batch);
      } else {
        // Both sides transposed: one row of scratch per input and output feature, batch along it.
        const int64_t row = round_up(in.batch, kPixelBlock);
        memory.scratch_layout = {1, in.channels, 1, in.batch, row, 0, row, row * in.channels};
        memory.scratch_floats = row * (in.channels + out.channels);
        memory.tiling = kernels::plan_product_tiling(row / kPixelBlock, tile_sizes_);
      }
    }
    return {};
  }

  /// Room for the layout, and for the whole blocks that kernels read beyond the last pixel.
  static int64_t floats(const PlaneLayout& layout) {
    return layout.batch * layout.image_stride + round_up(layout.pitch + kPixelBlock, kPixelBlock);
  }

  /// Of a whole tensor.
  [[nodiscard]] int64_t floats(size_t t) const {
    const PlanTensor& tensor = plan_.tensors[t];
    if (tensor.type == graph::DataType::kFloat32) return floats(memory_.tensors[t].layout);
    const auto bytes = static_cast<int64_t>(graph::element_size(tensor.type));
    return (tensor.elements() * bytes + kFloatBytes - 1) / kFloatBytes;
  }

  void place() {
    const size_t last_step = plan_.steps.size();
    std::vector<size_t> first(plan_.tensors.size(), 0);
    std::vector<size_t> last(plan_.tensors.size(), 0);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      for (const int t : step.writes()) first[static_cast<size_t>(t)] = i;
      for (const int t : step.writes()) last[static_cast<size_t>(t)] = i;
      for (const int t : step.reads()) last[static_cast<size_t>(t)] = i;
    }
    for (size_t i = 0; i < plan_.inputs.size(); ++i) {
      TensorPlace& place = memory_.tensors[static_cast<size_t>(plan_.inputs[i])];
      place.home = Home::kInput;
      place.place = static_cast<int64_t>(i);
    }
    for (size_t i = 0; i < plan_.outputs.size(); ++i) {
      const auto t = static_cast<size_t>(plan_.outputs[i]);
      TensorPlace& place = memory_.tensors[t];
      last[t] = last_step;
      if (place.home == Home::kArena && !planes_[t]) {
        place.home = Home::kOutput;
        place.place = static_cast<int64_t>(i);
      }
    }
    std::vector<Piece> pieces;
    for (size_t t = 0; t < plan_.tensors.size(); ++t) {
      TensorPlace& place = memory_.tensors[t];
      if (place.home != Home::kArena) continue;
      pieces.push_back({round_up(floats(t), kPixelBlock), first[t], last[t], &place.place});
    }
    for (size_t i = 0; i < memory_.steps.size(); ++i) {
      StepMemory& step = memory_.steps[i];
      if (step.scratch_floats == 0) continue;
      pieces.push_back({round_up(step.scratch_floats, kPixelBlock), i, i, &step.scratch});
    }
    memory_.arena_floats = place_pieces(std::move(pieces));
  }

  const Plan& plan_;
  kernels::TileSizes tile_sizes_;
  int threads_;
  MemoryPlan memory_;
  std::vector<bool> planes_;  ///< [tensor]
  Classes classes_;
};

}  // namespace

Result<MemoryPlan> plan_memory(const Plan& plan, const kernels::TileSizes& tile_sizes,
                               int threads) {
  return MemoryPlanner(plan, tile_sizes, threads).make();
}

}  // namespace strata::runtime
