// See step_runner.h. How work is cut into tasks never changes what is computed for a pixel, so
// results are the same for every number of threads.
#include "runtime/step_runner.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace strata::runtime {
namespace {

using kernels::kPixelBlock;
using kernels::PlaneLayout;

/// Copies the pixels of one plane between two layouts.
void copy_rows(const float* from, int64_t from_pitch, float* to, int64_t to_pitch, int64_t height,
               int64_t width) {
  for (int64_t y = 0; y < height; ++y) {
    std::copy_n(from + y * from_pitch, width, to + y * to_pitch);
  }
}

/// Writes floats of any layout in row-major order.
void copy_planes(const PlaneLayout& layout, const float* from, float* to) {
  const int64_t plane = layout.height * layout.width;
  for (int64_t image = 0; image < layout.batch; ++image) {
    for (int64_t channel = 0; channel < layout.channels; ++channel) {
      copy_rows(from + layout.plane(image, channel), layout.pitch, to, layout.width, layout.height,
                layout.width);
      to += plane;
    }
  }
}

}  // namespace

Result<StepRunner> StepRunner::create(const Plan& plan, const MemoryPlan& memory,
                                      kernels::Target target, int threads) {
  StepRunner runner(plan, memory, target);
  runner.cursors_ = TaskCursors(static_cast<size_t>(threads));
  STRATA_ASSIGN_OR_RETURN(
      runner.arena_,
      AlignedBuffer<float>::create(static_cast<uint64_t>(memory.arena_floats), "the activations"));
  STRATA_ASSIGN_OR_RETURN(
      runner.rows_,
      AlignedBuffer<float>::create(static_cast<uint64_t>(memory.row_floats * threads), "pooling"));
  std::vector<const PlaneLayout*> masked;  // the layout that each mask was made for
  for (const Step& step : plan.steps) {
    runner.operand_data_.resize(std::max(runner.operand_data_.size(), step.operands.size()));
    runner.result_data_.resize(std::max(runner.result_data_.size(), step.results.size()));
    const uint32_t*& mask = runner.mask_of_step_.emplace_back(nullptr);
    const PlaneLayout& layout = memory.tensors[static_cast<size_t>(step.output)].layout;
    const int64_t pixels = layout.blocks() * kPixelBlock;
    if (step.kind != StepKind::kConv || pixels == layout.height * layout.width ||
        !memory.tensors[static_cast<size_t>(step.output)].padded) {
      continue;
    }
    for (size_t i = 0; i < masked.size(); ++i) {
      if (masked[i]->pitch == layout.pitch && masked[i]->width == layout.width &&
          masked[i]->height == layout.height) {
        mask = runner.masks_[i].data();
      }
    }
    if (mask != nullptr) continue;
    STRATA_ASSIGN_OR_RETURN(auto made, AlignedBuffer<uint32_t>::create(
                                           static_cast<uint64_t>(pixels), "a mask of pixels"));
    for (int64_t y = 0; y < layout.height; ++y) {
      std::fill_n(made.data() + y * layout.pitch, layout.width, ~uint32_t{0});
    }
    masked.push_back(&layout);
    mask = made.data();
    runner.masks_.push_back(std::move(made));
  }
  return runner;
}

size_t StepRunner::bytes() const {
  size_t bytes = arena_.bytes() + rows_.bytes();
  for (const auto& mask : masks_) bytes += mask.bytes();
  return bytes;
}

const float* StepRunner::input(int tensor, const Buffers& buffers) const {
  const TensorPlace& where = place(tensor);
  const auto index = static_cast<size_t>(where.place);
  if (where.home == Home::kInput) return static_cast<const float*>(buffers.inputs[index]);
  if (where.home == Home::kOutput) return static_cast<const float*>(buffers.outputs[index]);
  return arena_.data() + where.place;
}

float* StepRunner::output(int tensor, const Buffers& buffers) {
  const TensorPlace& where = place(tensor);
  if (where.home == Home::kOutput) {
    return static_cast<float*>(buffers.outputs[static_cast<size_t>(where.place)]);
  }
  return arena_.data() + where.place;
}

void StepRunner::copy_compact(int tensor, const Buffers& buffers, void* to) const {
  const PlanTensor& info = plan_->tensors[static_cast<size_t>(tensor)];
  const PlaneLayout& layout = place(tensor).layout;
  const float* from = input(tensor, buffers);
  if (layout.compact()) {
    std::memcpy(to, from, static_cast<size_t>(info.elements()) * graph::element_size(info.type));
  } else {
    copy_planes(layout, from, static_cast<float*>(to));
  }
}

void StepRunner::copy_output(size_t output, const Buffers& buffers) const {
  const int tensor = plan_->outputs[output];
  const TensorPlace& where = place(tensor);
  if (where.home == Home::kOutput && where.place == static_cast<int64_t>(output)) return;
  copy_compact(tensor, buffers, buffers.outputs[output]);
}

