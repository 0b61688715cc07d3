// The weights of one step for those of its levels that are so dense that a dense kernel is faster
// than walking taps: every level that differs from the one below has its own copy, zeros filled in,
// of what the kernel reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/status.h"
#include "graph/graph.h"
#include "runtime/matrix_shape.h"
#include "runtime/memory_plan.h"
#include "runtime/plan.h"
#include "sparse/nested.h"

namespace strata::runtime {

/// The columns of a weight as the taps of DenseConvArguments.
struct DenseTaps {
  static constexpr int32_t kNowhere = -1;

  std::vector<int32_t> tap_of_column;  ///< kNowhere for one that sees nothing but padding
  std::vector<int32_t> offsets;        ///< [tap] from the first plane of its group on
  /// [slice + 1]: the taps of a slice read what stays in the first-level cache.
  std::vector<int64_t> slice_begin;
};

/// The density from which on dense panels win for groups of so many rows, where those of full
/// panels win from `crossover` on: rows that only fill a panel cost as much as others.
double dense_from(double crossover, int64_t group_rows, int64_t panel_rows);

/// The taps of a convolution or a product, tiles being of up to `tile_blocks` blocks.
DenseTaps dense_taps(const graph::Parameter& weight, const Step& step, const StepMemory& memory,
                     int64_t tile_blocks);

class DenseWeights {
 public:
  DenseWeights() = default;
  /// Of the levels from `first_level` on; increments[0] is that of level 0. The rows of the matrix
  /// are in `groups` groups. Errors: no memory.
  static Result<DenseWeights> pack(const MatrixShape& shape, int64_t groups, int64_t panel_rows,
                                   const DenseTaps& taps, int first_level,
                                   std::span<const sparse::Increment* const> increments,
                                   const std::string& purpose);

  /// Of one level, which must run dense: [group][panel][tap][panel row].
  [[nodiscard]] const float* level(int level) const {
    return copies_[copy_of_level_[static_cast<size_t>(level - first_level_)]].data();
  }
  [[nodiscard]] const int32_t* offsets() const { return offsets_.data(); }
  [[nodiscard]] int64_t taps() const { return slice_begin_.back(); }
  [[nodiscard]] int64_t slices() const { return static_cast<int64_t>(slice_begin_.size()) - 1; }
  [[nodiscard]] int64_t slice_begin(int64_t slice) const {
    return slice_begin_[static_cast<size_t>(slice)];
  }
  [[nodiscard]] int64_t panel_rows() const { return panel_rows_; }
  [[nodiscard]] int64_t panels_per_group() const { return panels_per_group_; }
  [[nodiscard]] int64_t panel_stride() const { return panel_rows_ * taps(); }

  [[nodiscard]] size_t bytes() const;
  /// Frees the levels from `level_count` on.
  void keep_levels(int level_count);

 private:
  std::vector<int32_t> offsets_;
  std::vector<int64_t> slice_begin_;
  int64_t panel_rows_ = 1;
  int64_t panels_per_group_ = 0;
  int first_level_ = 0;
  std::vector<AlignedBuffer<float>> copies_;  ///< levels that are equal share one
  std::vector<size_t> copy_of_level_;         ///< [level - first_level_]
};

}  // namespace strata::runtime
