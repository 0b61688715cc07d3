// What a session believes about how slow the machine is now, learned from its own steps: a Kalman
// filter for the slowdown, and the distribution of its errors, from which margins follow.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/status.h"
#include "route/profile.h"
#include "route/residual_window.h"

namespace strata::route {

/// A margin allows for two things: slowness, which scales with the work that is left, and a hiccup,
/// which has a length of its own. Their proportion is not known beforehand, so there are several
/// margins side by side, and the tightest counts. In the allowance of shape s, the remaining
/// profiled time R is extended by kHiccupShares[s] sparsest inferences.
inline constexpr int kMarginShapes = 3;
inline constexpr std::array<double, kMarginShapes> kHiccupShares = {1.0 / 16, 0.5, 4};

/// What the belief says of the machine before an inference begins. On a calm machine the danger is
/// that a burst begins, on a busy one the worst is known; so each has residuals of its own
/// (Mondrian conformal prediction: Vovk, Gammerman and Shafer 2005, 4.5).
enum class MachineState : uint8_t { kCalm = 0, kBusy = 1 };
inline constexpr int kMachineStates = 2;

/// One margin per shape; all hold at once with the wanted probability.
struct Margins {
  std::array<double, kMarginShapes> relative{};  ///< >= 0
  bool extrapolated = true;                      ///< see Margin
};

/// Two ways to expect the slowdown of what is left.
enum class Forecast : uint8_t {
  kFiltered = 0,  ///< SlowdownBelief::slowdown(): believes in a burst within a few steps
  kSmoothed = 1,  ///< SlowdownBelief::smoothed_slowdown(): a hiccup counts as the time it took
};
using Slowdowns = std::array<double, 2>;  ///< [Forecast]

/// What a router adds to the profiled time R of what is left: slowness * R + hiccup * (profiled
/// time of the sparsest inference), before all is scaled by the slowdown that the forecast gives.
struct Allowance {
  double slowness = 0;  ///< above -1
  double hiccup = 0;    ///< >= 0
  Forecast forecast = Forecast::kFiltered;
};

/// All that a policy needs to know of a belief: a value, refreshed at every route point.
struct Estimate {
  double slowdown = 1;   ///< observed time / profiled time, expected from now on
  double deviation = 0;  ///< standard deviation of the log of a whole inference's slowdown
  std::array<double, kMarginShapes> margins{};  ///< Margins::relative for the wanted probability
  /// If there is one, it counts, and not the margins; `slowdown` is by its forecast then.
  std::optional<Allowance> allowance = std::nullopt;

  [[nodiscard]] Forecast forecast() const {
    return allowance ? allowance->forecast : Forecast::kFiltered;
  }
  /// Expected time of `profiled_ns` of work.
  [[nodiscard]] double expected_ns(double profiled_ns) const { return slowdown * profiled_ns; }
  /// Time that `profiled_ns` of work exceeds at most with the wanted probability.
  /// `reference_ns` is Profile::total_ns(0).
  [[nodiscard]] double bound_ns(double profiled_ns, double reference_ns) const {
    if (allowance) {
      return slowdown *
             ((1 + allowance->slowness) * profiled_ns + allowance->hiccup * reference_ns);
    }
    double least = std::numeric_limits<double>::infinity();
    for (size_t shape = 0; shape < margins.size(); ++shape) {
      least = std::min(least, profiled_ns + margins[shape] * (profiled_ns +
                                                              kHiccupShares[shape] * reference_ns));
    }
    return slowdown * least;
  }
};

struct BeliefOptions {
  double initial_slowdown = 1;
  double initial_deviation = 1;  ///< of log slowdown; large, so that the first steps decide
  double prior_spread = 0.1;     ///< see ResidualWindow and belief_options()
  size_t window = ResidualWindow::kDefaultCapacity;  ///< inferences remembered per machine state
  int warmup = 4;  ///< whole inferences whose residuals are not recorded: the filter is settling
};

/// With the spread of the profile's sparsest level as prior, between the default and 1. A larger
/// one is an accident of a profile measured in few runs on a busy machine; taken for what to
/// expect, it would rule out all levels but the sparsest however far away the deadline is.
[[nodiscard]] BeliefOptions belief_options(const Profile& profile);

/// Slowdown as in ALERT (Wan et al., USENIX ATC 2020): one hidden number that scales all profiled
/// times, followed by a Kalman filter whose process variance adapts to its innovations. Departures:
/// it filters the logarithm, so that a profile that is wrong by a factor of a thousand is corrected
/// as fast as one wrong by a tenth; it is updated after every step, with a measurement variance in
/// inverse proportion to the step's share of an inference; the measurement variance adapts too.
///
/// Residual of shape s of an inference with steps 0..n-1, observed times t, and slowdown b[i]
/// believed at route point i:
///     max over i of  (sum_{j>=i} t[j] - b[i] R[i]) / (b[i] (R[i] + kHiccupShares[s] T)),
/// R[i] = profiled time of the steps i.. as they were routed, T = profiled sparsest inference. If
/// no shape's residual exceeds its margin, then at EVERY route point the remaining time was within
/// Estimate::bound_ns: that is why a policy may look at the clock as often as it wants and change
/// its mind without losing the guarantee of ResidualWindow. Each shape is asked for its share of
/// the miss probability, so that all hold together. docs/deadlines.md has the proof.
///
/// No clock: the caller measures. One inference at a time; not thread-safe. Nothing but create()
/// allocates.
class SlowdownBelief {
 public:
  /// Errors: no step; options out of range (initial values not positive and finite).
  static Result<SlowdownBelief> create(int step_count, const BeliefOptions& options = {});

