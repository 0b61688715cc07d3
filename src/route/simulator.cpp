// The replay loop and what it counts.
#include "route/simulator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "route/allowance_learner.h"

namespace strata::route {
namespace {

/// Latencies in bins of 1 %, from 1 ns to eleven days.
class LatencyHistogram {
 public:
  LatencyHistogram() : counts_(kBins) {}

  void add(double ns) {
    const double bin = ns > 1 ? std::ceil(std::log(ns) / kBinWidth) : 0;
    ++counts_[std::min(static_cast<size_t>(bin), kBins - 1)];
    ++total_;
    max_ns_ = std::max(max_ns_, ns);
  }

  [[nodiscard]] LatencyQuantiles quantiles() const {
    return {quantile(0.5),    quantile(0.9),     quantile(0.99), quantile(0.999),
            quantile(0.9999), quantile(0.99999), max_ns_};
  }

 private:
  static constexpr size_t kBins = 3473;
  static constexpr double kBinWidth = 0.009950330853168083;  // log(1.01)

  [[nodiscard]] double quantile(double share) const {
    const auto rank = static_cast<int64_t>(std::ceil(share * static_cast<double>(total_)));
    int64_t below = 0;
    for (size_t bin = 0; bin < kBins; ++bin) {
      below += counts_[bin];
      if (below >= rank && below > 0) {
        // The middle of the bin, but never more than was seen.
        return std::min(std::exp((static_cast<double>(bin) - 0.5) * kBinWidth), max_ns_);
      }
    }
    return max_ns_;
  }

  std::vector<int64_t> counts_;
  int64_t total_ = 0;
  double max_ns_ = 0;
};

/// Sums of the counted inferences.
struct Totals {
  explicit Totals(int level_count)
      : final_levels(static_cast<size_t>(level_count)),
        level_ns(static_cast<size_t>(level_count)) {}

  int64_t misses = 0;
  int64_t gave_up = 0;
  int64_t switches = 0;
  double metric = 0;
  double metric_met = 0;
  double wait_ns = 0;
  double first_arrival_ns = 0;
  double last_finish_ns = 0;
  std::vector<int64_t> final_levels;
  std::vector<double> level_ns;
  LatencyHistogram latency;
};

class Server {
 public:
  static Result<Server> create(const Profile& profile, const SimulationOptions& options) {
    STRATA_ASSIGN_OR_RETURN(Policy policy, Policy::create(options.policy));
    STRATA_ASSIGN_OR_RETURN(SlowdownBelief belief,
                            SlowdownBelief::create(profile.step_count(), options.belief));
    return Server(profile, options, policy, std::move(belief));
  }

  void serve(double arrival_ns, const float* slowdowns, Totals* totals) {
    SimulatedInference result;
    result.arrival_ns = arrival_ns;
    result.start_ns = options_.queueing ? std::max(arrival_ns, free_ns_) : arrival_ns;
    run(slowdowns, &result, totals);
    free_ns_ = result.finish_ns;
    if (!result.gave_up) result.metric = route_metric(profile_, levels_.data());
    result.levels = levels_.data();
    if (totals == nullptr) return;
    count(result, totals);
    if (options_.observer != nullptr) options_.observer->inference(result);
  }

 private:
  Server(const Profile& profile, const SimulationOptions& options, const Policy& policy,
         SlowdownBelief belief)
      : profile_(profile),
        truth_(options.truth != nullptr ? *options.truth : profile),
        options_(options),
        policy_(policy),
        belief_(std::move(belief)),
        levels_(static_cast<size_t>(profile.step_count())),
        learner_(static_cast<size_t>(profile.step_count())) {
    if (options.policy.kind == PolicyKind::kOracle) actual_ = profile;
  }

  void run(const float* slowdowns, SimulatedInference* result, Totals* totals) {
    const int steps = profile_.step_count();
    if (actual_.has_value()) actual_->assign_slowed(truth_, slowdowns);
    RoutePoint point;
    point.elapsed_ns = result->start_ns - result->arrival_ns;
    point.deadline_ns = options_.deadline_ns;
    point.actual = actual_.has_value() ? &*actual_ : nullptr;

    const double wanted = options_.policy.miss_probability;
    Estimate estimate = belief_.estimate(wanted);
    const int top = profile_.level_count() - 1;
    const int highest = options_.policy.level < 0 ? top : std::min(options_.policy.level, top);
    const double busyness = belief_.busyness();
    if (options_.policy.adaptive) {
      estimate.allowance = learner_.allowance(busyness, wanted);
      learner_.begin_inference(point.elapsed_ns, point.deadline_ns, highest);
    }
    for (int step = 0; step < steps; ++step) {
      point.step = step;
      const Slowdowns believed = belief_.slowdowns();
      estimate.slowdown = believed[static_cast<size_t>(estimate.forecast())];
      const Decision decision = policy_.decide(profile_, estimate, point);
      if (decision.give_up) {
        result->gave_up = true;
        std::fill(levels_.begin() + step, levels_.end(), static_cast<uint8_t>(decision.level));
        break;
      }
      if (step == 0) belief_.begin_inference(profile_.total_ns(0));
      const double time =
          truth_.step_ns(step, decision.level) * static_cast<double>(slowdowns[step]);
      belief_.observe_step(profile_.step_ns(step, decision.level), time);
      if (options_.policy.adaptive) {
        learner_.observe_step(profile_, step, believed, decision.level, time);
      }
      point.elapsed_ns += time;
      point.level = decision.level;
      levels_[static_cast<size_t>(step)] = static_cast<uint8_t>(decision.level);
      if (totals != nullptr) totals->level_ns[static_cast<size_t>(decision.level)] += time;
    }
    result->finish_ns = result->arrival_ns + point.elapsed_ns;
    result->missed = result->gave_up || point.elapsed_ns > options_.deadline_ns;
    if (result->gave_up && point.step == 0) {
      belief_.skip_inference();
      return;
    }
    if (options_.policy.adaptive) {
      if (result->gave_up) learner_.observe_rest(profile_, point.step, belief_.slowdowns());
      learner_.end_inference(profile_, busyness, wanted, result->missed);
    }
    if (result->gave_up) {
      belief_.give_up_inference(profile_.remaining_ns(point.step, 0));
    } else {
      belief_.end_inference();
    }
  }

