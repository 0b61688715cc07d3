// Executes single steps: turns a step, its packed weights and its places in memory into parallel
// loops of kernel calls. Allocates nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"
#include "kernels/dense_conv/dense_conv.h"
#include "kernels/dense_gemm/dense_gemm.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/pool/pool.h"
#include "kernels/sparse_conv/phase_split.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_conv/tiling.h"
#include "kernels/sparse_gemm/panel_product.h"
#include "kernels/target.h"
#include "kernels/transpose/transpose.h"
#include "runtime/memory_plan.h"
#include "runtime/packed_weights.h"
#include "runtime/plan.h"
#include "runtime/tasks.h"

namespace strata::runtime {

/// Where the data of one inference is.
struct Buffers {
  std::span<const void* const> inputs;  ///< [graph input]
  std::span<void* const> outputs;       ///< [graph output]
};

class StepRunner {
 public:
  /// `plan` and `memory` must outlive the runner. Errors: no memory.
  static Result<StepRunner> create(const Plan& plan, const MemoryPlan& memory,
                                   kernels::Target target, int threads);

  /// Errors: data that an operator does not allow.
  Status run(size_t step, const PackedWeights& weights, int level, const Buffers& buffers,
             ThreadPool& pool);
  /// Copies a graph output to the caller unless its step wrote it there.
  void copy_output(size_t output, const Buffers& buffers) const;

  [[nodiscard]] size_t bytes() const;

 private:
  StepRunner(const Plan& plan, const MemoryPlan& memory, kernels::Target target)
      : plan_(&plan),
        memory_(&memory),
        conv_(kernels::sparse_conv_kernel(target)),
        dense_(kernels::dense_conv_kernel(target)),
        dense_gemm_(kernels::dense_gemm_kernel(target)),
        split_(kernels::phase_split_kernel(target)),
        panels_(kernels::panel_kernel(target)),
        pool_(kernels::pool_kernel(target)),
        elementwise_(kernels::elementwise_kernel(target)),
        transpose_(kernels::transpose_kernel(target)) {}

  [[nodiscard]] const TensorPlace& place(int tensor) const {
    return memory_->tensors[static_cast<size_t>(tensor)];
  }
  [[nodiscard]] const float* input(int tensor, const Buffers& buffers) const;
  [[nodiscard]] float* output(int tensor, const Buffers& buffers);
  /// Writes a tensor in row-major order.
  void copy_compact(int tensor, const Buffers& buffers, void* to) const;

  void run_conv(size_t step, const PackedWeights& weights, int level, const Buffers& buffers,
                ThreadPool& pool);
  void run_gemm(size_t step, const PackedWeights& weights, int level, const Buffers& buffers,
                ThreadPool& pool);
  void run_dense_gemm(size_t step, const PackedWeights& weights, int level, const Buffers& buffers,
                      ThreadPool& pool);
  void run_gemm_over_batch(size_t step, const PackedWeights& weights, int level,
                           const Buffers& buffers, ThreadPool& pool);
  void run_pool(size_t step, const Buffers& buffers, ThreadPool& pool);
  void run_elementwise(size_t step, const PackedWeights& weights, int level, const Buffers& buffers,
                       ThreadPool& pool);
  void run_pad(size_t step, const Buffers& buffers, ThreadPool& pool);
  void run_reshape(size_t step, const Buffers& buffers);
  Status run_operator(size_t step, const PackedWeights& weights, int level, const Buffers& buffers,
                      ThreadPool& pool);

  /// Cuts a convolution into tasks of rows (or panels of them) over a tile of blocks and calls
  /// body(image, begin, end, block, block_end). The tasks of a tile follow each other, so that its
  /// input stays in the cache; there are at most `most` of them where that occupies all threads.
  template <typename Body>
  void for_tiles(const kernels::PlaneLayout& out, int64_t tile_blocks, int64_t rows, int64_t most,
                 ThreadPool& pool, const Body& body);
  /// Scale, shift and activation of a step, for the outputs that begin at row `row`.
  static void describe_output(kernels::ConvOutput& out, const Step& step,
                              const PackedWeights& weights, int level, int64_t row);
  static kernels::SparseConvArguments sparse_arguments(const kernels::ConvTiling& tiling);
  /// Runs all slices over rows of one group and blocks of one tile. `planes` is where taps of
  /// TapLists::blocks 0 read in the group's first plane.
  void run_slices(kernels::SparseConvArguments& arguments, const TapWeights& taps, int level,
                  const float* planes, int64_t plane_stride, int64_t row_begin, int64_t row_end,
                  int64_t block_begin, int64_t block_end) const;
  /// The same over panels of the group whose weights begin at `weights`.
  void run_slices(kernels::DenseConvArguments& arguments, const DenseWeights& dense,
                  const float* weights, int64_t panel_begin, int64_t panel_end, int64_t block_begin,
                  int64_t block_end) const;

  const Plan* plan_;
  const MemoryPlan* memory_;
  kernels::SparseConvKernel conv_;
  kernels::DenseConvKernel dense_;
  kernels::DenseGemmKernel dense_gemm_;
  kernels::PhaseSplitFunction split_;
  kernels::PanelKernel panels_;
  kernels::PoolFunction pool_;
  kernels::ElementwiseFunction elementwise_;
  kernels::TransposeFunction transpose_;
  TaskCursors cursors_;
  AlignedBuffer<float> arena_;
  AlignedBuffer<float> rows_;  ///< [thread][MemoryPlan::row_floats]
  std::vector<AlignedBuffer<uint32_t>> masks_;
  std::vector<const void*> operand_data_;      ///< of the operator that runs
  std::vector<void*> result_data_;             ///< of it
  std::vector<const uint32_t*> mask_of_step_;  ///< of convolutions; null: no gap to mask
};

}  // namespace strata::runtime
