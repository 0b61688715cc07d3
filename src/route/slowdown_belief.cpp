// The Kalman filter in the logarithm of the slowdown, and the residual of whole inferences.
#include "route/slowdown_belief.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace strata::route {
namespace {

/// Bounds of log slowdown: a factor of 10^13 either way is a broken profile, not a busy machine.
constexpr double kMaxLog = 30;

constexpr double kInitialProcessVariance = 0.01;
constexpr double kInitialMeasurementVariance = 0.01;
/// 3 % per inference: what the filter must always be ready to follow.
constexpr double kLeastProcessVariance = 1e-3;
constexpr double kLeastMeasurementVariance = 1e-6;
constexpr double kMostVariance = 25;
/// ALERT's forgetting factor of the process variance.
constexpr double kProcessMemory = 0.7;
constexpr double kMeasurementMemory = 0.9;

/// An innovation of more than three deviations is a change of the machine, or a hiccup of one step.
/// Which, shows in whether the next steps agree: this is the gain after 1, 2, 3 in a row.
constexpr double kChangeDeviations = 3;
constexpr double kChangeGain[] = {0.25, 0.5, 0.75};

/// The calm slowdown is an expectile of the slowdowns of whole inferences (Newey and Powell 1987),
/// followed upwards slowly and downwards fast.
constexpr double kCalmRise = 1.0 / 512;
constexpr double kCalmFall = 1.0 / 32;
constexpr double kBusy = 0.13976194237515863;  // log(1.15)

/// Of a sparsest inference: the weight of the last inferences in the smoothed slowdown.
constexpr double kSmoothing = 0.5;

constexpr double kOptimism = 0.2231435513142097;  // log(1.25)
constexpr int kMostDoublings = 8;

bool usable(double time) { return time > 0 && std::isfinite(time); }

constexpr double kMostPriorSpread = 1;

}  // namespace

BeliefOptions belief_options(const Profile& profile) {
  BeliefOptions options;
  const double spread = profile.spread(0);
  if (spread > options.prior_spread) options.prior_spread = std::min(spread, kMostPriorSpread);
  return options;
}

Result<SlowdownBelief> SlowdownBelief::create(int step_count, const BeliefOptions& options) {
  if (step_count < 1) {
    return invalid_argument("a slowdown belief for " + std::to_string(step_count) +
                            " steps: there must be at least one");
  }
  if (!usable(options.initial_slowdown) || !usable(options.initial_deviation)) {
    return invalid_argument(
        "initial slowdown and deviation must be positive and finite, they are " +
        std::to_string(options.initial_slowdown) + " and " +
        std::to_string(options.initial_deviation));
  }
  if (options.warmup < 0) {
    return invalid_argument("a warm-up of " + std::to_string(options.warmup) + " inferences");
  }
  SlowdownBelief belief;
  for (int window = 0; window < kMarginShapes * kMachineStates; ++window) {
    STRATA_ASSIGN_OR_RETURN(ResidualWindow residuals,
                            ResidualWindow::create(options.window, options.prior_spread));
    belief.residuals_.push_back(std::move(residuals));
  }
  belief.options_ = options;
  belief.step_capacity_ = static_cast<size_t>(step_count);
  belief.observations_.reserve(belief.step_capacity_);
  belief.reset();
  return belief;
}

void SlowdownBelief::reset() {
  for (ResidualWindow& window : residuals_) window.clear();
  observations_.clear();
  set_log_slowdown(std::log(options_.initial_slowdown));
  variance_ = options_.initial_deviation * options_.initial_deviation;
  process_variance_ = kInitialProcessVariance;
  measurement_variance_ = kInitialMeasurementVariance;
  change_streak_ = 0;
  skipped_ = 0;
  inferences_ = 0;
  recent_.fill(log_slowdown_);
  calm_log_slowdown_ = log_slowdown_;
  begin_inference(1);
}

void SlowdownBelief::set_log_slowdown(double value) {
  log_slowdown_ = std::clamp(value, -kMaxLog, kMaxLog);
  slowdown_ = std::exp(log_slowdown_);
}

void SlowdownBelief::begin_inference(double reference_ns) {
  reference_ns_ = usable(reference_ns) ? reference_ns : 1;
  observations_.clear();
  log_slowdown_at_begin_ = log_slowdown_;
  share_sum_ = share_log_sum_ = share_log_square_sum_ = 0;
  filtered_steps_ = 0;
  begin_smoothing();
  variance_ = std::min(variance_ + process_variance_, kMostVariance);
}

void SlowdownBelief::observe_step(double profiled_ns, double observed_ns) {
  if (!usable(profiled_ns) || !(observed_ns >= 0) || !std::isfinite(observed_ns)) return;
  smoothed_profiled_ += profiled_ns;
  smoothed_observed_ += observed_ns;
  if (observations_.size() < step_capacity_) {
    observations_.push_back({slowdown_, profiled_ns, observed_ns});
  }
  if (observed_ns > 0) {  // 0: shorter than the clock can see
    filter_step(std::clamp(std::log(observed_ns / profiled_ns), -kMaxLog, kMaxLog),
                std::clamp(profiled_ns / reference_ns_, 1e-9, 1.0));
  }
}