Status StepRunner::run(size_t step, const PackedWeights& weights, int level, const Buffers& buffers,
                       ThreadPool& pool) {
  switch (plan_->steps[step].kind) {
    case StepKind::kConv:
      run_conv(step, weights, level, buffers, pool);
      break;
    case StepKind::kGemm:
      run_gemm(step, weights, level, buffers, pool);
      break;
    case StepKind::kMaxPool:
    case StepKind::kAveragePool:
      run_pool(step, buffers, pool);
      break;
    case StepKind::kElementwise:
      run_elementwise(step, weights, level, buffers, pool);
      break;
    case StepKind::kPad:
      run_pad(step, buffers, pool);
      break;
    case StepKind::kReshape:
      run_reshape(step, buffers);
      break;
    case StepKind::kOperator:
      return run_operator(step, weights, level, buffers, pool);
  }
  return {};
}

void StepRunner::run_pool(size_t index, const Buffers& buffers, ThreadPool& pool) {
  const Step& step = plan_->steps[index];
  kernels::PoolArguments arguments;
  arguments.kind =
      step.kind == StepKind::kMaxPool ? kernels::PoolKind::kMax : kernels::PoolKind::kAverage;
  arguments.window = step.window;
  arguments.count_include_pad = step.count_include_pad;
  arguments.input = input(step.input, buffers);
  arguments.input_layout = place(step.input).layout;
  arguments.output = output(step.output, buffers);
  arguments.output_layout = place(step.output).layout;
  for_channel_ranges(
      pool, cursors_, arguments.output_layout.batch, arguments.output_layout.channels,
      [&](int64_t image, int64_t begin, int64_t end, int thread) {
        pool_(arguments, image, begin, end, rows_.data() + thread * memory_->row_floats);
      });
}

void StepRunner::run_elementwise(size_t index, const PackedWeights& weights, int level,
                                 const Buffers& buffers, ThreadPool& pool) {
  const Step& step = plan_->steps[index];
  kernels::ElementwiseArguments arguments;
  arguments.input = input(step.input, buffers);
  arguments.input_layout = place(step.input).layout;
  arguments.scale = weights.scale(level);
  arguments.shift = weights.shift(level);
  if (step.addend >= 0) {
    arguments.addend = input(step.addend, buffers);
    arguments.addend_layout = place(step.addend).layout;
  }
  arguments.output = output(step.output, buffers);
  arguments.output_layout = place(step.output).layout;
  arguments.relu = step.relu;
  for_channel_ranges(pool, cursors_, arguments.output_layout.batch,
                     arguments.output_layout.channels,
                     [&](int64_t image, int64_t begin, int64_t end, int /*thread*/) {
                       elementwise_(arguments, image, begin, end);
                     });
}

void StepRunner::run_pad(size_t index, const Buffers& buffers, ThreadPool& pool) {
  const Step& step = plan_->steps[index];
  const PlaneLayout& in = place(step.input).layout;
  const PlaneLayout& out = place(step.output).layout;
  const float* source = input(step.input, buffers);
  float* target = output(step.output, buffers);
  for_channel_ranges(pool, cursors_, out.batch, out.channels,
                     [&](int64_t image, int64_t begin, int64_t end, int /*thread*/) {
                       for (int64_t channel = begin; channel < end; ++channel) {
                         float* plane = target + out.plane(image, channel);
                         kernels::clear_ends(out, plane, 0);
                         const int64_t from_image = image - step.origin[0];
                         const int64_t from_channel = channel - step.origin[1];
                         if (from_image < 0 || from_image >= in.batch || from_channel < 0 ||
                             from_channel >= in.channels) {
                           continue;
                         }
                         copy_rows(source + in.plane(from_image, from_channel), in.pitch,
                                   plane + step.origin[2] * out.pitch + step.origin[3], out.pitch,
                                   in.height, in.width);
                       }
                     });
}

void StepRunner::run_reshape(size_t index, const Buffers& buffers) {
  const Step& step = plan_->steps[index];
  copy_compact(step.input, buffers, output(step.output, buffers));
}

Status StepRunner::run_operator(size_t index, const PackedWeights& weights, int level,
                                const Buffers& buffers, ThreadPool& pool) {
  const Step& step = plan_->steps[index];
  const StepMemory& memory = memory_->steps[index];
  for (size_t i = 0; i < step.operands.size(); ++i) {
    const Operand& operand = step.operands[i];
    const void*& data = operand_data_[i];
    switch (operand.kind) {
      case Operand::Kind::kNone:
        data = nullptr;
        break;
      case Operand::Kind::kTensor:
        data = input(operand.index, buffers);
        if (memory.copies[i] >= 0) {
          float* copy = arena_.data() + memory.scratch + memory.copies[i];
          copy_compact(operand.index, buffers, copy);
          data = copy;
        }
        break;
      case Operand::Kind::kConstant:
        data = plan_->constants[static_cast<size_t>(operand.index)].data.data();
        break;
      case Operand::Kind::kParameter:
        data = weights.operand(level, static_cast<size_t>(operand.index));
        break;
    }
  }
  for (size_t i = 0; i < step.results.size(); ++i) {
    result_data_[i] = step.results[i] < 0 ? nullptr : output(step.results[i], buffers);
  }
  float* scratch = arena_.data() + memory.scratch + memory.kernel_scratch;
  Status status = step.kernel->run(
      {std::span(operand_data_).first(step.operands.size()),
       std::span(result_data_).first(step.results.size()), reinterpret_cast<std::byte*>(scratch)},
      pool);
  if (status.ok()) return status;
  return {status.code(), "node '" + step.name + "': " + status.message()};
}

}  // namespace strata::runtime
