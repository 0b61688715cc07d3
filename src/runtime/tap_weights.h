// The weights of one step as lists of taps, for those of its levels that run sparse: run after run,
// sorted by slice, bundle of rows and shift (see kernels/sparse_conv). A level is which lists the
// kernel walks, so changing it costs nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/status.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_conv/tiling.h"
#include "runtime/matrix_shape.h"
#include "runtime/tuning.h"
#include "sparse/nested.h"

namespace strata::runtime {

/// Where the taps of one weight column go.
struct TapColumn {
  static constexpr int64_t kNowhere = -1;

  int64_t plane = kNowhere;  ///< of its group; kNowhere for taps that see nothing but padding
  int64_t block = 0;         ///< from the first that a tap can name in the plane
  int64_t shift = 0;         ///< index into ConvTiling::shifts
};

/// What the runs of a matrix depend on besides its weights.
struct TapGeometry {
  const kernels::ConvTiling& tiling;
  std::vector<TapColumn> columns;
  int64_t planes = 0;        ///< of one group
  int64_t plane_stride = 0;  ///< floats from plane to plane
  int64_t blocks = 1;        ///< of the output
  int64_t groups = 1;        ///< of rows
  int64_t tasks = 1;         ///< that an image is wanted to be cut into
};

class TapWeights {
 public:
  TapWeights() = default;
  /// Of as many levels as there are increments. Errors: no memory.
  static Result<TapWeights> pack(const MatrixShape& shape, const TapGeometry& geometry,
                                 std::span<const sparse::Increment* const> increments,
                                 const StepTuning& tuning, const std::string& purpose);

  /// Output blocks of one tile.
  [[nodiscard]] int64_t tile_blocks(int level) const {
    return tile_blocks_[static_cast<size_t>(level)];
  }
  /// Planes of a group at which the slices of a level begin, [slice + 1].
  [[nodiscard]] const std::vector<int64_t>& slices(int level) const {
    return slicings_[slicing_of(level)].begin;
  }
  /// The rows of a group are cut into parts of so many, the last one perhaps smaller; those of a
  /// part stand in any order, which differs from slice to slice, and are computed by one task.
  [[nodiscard]] int64_t part_rows(int level) const {
    return slicings_[slicing_of(level)].part_rows;
  }
  [[nodiscard]] int64_t list_count(int level) const {
    return level - static_cast<int64_t>(slicing_of(level)) + 1;
  }
  [[nodiscard]] kernels::TapLists taps(int level, int64_t slice) const;

  [[nodiscard]] size_t bytes() const;
  /// Frees the levels from `level_count` on.
  void keep_levels(size_t level_count);

 private:
  /// What lists that are walked together have in common.
  struct Slicing {
    std::vector<int64_t> begin;  ///< as slices()
    int64_t bundle = 1;          ///< rows that are walked together
    int64_t group_rows = 1;
    int64_t part_rows = 1;       ///< as part_rows()
    std::vector<uint32_t> rows;  ///< [slice][place], empty of bundles of one row
  };

  /// Index into slicings_.
  [[nodiscard]] size_t slicing_of(int level) const {
    return std::min(static_cast<size_t>(level), alone_ - 1);
  }

  /// The run by itself of row r of a bundle.
  [[nodiscard]] size_t run_of_row(const Slicing& slicing, size_t run, uint32_t r) const;
  /// Orders the rows of a slicing; `counts`: the taps of its lists, [list][run of a row].
  void bundle_rows(Slicing& slicing, std::span<const std::vector<uint32_t>> counts) const;

  int64_t rows_ = 0;
  int64_t shifts_ = 1;
  /// So many of the sparsest levels have one list each, with all that they run. A level above has
  /// the list of the last of them and one per increment that came since.
  size_t alone_ = 1;
  std::vector<int64_t> tile_blocks_;                ///< [level]
  AlignedBuffer<float> weights_;                    ///< [tap], list after list
  AlignedBuffer<uint16_t> blocks_;                  ///< [tap]
  std::vector<AlignedBuffer<uint32_t>> run_begin_;  ///< [list = level][run + 1]
  std::vector<Slicing> slicings_;                   ///< [level] of those that have a list alone
};

}  // namespace strata::runtime