  void count(const SimulatedInference& result, Totals* totals) const {
    totals->misses += result.missed ? 1 : 0;
    totals->wait_ns += result.start_ns - result.arrival_ns;
    totals->last_finish_ns = std::max(totals->last_finish_ns, result.finish_ns);
    if (result.gave_up) {
      ++totals->gave_up;
      return;
    }
    totals->metric += result.metric;
    if (!result.missed) totals->metric_met += result.metric;
    ++totals->final_levels[levels_.back()];
    for (size_t step = 1; step < levels_.size(); ++step) {
      totals->switches += levels_[step] != levels_[step - 1] ? 1 : 0;
    }
    totals->latency.add(result.finish_ns - result.arrival_ns);
  }

  const Profile& profile_;
  const Profile& truth_;
  const SimulationOptions& options_;
  Policy policy_;
  SlowdownBelief belief_;
  std::optional<Profile> actual_;
  std::vector<uint8_t> levels_;
  double free_ns_ = 0;
  AllowanceLearner learner_;
};

SimulationOutcome summary(const Totals& totals, int64_t inferences) {
  SimulationOutcome outcome;
  const auto count = static_cast<double>(inferences);
  const int64_t answered = inferences - totals.gave_up;
  const double answers = static_cast<double>(std::max<int64_t>(answered, 1));
  outcome.inferences = inferences;
  outcome.misses = totals.misses;
  outcome.gave_up = totals.gave_up;
  outcome.miss_rate = wilson_interval(totals.misses, inferences);
  outcome.nines = nines(outcome.miss_rate.value);
  outcome.nines_low = nines(outcome.miss_rate.high);
  outcome.nines_high = nines(outcome.miss_rate.low);
  outcome.mean_metric = totals.metric / answers;
  outcome.mean_metric_met = totals.metric_met / count;
  outcome.final_levels = totals.final_levels;
  outcome.mean_switches = static_cast<double>(totals.switches) / answers;
  outcome.mean_wait_ns = totals.wait_ns / count;
  double busy = 0;
  for (const double ns : totals.level_ns) busy += ns;
  for (const double ns : totals.level_ns) outcome.time_share.push_back(busy > 0 ? ns / busy : 0);
  const double span = totals.last_finish_ns - totals.first_arrival_ns;
  outcome.busy_share = span > 0 ? busy / span : 0;
  outcome.latency = totals.latency.quantiles();
  return outcome;
}

Status check(const Profile& profile, const Interference& interference,
             const SimulationOptions& options) {
  if (interference.step_count() != profile.step_count()) {
    return invalid_argument("the interference has " + std::to_string(interference.step_count()) +
                            " steps, the profile " + std::to_string(profile.step_count()));
  }
  if (options.truth != nullptr && (options.truth->step_count() != profile.step_count() ||
                                   options.truth->level_count() != profile.level_count())) {
    return invalid_argument("the true profile has another number of steps or levels");
  }
  if (options.inferences < 1 || options.warmup < 0) {
    return invalid_argument("a simulation of " + std::to_string(options.inferences) +
                            " inferences after " + std::to_string(options.warmup));
  }
  return {};
}

}  // namespace

Result<SimulationOutcome> simulate(const Profile& profile, Arrivals& arrivals,
                                   Interference& interference, const SimulationOptions& options) {
  STRATA_RETURN_IF_ERROR(check(profile, interference, options));
  STRATA_ASSIGN_OR_RETURN(Server server, Server::create(profile, options));
  std::vector<float> slowdowns(static_cast<size_t>(profile.step_count()));
  Totals totals(profile.level_count());
  for (int64_t i = 0; i < options.warmup + options.inferences; ++i) {
    const double arrival_ns = arrivals.next_ns();
    interference.next(arrival_ns, slowdowns.data());
    if (i == options.warmup) totals.first_arrival_ns = arrival_ns;
    server.serve(arrival_ns, slowdowns.data(), i < options.warmup ? nullptr : &totals);
  }
  return summary(totals, options.inferences);
}

}  // namespace strata::route
