#include "runtime/router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace strata::runtime {
namespace {

/// Nanoseconds from `now` to `then`, however far apart they are.
double distance_ns(int64_t then, int64_t now) {
  int64_t difference = 0;
  if (!__builtin_sub_overflow(then, now, &difference)) return static_cast<double>(difference);
  return static_cast<double>(then) - static_cast<double>(now);
}

}  // namespace

Status Router::set_profile(const route::ProfileTable& table, int level_count) {
  if (table.step_count != static_cast<int>(records_.size()) || table.level_count < level_count) {
    return invalid_argument("the profile has " + std::to_string(table.step_count) + " steps and " +
                            std::to_string(table.level_count) + " levels, the graph has " +
                            std::to_string(records_.size()) + " steps and " +
                            std::to_string(level_count) + " levels");
  }
  STRATA_ASSIGN_OR_RETURN(route::Profile profile, route::Profile::create(table));
  STRATA_ASSIGN_OR_RETURN(route::SlowdownBelief belief,
                          route::SlowdownBelief::create(static_cast<int>(records_.size()),
                                                        route::belief_options(profile)));
  refresh_.emplace(profile);
  belief_.emplace(std::move(belief));
  profile_.emplace(std::move(profile));
  learner_.reset();
  margins_probability_ = 0;
  return {};
}

Status Router::begin_work(route::Profile profile, int level_count) {
  if (profile.step_count() > static_cast<int>(records_.size()) ||
      profile.level_count() < level_count) {
    return invalid_argument("the profile has " + std::to_string(profile.step_count()) +
                            " steps and " + std::to_string(profile.level_count()) +
                            " levels, there is room for " + std::to_string(records_.size()) +
                            " steps and the model has " + std::to_string(level_count) + " levels");
  }
  if (!belief_) {
    STRATA_ASSIGN_OR_RETURN(route::SlowdownBelief belief,
                            route::SlowdownBelief::create(static_cast<int>(records_.size()),
                                                          route::belief_options(profile)));
    belief_.emplace(std::move(belief));
  }
  refresh_.reset();
  profile_.emplace(std::move(profile));
  return {};
}

Status Router::choose_policy(const route::PolicyOptions& options) {
  const auto kind = static_cast<size_t>(options.kind);
  if (kind >= policies_.size()) {
    return invalid_argument(
        "a session cannot follow this policy: fixed, per-request, reroute, latest-safe-switch and "
        "best-route are the ones that need not know the future");
  }
  if (options.level < -1 || !(options.reserve_ns >= 0) || !std::isfinite(options.reserve_ns)) {
    return route::Policy::create(options).status();
  }
  std::optional<route::Policy>& policy = policies_[kind];
  if (!policy || policy->options().miss_probability != options.miss_probability ||
      policy->options().on_infeasible != options.on_infeasible) {
    route::PolicyOptions general = options;
    general.level = -1;
    general.reserve_ns = 0;
    STRATA_ASSIGN_OR_RETURN(const route::Policy made, route::Policy::create(general));
    policy.emplace(made);
  }
  policy_ = &*policy;
  return {};
}

Status Router::check_levels(const route::PolicyOptions& options, int level_count,
                            bool has_deadline) const {
  if (!profile_ && has_deadline) {
    return failed_precondition(
        "the session has no profile and cannot tell what a deadline allows; measure a profile or "
        "load one first");
  }
  if (options.kind != route::PolicyKind::kFixed) return {};
  if (options.level >= level_count) {
    return out_of_range("level " + std::to_string(options.level) + " is not loaded, levels 0 to " +
                        std::to_string(level_count - 1) + " are");
  }
  const int wanted = options.level < 0 ? level_count - 1 : options.level;
  if (profile_ && wanted >= profile_->level_count()) {
    return failed_precondition("the profile knows levels 0 to " +
                               std::to_string(profile_->level_count() - 1) + " and not level " +
                               std::to_string(wanted) + "; measure it again");
  }
  return {};
}

Status Router::begin(const RunOptions& options, int level_count, int64_t now_ns) {
  report_ = {};
  if (std::isnan(options.within_ns)) {
    return invalid_argument("the deadline is not a number (NaN)");
  }
  STRATA_RETURN_IF_ERROR(choose_policy(options.policy));
  STRATA_RETURN_IF_ERROR(check_levels(options.policy, level_count, options.has_deadline()));

  const int known = profile_ ? std::min(level_count, profile_->level_count()) : level_count;
  level_ = options.policy.level < 0 ? known - 1 : std::min(options.policy.level, known - 1);
  cancellation_ = options.cancellation;
  now_ns_ = now_ns;
  elapsed_ns_ = 0;
  reserve_ns_ = options.policy.reserve_ns;
  report_.deadline_ns = options.within_ns;
  if (options.deadline_ns != kNoDeadline) {
    report_.deadline_ns = std::min(report_.deadline_ns, distance_ns(options.deadline_ns, now_ns));
  }
  if (profile_) refresh_estimate(options.policy);
  return {};
}

