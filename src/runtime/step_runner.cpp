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

/// Enough tasks per thread that the last ones even out what the machine's noise does.
constexpr int64_t kTasksPerThread = 6;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Calls body(task, thread) for every task once. Every thread first takes the tasks of its own
/// part, in their order, then helps the others: so what a thread wrote in one step is mostly what
/// it reads in the next, from its own cache, and still nobody waits long.
template <typename Body>
void for_own_tasks(ThreadPool& pool, TaskCursors& cursors, int64_t tasks, const Body& body) {
  const int threads = pool.threads();
  if (threads == 1) {
    for (int64_t task = 0; task < tasks; ++task) body(static_cast<int>(task), 0);
    return;
  }
  const auto part_begin = [&](int64_t part) { return part * tasks / threads; };
  for (int part = 0; part < threads; ++part) {
    cursors[static_cast<size_t>(part)].next.store(part_begin(part), std::memory_order_relaxed);
  }
  pool.parallel_for(threads, [&](int /*task*/, int thread) {
    for (int i = 0; i < threads; ++i) {
      const int part = (thread + i) % threads;
      std::atomic<int64_t>& next = cursors[static_cast<size_t>(part)].next;
      const int64_t end = part_begin(part + 1);
      for (;;) {
        const int64_t task = next.fetch_add(1, std::memory_order_relaxed);
        if (task >= end) break;
        body(static_cast<int>(task), thread);
      }
    }
  });
}

/// Cuts every image's channels into ranges and calls body(image, begin, end, thread).
template <typename Body>
void for_channel_ranges(ThreadPool& pool, TaskCursors& cursors, int64_t images, int64_t channels,
                        const Body& body) {
  const int64_t wanted =
      pool.threads() == 1 ? 1 : divide_up(kTasksPerThread * pool.threads(), images);
  const int64_t size = divide_up(channels, std::min(wanted, channels));
  const int64_t ranges = divide_up(channels, size);
  for_own_tasks(pool, cursors, images * ranges, [&](int task, int thread) {
    const int64_t begin = task % ranges * size;
    body(task / ranges, begin, std::min(begin + size, channels), thread);
  });
}

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
      AlignedBuffer<float>::create(static_cast<size_t>(memory.arena_floats), "the activations"));
  STRATA_ASSIGN_OR_RETURN(
      runner.rows_,
      AlignedBuffer<float>::create(static_cast<size_t>(memory.row_floats * threads), "pooling"));
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
    STRATA_ASSIGN_OR_RETURN(auto made, AlignedBuffer<uint32_t>::create(static_cast<size_t>(pixels),
                                                                       "a mask of pixels"));
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

void StepRunner::run_conv(size_t index, const PackedWeights& weights, int level,
                          const Buffers& buffers, ThreadPool& pool) {
  const Step& step = plan_->steps[index];
  const StepMemory& memory = memory_->steps[index];
  const PlaneLayout& in = memory.scratch_layout;
  const PlaneLayout& out = place(step.output).layout;
  const float* source = input(step.input, buffers);
  if (memory.packed) {
    const PlaneLayout& unpacked = place(step.input).layout;
    float* scratch = arena_.data() + memory.scratch;
    for_channel_ranges(pool, cursors_, unpacked.batch, unpacked.channels,
                       [&](int64_t image, int64_t begin, int64_t end, int /*thread*/) {
                         split_(*memory.geometry, step.window, unpacked, source, in, scratch, image,
                                begin, end);
                       });
    source = scratch;
  }
  float* target = output(step.output, buffers);
  const PlaneLayout* addend = step.addend < 0 ? nullptr : &place(step.addend).layout;
  const float* addend_data = step.addend < 0 ? nullptr : input(step.addend, buffers);

  // A task is a range of rows over one tile of pixels; tasks of one tile follow each other, so that
  // the tile's input stays in the cache.
  const kernels::ConvTiling& tiling = memory.tiling;
  const int64_t blocks = out.blocks();
  const int64_t tile = tiling.tile_blocks;
  const int64_t tiles = divide_up(blocks, tile);
  const int64_t wanted =
      pool.threads() == 1 ? 1 : divide_up(kTasksPerThread * pool.threads(), out.batch * tiles);
  const int64_t range = divide_up(out.channels, std::min(wanted, out.channels));
  const int64_t ranges = divide_up(out.channels, range);
  const int64_t group_rows = out.channels / step.group;
  const int64_t group_planes = in.channels / step.group;
  for_own_tasks(pool, cursors_, out.batch * tiles * ranges, [&](int task, int /*thread*/) {
    const int64_t row_begin = task % ranges * range;
    const int64_t row_end = std::min(row_begin + range, out.channels);
    const int64_t block = task / ranges % tiles * tile;
    const int64_t block_end = std::min(block + tile, blocks);
    const int64_t image = task / ranges / tiles;
    kernels::SparseConvArguments arguments = product_arguments(weights, level, tiling);
    arguments.rows = out.channels;
    if (addend != nullptr) {
      arguments.residual = addend_data + addend->plane(image, 0);
      arguments.residual_stride = addend->plane_stride;
    }
    arguments.output = target + out.plane(image, 0);
    arguments.output_stride = out.plane_stride;
    arguments.mask = mask_of_step_[index];
    arguments.relu = step.relu;
    for (int64_t group = row_begin / group_rows; group * group_rows < row_end; ++group) {
      const int64_t begin = std::max(row_begin, group * group_rows);
      const int64_t end = std::min(row_end, (group + 1) * group_rows);
      const float* planes = source + in.plane(image, group * group_planes) - tiling.head();
      run_slices(arguments, tiling, planes, in.plane_stride, begin, end, block, block_end);
    }
    if (block_end < blocks) return;
    for (int64_t row = row_begin; row < row_end; ++row) {
      kernels::clear_ends(out, target + out.plane(image, row), blocks * kPixelBlock);
    }
  });
}

