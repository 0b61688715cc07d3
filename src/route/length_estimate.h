// How many decoder steps a translation will take, learned from those before it.
#pragma once

#include <cstdint>
#include <utility>

#include "core/status.h"
#include "route/residual_window.h"

namespace strata::route {

/// Lengths are seen as multiples of the source's, and the multiple that the next one exceeds with a
/// wanted probability is an order statistic of the last ones: the guarantee is that of
/// ResidualWindow, if the multiples are exchangeable. While there are too few of them, a prior
/// allows for long translations.
///
/// Not thread-safe. Nothing but create() allocates.
class LengthEstimate {
 public:
  static Result<LengthEstimate> create();

  /// A translation of `source_length` sub-words took `steps` runs of the decoder, the one that
  /// ended it included.
  void record(int64_t source_length, int64_t steps);

  /// Runs that a translation of `source_length` sub-words exceeds with at most that probability;
  /// 1..longest. A lookup of ResidualWindow: once per translation.
  [[nodiscard]] int64_t at_most(int64_t source_length, double miss_probability,
                                int64_t longest) const;

  /// Runs that are left of a translation that was to take `expected` of them and took `done`
  /// without ending: 1 or more, and no more than `longest` in all.
  static int64_t left(int64_t expected, int64_t done, int64_t longest);

  [[nodiscard]] size_t count() const { return window_.count(); }

 private:
  explicit LengthEstimate(ResidualWindow window) : window_(std::move(window)) {}

  ResidualWindow window_;  ///< of length / (kLeast * offset source length) - 1
};

}  // namespace strata::route
