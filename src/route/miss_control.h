// Corrects the share of misses that a router asks for by those that it could have avoided, so that
// in the long run they are as many as was wanted.
#pragma once

#include <algorithm>
#include <cmath>

namespace strata::route {

/// Adaptive conformal inference (Gibbs and Candès, NeurIPS 2021), in the logarithm of what is asked
/// for: after each inference it moves by kGain * (wanted - missed), within kLeast and kMost times
/// what is wanted.
class MissControl {
 public:
  static constexpr double kGain = 0.1;
  static constexpr double kLeast = 0.1;
  static constexpr double kMost = 2;

  /// What to ask for in the next inference. Moves in steps of a fifth, so that what was chosen for
  /// it serves many inferences. Precondition: 0 < wanted < 1.
  [[nodiscard]] double asked(double wanted) const {
    constexpr double kStep = 0.18232155679395462;  // log(1.2)
    return std::min(wanted * std::exp(kStep * std::floor(correction_ / kStep)),
                    std::max(wanted, kMostAsked));
  }

  /// After each inference that the sparsest level would have brought home in time. The others miss
  /// whatever is asked for, so more caution could not help them.
  void observe(double wanted, bool missed) {
    correction_ = std::clamp(correction_ + kGain * (wanted - (missed ? 1.0 : 0.0)),
                             std::log(kLeast), std::log(kMost));
  }

  void reset() { correction_ = 0; }

 private:
  static constexpr double kMostAsked = 0.9;

  double correction_ = 0;
};

}  // namespace strata::route
