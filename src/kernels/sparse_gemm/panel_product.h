// Products of packed panels with vectors: one vector by lanes over rows, or several side by side by
// lanes over the vectors, each non-zero being read once for all of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/sparse_gemm/panel_weights.h"
#include "kernels/target.h"

namespace strata::kernels {

/// What one target can do.
struct PanelKernel {
  int64_t lanes = 1;          ///< vectors that several() multiplies at once
  int64_t least_several = 2;  ///< vectors from which on it is faster than one()
  /// sums[row of the panel] = product of the panel with input [padded columns], on a cache line;
  /// where split() or by_bytes() are not null, input is what they have made.
  void (*one)(const PanelWeights& weights, int64_t panel, const float* input, float* sums);
  /// sums[row][lane], likewise, of input [padded columns][lanes].
  void (*several)(const PanelWeights& weights, int64_t panel, const float* input, float* sums);
  /// Puts input [padded columns] as numbers of 24 bits behind it, for codes to be multiplied with:
  /// within 2^-23 of the largest of them. Null where one() reads floats. If one is not finite, all
  /// products are not.
  void (*split)(float* input, int64_t padded_columns);
  /// Then rearranges the bytes of input [padded columns] for weights that are no codes. Null where
  /// one() reads floats.
  void (*by_bytes)(float* input, int64_t padded_columns);
};

/// Floats that a vector takes with what split() puts behind it: the step between two numbers on a
/// line of its own, then [3][padded columns] bytes, the lowest ones first.
constexpr int64_t split_floats(int64_t padded_columns) {
  constexpr int64_t kLine = kCacheLine / sizeof(float);
  constexpr int64_t kBytes = 3;
  const int64_t bytes = kBytes * padded_columns / static_cast<int64_t>(sizeof(float));
  return (padded_columns + kLine - 1) / kLine * kLine + kLine + (bytes + kLine - 1) / kLine * kLine;
}

/// For one target, which must be among supported_targets(). A sum does not depend on the panels
/// that are computed before or beside it.
PanelKernel panel_kernel(Target target);

/// The oracle.
PanelKernel panel_reference();

/// Vectors that several() takes at most, on any target.
inline constexpr int64_t kMostPanelLanes = 16;

/// Sums of one panel with one block of vectors, [vector][row of the panel].
using PanelSums = std::array<float, kMostPanelLanes * kPanelRows>;

/// A product with any number of vectors. Immutable.
class PanelProduct {
 public:
  PanelProduct(const PanelKernel& kernel, const PanelShape& shape)
      : kernel_(kernel), columns_(shape.columns), padded_(shape.padded_columns()) {}

  /// Floats that `count` vectors take, laid out as run() wants them.
  [[nodiscard]] int64_t input_floats(int64_t count) const {
    return blocks(count) * block_floats(block(count));
  }
  /// What input_floats() is at most, whatever the target.
  static int64_t most_input_floats(const PanelShape& shape, int64_t count);
  /// Lays vector `index` of `count` out for these weights; its elements are `stride` apart.
  void load(const PanelWeights& weights, const float* vector, int64_t stride, int64_t index,
            int64_t count, float* input) const;

  /// Vectors that one call of run() takes.
  [[nodiscard]] int64_t block(int64_t count) const {
    return count < kernel_.least_several ? 1 : kernel_.lanes;
  }
  [[nodiscard]] int64_t blocks(int64_t count) const {
    return (count + block(count) - 1) / block(count);
  }
  /// sums[vector - b * block(count)][kPanelRows] of the vectors of block `b`; rows that the panel
  /// does not have are zero.
  void run(const PanelWeights& weights, int64_t panel, const float* input, int64_t count, int64_t b,
           float* sums) const;

 private:
  [[nodiscard]] int64_t block_floats(int64_t block) const {
    return block == 1 ? split_floats(padded_) : block * padded_;
  }

  PanelKernel kernel_;
  int64_t columns_;
  int64_t padded_;
};

}  // namespace strata::kernels
