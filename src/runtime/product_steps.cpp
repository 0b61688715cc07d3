// The steps of StepRunner that multiply by weights: convolutions and matrix products, sparse and
// dense. How work is cut into tasks never changes what is computed for a pixel, so results are the
// same for every number of threads.
#include <algorithm>
#include <array>

#include "runtime/step_runner.h"

namespace strata::runtime {

using kernels::kPixelBlock;
using kernels::PlaneLayout;

namespace {

/// Into how many ranges of rows a tile may be cut: every range brings the input of its groups to
/// the first-level cache anew, for which it should use it so many times.
int64_t most_ranges(int64_t groups, int64_t taps, int64_t planes) {
  constexpr int64_t kLeastUses = 8;
  return groups * std::max<int64_t>(1, taps / (planes * kLeastUses));
}

}  // namespace

template <typename Body>
void StepRunner::for_tiles(const PlaneLayout& out, int64_t tile_blocks, int64_t rows, int64_t most,
                           ThreadPool& pool, const Body& body) {
  const int64_t blocks = out.blocks();
  const int64_t tiles = divide_up(blocks, tile_blocks);
  const int64_t range = rows_of_task(out.batch * tiles, rows, most, pool.threads());
  const int64_t ranges = divide_up(rows, range);
  for_own_tasks(pool, cursors_, out.batch * tiles * ranges, [&](int task, int /*thread*/) {
    const int64_t begin = task % ranges * range;
    const int64_t block = task / ranges % tiles * tile_blocks;
    body(task / ranges / tiles, begin, std::min(begin + range, rows), block,
         std::min(block + tile_blocks, blocks));
  });
}

void StepRunner::describe_output(kernels::ConvOutput& out, const Step& step,
                                 const PackedWeights& weights, int level, int64_t row) {
  out.scale = weights.scale(level) + row;
  out.shift = weights.shift(level) + row;
  out.relu = step.relu;
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
  const kernels::ConvTiling& tiling = memory.tiling;
  const int64_t group_rows = out.channels / step.group;
  const int64_t group_planes = in.channels / step.group;
  const auto describe = [&](kernels::ConvOutput& arguments, int64_t image, int64_t row) {
    describe_output(arguments, step, weights, level, row);
    if (addend != nullptr) {
      arguments.residual = addend_data + addend->plane(image, row);
      arguments.residual_stride = addend->plane_stride;
    }
    arguments.output = target + out.plane(image, row);
    arguments.output_stride = out.plane_stride;
    arguments.mask = mask_of_step_[index];
  };
  const auto clear_ends = [&](int64_t image, int64_t row_begin, int64_t row_end, int64_t block) {
    if (block < out.blocks()) return;
    for (int64_t row = row_begin; row < row_end; ++row) {
      kernels::clear_ends(out, target + out.plane(image, row), block * kPixelBlock);
    }
  };

  if (weights.runs_dense(level)) {
    const DenseWeights& dense = weights.dense();
    const float* const matrix = dense.level(level);
    const int64_t panels = dense.panels_per_group();
    for_tiles(out, balanced(out.blocks(), dense_.tile_blocks), step.group * panels,
              step.group * panels, pool,
              [&](int64_t image, int64_t begin, int64_t end, int64_t block, int64_t block_end) {
                for (int64_t group = begin / panels; group * panels < end; ++group) {
                  const int64_t first = std::max(begin - group * panels, int64_t{0});
                  const int64_t last = std::min(end - group * panels, panels);
                  kernels::DenseConvArguments arguments;
                  arguments.rows = group_rows;
                  arguments.input = source + in.plane(image, group * group_planes);
                  describe(arguments, image, group * group_rows);
                  run_slices(arguments, dense, matrix + group * panels * dense.panel_stride(),
                             first, last, block, block_end);
                  clear_ends(image, group * group_rows + first * dense.panel_rows(),
                             group * group_rows + std::min(last * dense.panel_rows(), group_rows),
                             block_end);
                }
              });
    return;
  }
  const TapWeights& taps = weights.taps();
  const int64_t part_rows = taps.part_rows(level);
  const int64_t parts = divide_up(group_rows, part_rows);
  for_tiles(out, taps.tile_blocks(level), step.group * parts,
            most_ranges(step.group, weights.nonzeros(level), in.channels), pool,
            [&](int64_t image, int64_t begin, int64_t end, int64_t block, int64_t block_end) {
              kernels::SparseConvArguments arguments = sparse_arguments(tiling);
              describe(arguments, image, 0);
              for (int64_t group = begin / parts; group * parts < end; ++group) {
                const int64_t first_row = group * group_rows;
                const int64_t first_part = std::max(begin - group * parts, int64_t{0});
                const int64_t last_part = std::min(end - group * parts, parts);
                const int64_t row_begin = first_row + first_part * part_rows;
                const int64_t row_end = first_row + std::min(last_part * part_rows, group_rows);
                const float* planes =
                    source + in.plane(image, group * group_planes) - tiling.block_base();
                run_slices(arguments, taps, level, planes, in.plane_stride, row_begin, row_end,
                           block, block_end);
                clear_ends(image, row_begin, row_end, block_end);
              }
            });
}

kernels::SparseConvArguments StepRunner::sparse_arguments(const kernels::ConvTiling& tiling) {
  kernels::SparseConvArguments arguments;
  arguments.shifts = tiling.shifts.data();
  arguments.shift_count = static_cast<int64_t>(tiling.shifts.size());
  arguments.run_multiple = tiling.run_multiple;
  arguments.overhang = tiling.overhang;
  return arguments;
}

void StepRunner::run_slices(kernels::SparseConvArguments& arguments, const TapWeights& taps,
                            int level, const float* planes, int64_t plane_stride, int64_t row_begin,
                            int64_t row_end, int64_t block_begin, int64_t block_end) const {
  const std::vector<int64_t>& begin = taps.slices(level);
  const auto slices = static_cast<int64_t>(begin.size()) - 1;
  for (int64_t slice = 0; slice < slices; ++slice) {
    arguments.input = planes + begin[static_cast<size_t>(slice)] * plane_stride;
    arguments.taps = taps.taps(level, slice);
    arguments.first_slice = slice == 0;
    arguments.last_slice = slice == slices - 1;
    conv_.run(arguments, row_begin, row_end, block_begin, block_end);
  }
}

void StepRunner::run_slices(kernels::DenseConvArguments& arguments, const DenseWeights& dense,
                            const float* weights, int64_t panel_begin, int64_t panel_end,
                            int64_t block_begin, int64_t block_end) const {
  arguments.panel_rows = dense.panel_rows();
  arguments.panel_stride = dense.panel_stride();
  const int64_t slices = dense.slices();
  for (int64_t slice = 0; slice < slices; ++slice) {
    const int64_t begin = dense.slice_begin(slice);
    arguments.offsets = dense.offsets() + begin;
    arguments.taps = dense.slice_begin(slice + 1) - begin;
    arguments.weights = weights + begin * dense.panel_rows();
    arguments.first_slice = slice == 0;
    arguments.last_slice = slice == slices - 1;
    dense_.run(arguments, panel_begin, panel_end, block_begin, block_end);
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
  if (weights.runs_dense(level)) return run_dense_gemm(index, weights, level, buffers, pool);
  const kernels::PanelShape shape = product_panels(*plan_, step);
  const kernels::PanelProduct product(panels_, shape);
  const float* const source = input(step.input, buffers);
  float* const vectors = arena_.data() + memory.scratch;
  const kernels::PanelWeights& panels = weights.panels(level);
  for (int64_t image = 0; image < in.batch; ++image) {
    product.load(panels, source + in.plane(image, 0), in.plane_stride, image, in.batch, vectors);
  }
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

void StepRunner::run_dense_gemm(size_t index, const PackedWeights& weights, int level,
                                const Buffers& buffers, ThreadPool& pool) {
  static_assert(kMinBatchForLanes - 1 <= kernels::kMostDenseVectors);
  const Step& step = plan_->steps[index];
  const PlaneLayout& in = place(step.input).layout;
  const PlaneLayout& out = place(step.output).layout;
  const float* const source = input(step.input, buffers);
  float* const vectors = arena_.data() + memory_->steps[index].scratch;
  for (int64_t image = 0; image < in.batch; ++image) {
    for (int64_t feature = 0; feature < in.channels; ++feature) {
      vectors[image * in.channels + feature] = source[in.plane(image, feature)];
    }
  }
  const DenseWeights& dense = weights.dense();
  const float* const matrix = dense.level(level);
  const float* const scale = weights.scale(level);
  const float* const shift = weights.shift(level);
  float* const target = output(step.output, buffers);
  for_channel_ranges(
      pool, cursors_, 1, dense.panels_per_group(),
      [&](int64_t /*image*/, int64_t begin, int64_t end, int /*thread*/) {
        alignas(kCacheLine) std::array<float, kernels::kMostDenseVectors * kernels::kDensePanelRows>
            sums;
        for (int64_t panel = begin; panel < end; ++panel) {
          dense_gemm_.run(matrix + panel * dense.panel_stride(), in.channels, vectors, in.batch,
                          sums.data());
          const int64_t first = panel * kernels::kDensePanelRows;
          const int64_t last = std::min(first + kernels::kDensePanelRows, out.channels);
          for (int64_t image = 0; image < in.batch; ++image) {
            const float* const sum = sums.data() + image * kernels::kDensePanelRows - first;
            for (int64_t row = first; row < last; ++row) {
              const float value = sum[row] * scale[row] + shift[row];
              target[image * out.channels + row] = step.relu && value < 0 ? 0.0F : value;
            }
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
  const int64_t row = memory.scratch_layout.plane_stride;
  const int64_t blocks = row / kPixelBlock;
  const float* const source = input(step.input, buffers);
  float* const transposed = arena_.data() + memory.scratch;
  float* const result = transposed + row * in.channels;
  float* const target = output(step.output, buffers);
  const bool runs_dense = weights.runs_dense(level);

  /// Vectors [begin, end), transposed.
  const auto read = [&](int64_t begin, int64_t end) {
    if (in.plane_stride == 1) {
      transpose_(source + in.head + begin * in.image_stride, in.image_stride, end - begin,
                 in.channels, transposed + begin, row);
      return;
    }
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t feature = 0; feature < in.channels; ++feature) {
        transposed[feature * row + image] = source[in.plane(image, feature)];
      }
    }
  };
  const auto describe = [&](kernels::ConvOutput& arguments) {
    describe_output(arguments, step, weights, level, 0);
    arguments.output = result;
    arguments.output_stride = row;
  };
  // Rows of the product: parts or panels of channels.
  const int64_t channels_per_row =
      runs_dense ? weights.dense().panel_rows() : weights.taps().part_rows(level);
  const int64_t rows = divide_up(out.channels, channels_per_row);
  const auto multiply = [&](int64_t row_begin, int64_t row_end, int64_t block, int64_t block_end) {
    if (runs_dense) {
      kernels::DenseConvArguments arguments;
      describe(arguments);
      arguments.rows = out.channels;
      arguments.input = transposed;
      run_slices(arguments, weights.dense(), weights.dense().level(level), row_begin, row_end,
                 block, block_end);
    } else {
      kernels::SparseConvArguments arguments = sparse_arguments(memory.tiling);
      describe(arguments);
      run_slices(arguments, weights.taps(), level, transposed, row, row_begin * channels_per_row,
                 std::min(row_end * channels_per_row, out.channels), block, block_end);
    }
  };
  /// Outputs [row_begin, row_end) of vectors [begin, end), transposed back.
  const auto write = [&](int64_t row_begin, int64_t row_end, int64_t begin, int64_t end) {
    transpose_(result + row_begin * row + begin, row, row_end - row_begin, end - begin,
               target + begin * out.channels + row_begin, out.channels);
  };

  const int64_t most_blocks =
      runs_dense ? balanced(blocks, dense_.tile_blocks) : weights.taps().tile_blocks(level);
  const int64_t tiles = divide_up(blocks, most_blocks);
  if (tiles >= pool.threads()) {
    // Each thread has vectors of its own, from what it reads to what it writes.
    const int64_t per_thread = divide_up(tiles, pool.threads());
    const int64_t tile = divide_up(blocks, per_thread * pool.threads());
    for_own_tasks(pool, cursors_, divide_up(blocks, tile), [&](int task, int /*thread*/) {
      const int64_t block = task * tile;
      const int64_t block_end = std::min(block + tile, blocks);
      const int64_t begin = block * kPixelBlock;
      const int64_t end = std::min(block_end * kPixelBlock, in.batch);
      read(begin, end);
      multiply(0, rows, block, block_end);
      write(0, out.channels, begin, end);
    });
    return;
  }
  read(0, in.batch);
  for_channel_ranges(pool, cursors_, 1, rows,
                     [&](int64_t /*image*/, int64_t begin, int64_t end, int /*thread*/) {
                       for (int64_t block = 0; block < blocks; block += most_blocks) {
                         multiply(begin, end, block, std::min(block + most_blocks, blocks));
                       }
                       write(begin * channels_per_row,
                             std::min(end * channels_per_row, out.channels), 0, in.batch);
                     });
}

}  // namespace strata::runtime