void SlowdownBelief::filter_step(double log_ratio, double share) {
  const double innovation = log_ratio - log_slowdown_;
  const double predicted = variance_ + process_variance_ * share;
  const double innovation_variance = predicted + measurement_variance_ / share;
  double gain = predicted / innovation_variance;
  if (innovation * innovation > kChangeDeviations * kChangeDeviations * innovation_variance) {
    const int sign = innovation > 0 ? 1 : -1;
    change_streak_ = change_streak_ * sign > 0 ? std::clamp(change_streak_ + sign, -3, 3) : sign;
    gain = kChangeGain[std::abs(change_streak_) - 1];
  } else {
    change_streak_ = 0;
  }
  variance_ = std::min((1 - gain) * predicted, kMostVariance);
  set_log_slowdown(log_slowdown_ + gain * innovation);

  share_sum_ += share;
  share_log_sum_ += share * log_ratio;
  share_log_square_sum_ += share * log_ratio * log_ratio;
  ++filtered_steps_;
}

void SlowdownBelief::adapt_variances() {
  if (filtered_steps_ == 0) return;
  skipped_ = 0;
  const double moved = log_slowdown_ - log_slowdown_at_begin_;
  process_variance_ =
      std::clamp(kProcessMemory * process_variance_ + (1 - kProcessMemory) * moved * moved,
                 kLeastProcessVariance, kMostVariance);
  if (filtered_steps_ < 2) return;
  // If a step of share w has log variance V / w, this weighted sum has the expectation (n - 1) V.
  const double scatter = share_log_square_sum_ - share_log_sum_ * share_log_sum_ / share_sum_;
  const double measured = scatter / (filtered_steps_ - 1);
  measurement_variance_ =
      std::clamp(kMeasurementMemory * measurement_variance_ + (1 - kMeasurementMemory) * measured,
                 kLeastMeasurementVariance, kMostVariance);
}

void SlowdownBelief::record(double remaining_profiled_ns, double remaining_ns) {
  if (observations_.empty() || ++inferences_ <= options_.warmup) return;
  std::array<double, kMarginShapes> worst;
  worst.fill(-1);
  double profiled = remaining_profiled_ns;
  double observed = remaining_ns;
  for (size_t i = observations_.size(); i-- > 0;) {
    const Observation& step = observations_[i];
    profiled += step.profiled_ns;
    observed += step.observed_ns;
    const double excess = observed / step.slowdown - profiled;
    for (size_t shape = 0; shape < worst.size(); ++shape) {
      worst[shape] =
          std::max(worst[shape], excess / (profiled + kHiccupShares[shape] * reference_ns_));
    }
  }
  for (int shape = 0; shape < kMarginShapes; ++shape) {
    residuals_[window_at(state(), shape)].record(worst[static_cast<size_t>(shape)]);
  }
}

double SlowdownBelief::recent_log_slowdown() const {
  const auto [a, b, c] = recent_;
  const double middle = std::max(std::min(a, b), std::min(std::max(a, b), c));
  return (a + middle) / 2;
}

double SlowdownBelief::busyness() const { return recent_log_slowdown() - calm_log_slowdown_; }

MachineState SlowdownBelief::state() const {
  return busyness() > kBusy ? MachineState::kBusy : MachineState::kCalm;
}

void SlowdownBelief::adapt_busyness() {
  double profiled = 0;
  double observed = 0;
  for (const Observation& step : observations_) {
    profiled += step.profiled_ns;
    observed += step.observed_ns;
  }
  if (!(observed > 0)) return;
  const double last = std::clamp(std::log(observed / profiled), -kMaxLog, kMaxLog);
  if (inferences_ <= options_.warmup) {
    recent_.fill(last);
    calm_log_slowdown_ = last;
  } else {
    recent_ = {last, recent_[0], recent_[1]};
    const double above = last - calm_log_slowdown_;
    calm_log_slowdown_ += above * (above > 0 ? kCalmRise : kCalmFall);
  }
}

void SlowdownBelief::begin_smoothing() {
  smoothed_profiled_ = kSmoothing * reference_ns_;
  smoothed_observed_ = smoothed_profiled_ * std::exp(recent_log_slowdown());
}

void SlowdownBelief::finish() {
  adapt_variances();
  adapt_busyness();
  begin_smoothing();
  observations_.clear();
  filtered_steps_ = 0;
}

void SlowdownBelief::end_inference() {
  record(0, 0);
  finish();
}

void SlowdownBelief::abandon_inference() { finish(); }

void SlowdownBelief::give_up_inference(double remaining_ns) {
  if (remaining_ns >= 0 && std::isfinite(remaining_ns)) {
    record(remaining_ns, slowdown_ * remaining_ns);
  }
  finish();
}

void SlowdownBelief::skip_inference() {
  set_log_slowdown(log_slowdown_ - kOptimism * std::exp2(std::min(skipped_, kMostDoublings)));
  skipped_ = std::min(skipped_ + 1, kMostDoublings);
  constexpr double kUnsure = 0.25;
  variance_ = std::max(variance_, kUnsure);
}

double SlowdownBelief::deviation() const {
  return std::sqrt(variance_ + process_variance_ + measurement_variance_);
}

Margins SlowdownBelief::margins(double miss_probability) const {
  Margins margins;
  margins.extrapolated = false;
  const MachineState now = state();
  const MachineState other = now == MachineState::kCalm ? MachineState::kBusy : MachineState::kCalm;
  for (int shape = 0; shape < kMarginShapes; ++shape) {
    const ResidualWindow& own = residuals(now, shape);
    Margin margin = own.margin(miss_probability / kMarginShapes);
    if (margin.extrapolated) {
      margin = own.margin(miss_probability / kMarginShapes, &residuals(other, shape));
    }
    margins.relative[static_cast<size_t>(shape)] = margin.relative;
    margins.extrapolated = margins.extrapolated || margin.extrapolated;
  }
  return margins;
}

Estimate SlowdownBelief::estimate(double miss_probability) const {
  return {slowdown_, deviation(), margins(miss_probability).relative, std::nullopt};
}

}  // namespace strata::route
