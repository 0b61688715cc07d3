// The last N prediction errors of a session, and the margin that covers the next one with a wanted
// probability. Bounded memory; recording and looking up allocate nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/status.h"

namespace strata::route {

/// A margin: the next residual exceeds `relative` with at most the asked probability.
struct Margin {
  double relative = 0;       ///< in units of the residual, >= 0
  bool extrapolated = true;  ///< the window was too short to show it: an assumption, no guarantee
};

/// A sliding window of residuals r (see SlowdownBelief for what they measure).
///
/// Guarantee. If the n residuals in the window and the next one are exchangeable, the next one
/// exceeds the k-th smallest, k = ceil((1 - a)(n + 1)), with probability at most a (conformal
/// prediction: Vovk, Gammerman and Shafer 2005). margin(a) is that order statistic, or 0 if it is
/// negative, rounded up by at most 1 % of 1 + r. Nothing else is assumed: no distribution, no
/// independence. It needs k <= n, that is a >= 1 / (n + 1).
///
/// For smaller a there is no such statement. The margin then continues from the largest residual by
/// a power law of 1 + r whose exponent is fitted to the largest residuals (Hill 1975) and made
/// 1.5 times heavier, is at least what a prior says that fades as residuals come in, and is marked
/// as extrapolated.
class ResidualWindow {
 public:
  static constexpr size_t kDefaultCapacity = 32768;  ///< shows four nines of each margin shape

  /// `prior_spread` is the relative spread to assume while nothing is recorded.
  /// Errors: a capacity of 0 or above 2^24, a spread that is negative or not finite.
  static Result<ResidualWindow> create(size_t capacity = kDefaultCapacity,
                                       double prior_spread = 0.1);

  /// Adds one residual and forgets the oldest when full. NaN counts as +infinity: something
  /// went wrong.
  void record(double residual);
  void clear();

  [[nodiscard]] size_t count() const { return count_; }
  [[nodiscard]] size_t capacity() const { return ring_.size(); }

  /// Probability is clamped to [1e-12, 1]; NaN is taken as 1e-12. Never falls as it gets smaller.
  /// O(bins) in the worst case, under a microsecond: call it once per inference.
  /// With `also`, of the residuals of both windows together.
  [[nodiscard]] Margin margin(double miss_probability, const ResidualWindow* also = nullptr) const;

  /// Residuals above `relative` in the window.
  [[nodiscard]] size_t count_above(double relative) const;

 private:
  ResidualWindow() = default;
  [[nodiscard]] double extrapolated_log(double miss_probability, const ResidualWindow* also) const;

  std::vector<uint16_t> ring_;       // bin of each residual, oldest overwritten first
  std::vector<uint32_t> histogram_;  // residuals per bin of log(1 + r)
  size_t highest_ = 0;               // no residual lies in a bin above
  size_t next_ = 0;
  size_t count_ = 0;
  double prior_spread_ = 0.1;
};

}  // namespace strata::route