  /// Before the first step. `reference_ns` is Profile::total_ns(0).
  void begin_inference(double reference_ns);
  /// After each step, in order: its profiled time at the level that it ran at, and its duration.
  /// A figure that is not positive and finite makes no difference to the slowdown.
  void observe_step(double profiled_ns, double observed_ns);
  /// After the last step: records the residual. Steps that were not observed are left out of it.
  void end_inference();
  /// Instead of end_inference() when the inference stopped between steps for a reason that has
  /// nothing to do with time (cancelled, failed): keeps the slowdown that the finished steps
  /// showed, records no residual.
  void abandon_inference();
  /// Instead of end_inference() when the policy gave up between steps, with the profiled time of
  /// what was left (sparsest level): records a residual as if the rest had taken its expected time.
  /// Leaving slow inferences out would make the margin forget what it is for.
  void give_up_inference(double remaining_ns);
  /// When an inference was given up before its first step. Nothing was learned, so each one in a
  /// row makes the belief more optimistic, by a factor of 1.25, then 1.25^2, 1.25^4, ...: a belief
  /// that is too pessimistic must not keep a session from ever trying again.
  void skip_inference();
  /// Forgets everything; for a session whose profile was replaced.
  void reset();

  [[nodiscard]] double slowdown() const { return slowdown_; }
  /// Observed time / profiled time of this inference so far and, with the weight of half an
  /// inference, of the last ones.
  [[nodiscard]] double smoothed_slowdown() const { return smoothed_observed_ / smoothed_profiled_; }
  [[nodiscard]] Slowdowns slowdowns() const { return {slowdown(), smoothed_slowdown()}; }
  /// Standard deviation of the log of the next whole inference's slowdown, measurement noise
  /// included (normal approximation, used by the per-request policy only).
  [[nodiscard]] double deviation() const;
  /// How much slower the last inferences were than those in calm times: the logarithm. The mean of
  /// the last one and the middle one of the last three, beside the calm slowdown of the last some
  /// hundred. Changes when an inference ends.
  [[nodiscard]] double busyness() const;
  /// Busy: a busyness of more than 15 %.
  [[nodiscard]] MachineState state() const;
  /// Margins for a wanted miss probability; look them up once per inference. From the residuals of
  /// the present state, or from those of all states while its own are too few.
  [[nodiscard]] Margins margins(double miss_probability) const;
  /// Slowdown, deviation and margins; at later route points of the same inference it is enough to
  /// refresh Estimate::slowdown.
  [[nodiscard]] Estimate estimate(double miss_probability) const;
  [[nodiscard]] const ResidualWindow& residuals(MachineState state, int shape) const {
    return residuals_[window_at(state, shape)];
  }
  [[nodiscard]] int64_t inferences() const { return inferences_; }  ///< ended since the reset

 private:
  struct Observation {
    double slowdown;     // believed before the step
    double profiled_ns;  // at the level that it ran at
    double observed_ns;
  };

  SlowdownBelief() = default;
  [[nodiscard]] static size_t window_at(MachineState state, int shape) {
    return static_cast<size_t>(state) * kMarginShapes + static_cast<size_t>(shape);
  }
  void set_log_slowdown(double value);
  void filter_step(double log_ratio, double share);
  void adapt_variances();
  void adapt_busyness();
  void begin_smoothing();
  [[nodiscard]] double recent_log_slowdown() const;
  void record(double remaining_profiled_ns, double remaining_ns);
  void finish();

  BeliefOptions options_;
  std::vector<ResidualWindow> residuals_;  // [state][shape]
  std::vector<Observation> observations_;  // of the running inference; capacity fixed by create()
  size_t step_capacity_ = 0;
  double reference_ns_ = 1;
  double slowdown_ = 1;  // exp(log_slowdown_)
  double smoothed_profiled_ = 1;
  double smoothed_observed_ = 1;
  std::array<double, 3> recent_{};  // log slowdowns of whole inferences, the last one first
  double calm_log_slowdown_ = 0;
  double log_slowdown_ = 0;          // state of the filter
  double variance_ = 1;              // of the state
  double process_variance_ = 0;      // of the state's change during one inference
  double measurement_variance_ = 0;  // of an observation as long as an inference
  double log_slowdown_at_begin_ = 0;
  double share_sum_ = 0;             // of the running inference: sums over its steps of
  double share_log_sum_ = 0;         // share * log(observed / profiled),
  double share_log_square_sum_ = 0;  // share * log^2
  int filtered_steps_ = 0;
  int change_streak_ = 0;  // > 0: surprisingly slow steps in a row; < 0: fast
  int skipped_ = 0;        // inferences in a row
  int64_t inferences_ = 0;
};

}  // namespace strata::route