kernels::SparseConvArguments StepRunner::product_arguments(const PackedWeights& weights, int level,
                                                           const kernels::ConvTiling& tiling) {
  kernels::SparseConvArguments arguments;
  arguments.taps = weights.taps(level);
  arguments.shifts = tiling.shifts.data();
  arguments.shift_count = static_cast<int64_t>(tiling.shifts.size());
  arguments.run_multiple = tiling.run_multiple;
  arguments.overhang = tiling.overhang;
  arguments.scale = weights.scale(level);
  arguments.shift = weights.shift(level);
  return arguments;
}

void StepRunner::run_slices(kernels::SparseConvArguments& arguments,
                            const kernels::ConvTiling& tiling, const float* planes,
                            int64_t plane_stride, int64_t row_begin, int64_t row_end,
                            int64_t block_begin, int64_t block_end) const {
  const int64_t slices = tiling.slices();
  for (int64_t slice = 0; slice < slices; ++slice) {
    arguments.input = planes + tiling.slice_begin[static_cast<size_t>(slice)] * plane_stride;
    arguments.slice = slice;
    arguments.first_slice = slice == 0;
    arguments.last_slice = slice == slices - 1;
    conv_.run(arguments, row_begin, row_end, block_begin, block_end);
  }
}

void StepRunner::run_gemm(size_t index, const PackedWeights& weights, int level,
                          const Buffers& buffers, ThreadPool& pool) {
  const Step& step = plan_->steps[index];
  const StepMemory& memory = memory_->steps[index];
  const PlaneLayout& in = place(step.input).layout;
  const PlaneLayout& out = place(step.output).layout;
  if (in.batch >= kMinBatchForLanes) {
    return run_gemm_over_batch(index, weights, level, buffers, pool);
  }
  const kernels::PanelShape shape = product_panels(*plan_, step);
  const kernels::PanelProduct product(panels_, shape);
  const float* const source = input(step.input, buffers);
  float* const vectors = arena_.data() + memory.scratch;
  for (int64_t image = 0; image < in.batch; ++image) {
    product.load(source + in.plane(image, 0), in.plane_stride, image, in.batch, vectors);
  }
  const kernels::PanelWeights& panels = weights.panels(level);
  const float* const scale = weights.scale(level);
  const float* const shift = weights.shift(level);
  float* const target = output(step.output, buffers);
  pool.parallel_for(static_cast<int>(shape.panels()), [&](int panel, int /*thread*/) {
    const kernels::PanelUnits units = kernels::units_of_panel(shape, panel);
    alignas(kCacheLine) kernels::PanelSums sums;
    const int64_t block = product.block(in.batch);
    for (int64_t image = 0; image < in.batch; ++image) {
      if (image % block == 0) {
        product.run(panels, panel, vectors, in.batch, image / block, sums.data());
      }
      const float* const sum = sums.data() + image % block * kernels::kPanelRows - units.begin;
      float* const row = target + image * out.channels;
      for (int64_t unit = units.begin; unit < units.end; ++unit) {
        const float value = sum[unit] * scale[unit] + shift[unit];
        row[unit] = step.relu && value < 0 ? 0.0F : value;
      }
    }
  });
}

void StepRunner::run_gemm_over_batch(size_t index, const PackedWeights& weights, int level,
                                     const Buffers& buffers, ThreadPool& pool) {
  const Step& step = plan_->steps[index];
  const StepMemory& memory = memory_->steps[index];
  const PlaneLayout& in = place(step.input).layout;
  const PlaneLayout& out = place(step.output).layout;
  const kernels::ConvTiling& tiling = memory.tiling;
  const int64_t row = memory.scratch_layout.plane_stride;
  const float* source = input(step.input, buffers);
  float* transposed = arena_.data() + memory.scratch;
  for (int64_t image = 0; image < in.batch; ++image) {
    for (int64_t feature = 0; feature < in.channels; ++feature) {
      transposed[feature * row + image] = source[in.plane(image, feature)];
    }
  }
  float* result = transposed + row * in.channels;
  float* target = output(step.output, buffers);
  for_channel_ranges(pool, cursors_, 1, out.channels,
                     [&](int64_t /*image*/, int64_t begin, int64_t end, int /*thread*/) {
                       kernels::SparseConvArguments arguments =
                           product_arguments(weights, level, tiling);
                       arguments.rows = out.channels;
                       arguments.output = result;
                       arguments.output_stride = row;
                       arguments.relu = step.relu;
                       const int64_t blocks = row / kPixelBlock;
                       for (int64_t block = 0; block < blocks; block += tiling.tile_blocks) {
                         run_slices(arguments, tiling, transposed, row, begin, end, block,
                                    std::min(block + tiling.tile_blocks, blocks));
                       }
                       for (int64_t feature = begin; feature < end; ++feature) {
                         for (int64_t image = 0; image < out.batch; ++image) {
                           target[image * out.channels + feature] = result[feature * row + image];
                         }
                       }
                     });
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