void Router::refresh_estimate(const route::PolicyOptions& options) {
  estimate_ = {.slowdown = belief_->slowdown(), .deviation = belief_->deviation()};
  learning_ = false;
  if (!route::has_margin(options.kind) ||
      report_.deadline_ns == std::numeric_limits<double>::infinity()) {
    return;
  }
  const double probability = options.miss_probability;
  if (options.adaptive) {
    learning_ = true;
    busyness_ = belief_->busyness();
    learner_.begin_inference(elapsed_ns_, report_.deadline_ns - reserve_ns_, level_);
    estimate_.allowance = learner_.allowance(busyness_, probability);
    if (estimate_.allowance) return;
  }
  constexpr int64_t kShare = 64;
  constexpr int64_t kMost = 64;
  const int64_t seen = belief_->inferences();
  if (margins_probability_ != probability || margins_state_ != belief_->state() ||
      seen - margins_inferences_ >= std::clamp<int64_t>(seen / kShare, 1, kMost)) {
    margins_ = belief_->margins(probability);
    margins_probability_ = probability;
    margins_state_ = belief_->state();
    margins_inferences_ = seen;
  }
  estimate_.margins = margins_.relative;
}

Router::Next Router::choose(size_t step, size_t place) {
  if (cancellation_ != nullptr && cancellation_->requested()) return Next::kCancel;
  StepRecord& record = records_[step];
  record = {};
  place_ = static_cast<int>(place);
  if (profile_) {
    slowdowns_ = belief_->slowdowns();
    estimate_.slowdown = slowdowns_[static_cast<size_t>(estimate_.forecast())];
    const route::RoutePoint point{place_, level_, elapsed_ns_, report_.deadline_ns - reserve_ns_,
                                  nullptr};
    const route::Decision decision = policy_->decide(*profile_, estimate_, point);
    if (step == 0) report_.expected_ns = decision.expected_finish_ns;
    if (decision.give_up) return Next::kGiveUp;
    if (step == 0) {
      belief_->begin_inference(profile_->total_ns(0));
    } else if (decision.level != level_) {
      ++report_.reroutes;
    }
    level_ = decision.level;
    record.expected_ns = estimate_.expected_ns(profile_->step_ns(place_, level_));
  }
  record.level = level_;
  return Next::kRun;
}

double Router::advance(int64_t now_ns) {
  const double passed = std::max(0.0, distance_ns(now_ns, now_ns_));
  now_ns_ = now_ns;
  elapsed_ns_ += passed;
  return passed;
}

void Router::after_step(size_t step, int64_t now_ns) {
  records_[step].observed_ns = advance(now_ns);
  report_.steps = {records_.data(), step + 1};
  if (profile_) {
    const double observed_ns = records_[step].observed_ns;
    belief_->observe_step(profile_->step_ns(place_, level_), observed_ns);
    if (learning_) {
      learner_.observe_step(*profile_, place_, slowdowns_, level_, observed_ns);
    }
  }
}

void Router::learn() {
  if (!learning_) return;
  learner_.end_inference(*profile_, busyness_, policy_->options().miss_probability, !report_.met);
}

Status Router::finish(Next end, int64_t now_ns) {
  advance(now_ns);
  report_.total_ns = elapsed_ns_;
  report_.completed = end == Next::kRun;
  report_.met = report_.completed && elapsed_ns_ <= report_.deadline_ns;
  if (profile_) {
    if (report_.completed && report_.steps.empty()) {
      // Nothing ran, so there is nothing to learn.
    } else if (report_.completed) {
      learn();
      belief_->end_inference();
      if (refresh_) refresh_->observe(report_.steps, *profile_);
    } else if (!report_.steps.empty()) {
      if (end == Next::kGiveUp) {
        if (learning_) learner_.observe_rest(*profile_, place_, belief_->slowdowns());
        learn();
        belief_->give_up_inference(profile_->remaining_ns(place_, 0));
      } else {
        belief_->abandon_inference();
      }
    } else if (end == Next::kGiveUp && report_.deadline_ns > reserve_ns_) {
      // It was the belief that said no, and not a deadline that was over before the call.
      belief_->skip_inference();
    }
    report_.slowdown = belief_->slowdown();
  }
  if (end == Next::kCancel) return cancelled("cancelled");
  const bool late_is_failure =
      policy_->options().on_infeasible == route::OnInfeasible::kGiveUp && !report_.met;
  if (end == Next::kGiveUp || late_is_failure) return deadline_exceeded("deadline missed");
  return {};
}

}  // namespace strata::runtime
