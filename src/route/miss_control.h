// Corrects how cautious a router is by the misses that it could have avoided, so that there are as
// many as was wanted, and not far fewer at the price of accuracy.
#pragma once

#include <algorithm>
#include <cmath>

namespace strata::route {

/// Adaptive conformal inference (Gibbs and Candès, NeurIPS 2021): after each inference the
/// probability that the margin is asked for moves by kGain * (wanted - missed).
///
/// The margin alone guarantees at most the wanted misses, but is far from tight: it covers the
/// error of the forecast as if nothing could be done about it, and a router can still go sparser
/// half-way. With this, the share of misses over T inferences tends to the wanted one as 1 / (kGain
/// T), for any sequence of slowdowns; the guarantee for each single inference is given up for it.
///
/// Only inferences that the sparsest level would have brought home in time count. The others miss
/// whatever is asked for, so more caution could not help them: it would cost the rest accuracy.
class MissControl {
 public:
  static constexpr double kGain = 0.02;
  static constexpr double kMostAsked = 0.9;
  static constexpr double kLeastShare = 0.1;  ///< of the wanted one: where caution ends to grow

  /// What to ask of the margin for the next inference. Moves in steps of a fifth, so that a margin
  /// that was looked up serves for many inferences. Precondition: 0 < wanted < 1.
  [[nodiscard]] double asked(double wanted) const {
    const double exact = std::clamp(wanted + correction_, kLeastShare * wanted, most(wanted));
    constexpr double kStep = 0.18232155679395462;  // log(1.2)
    return wanted * std::exp(kStep * std::floor(std::log(exact / wanted) / kStep));
  }

  /// After each inference that had a deadline and could have met it: `fastest_ns` <= deadline_ns,
  /// the time that it would have taken at the sparsest level throughout. The others change nothing.
  void observe(double wanted, bool missed, double fastest_ns, double deadline_ns) {
    if (!(fastest_ns <= deadline_ns)) return;
    const double moved = correction_ + kGain * (wanted - (missed ? 1.0 : 0.0));
    // Never beyond what has an effect: a machine that misses whatever is asked must not wind it up.
    correction_ = std::clamp(moved, (kLeastShare - 1) * wanted, most(wanted) - wanted);
  }

  void reset() { correction_ = 0; }

 private:
  static double most(double wanted) { return std::max(kMostAsked, wanted); }

  double correction_ = 0;
};

}  // namespace strata::route
