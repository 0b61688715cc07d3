// The policies. All but the fixed one reduce the question "does this work fit?" to one comparison
// of profiled time with what can be afforded, so that a decision costs a few lookups.
#include "route/policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace strata::route {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What a policy looks at, with every figure checked.
struct Situation {
  const Profile& profile;
  int step;
  int level;  // may not be exceeded
  double slowdown;
  double budget_ns;      // until the deadline; -infinity once past or unknown
  double affordable_ns;  // profiled time whose bound fits the budget
  double expected_ns;    // profiled time that is expected to fit the budget
};

/// Inverse of the standard normal distribution's upper tail, for probability in (0, 1): Newton's
/// method on erfc, from the middle outwards. Only create() calls it.
double normal_upper_quantile(double probability) {
  if (probability > 0.5) return -normal_upper_quantile(1 - probability);
  double low = 0;
  double high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    const double tail = 0.5 * std::erfc(middle / std::sqrt(2.0));
    (tail > probability ? low : high) = middle;
  }
  return high;
}

/// Solves Estimate::bound_ns(x, reference) <= budget for x. Reads no figure that is not one as good
/// news: NaN fails every comparison.
double affordable(const Estimate& estimate, double budget_ns, double reference_ns) {
  if (budget_ns == kInfinity) return kInfinity;
  if (!(estimate.slowdown > 0) || !std::isfinite(estimate.slowdown)) return -kInfinity;
  const double budget = budget_ns / estimate.slowdown;
  if (estimate.allowance) {
    const Allowance& allowance = *estimate.allowance;
    return (budget - allowance.hiccup * reference_ns) / (1 + allowance.slowness);
  }
  double most = -kInfinity;
  for (size_t shape = 0; shape < estimate.margins.size(); ++shape) {
    const double margin = estimate.margins[shape];
    if (!(margin >= 0) || margin == kInfinity) continue;
    most = std::max(most, (budget - margin * kHiccupShares[shape] * reference_ns) / (1 + margin));
  }
  return most;
}

/// A route that has one more fall of the level at most: `level` up to `until`, then `then`.
struct Plan {
  int level;
  int until;
  int then;
};

double profiled(const Situation& now, const Plan& plan) {
  return now.profile.remaining_ns(now.step, plan.until, plan.level, plan.then);
}

/// The last step s in now.step + 1..step_count for which `level` until s and then `then` can be
/// afforded; now.step if there is none. The later the switch, the longer it takes.
int last_affordable_switch(const Situation& now, int level, int then) {
  int low = now.step;  // taken to fit
  int high = now.profile.step_count();
  if (now.profile.remaining_ns(now.step, level) <= now.affordable_ns) return high;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    const bool fits = now.profile.remaining_ns(now.step, middle, level, then) <= now.affordable_ns;
    (fits ? low : high) = middle;
  }
  return low;
}

Plan plan_per_request(const Situation& now, const Estimate& estimate, double normal_quantile) {
  const int steps = now.profile.step_count();
  if (now.step > 0) return {now.level, steps, now.level};
  const double high = now.slowdown * std::exp(normal_quantile * estimate.deviation);
  for (int level = now.level; level > 0; --level) {
    if (high * now.profile.total_ns(level) <= now.budget_ns) return {level, steps, level};
  }
  return {0, steps, 0};
}

Plan plan_reroute(const Situation& now) {
  const int steps = now.profile.step_count();
  for (int level = now.level; level > 0; --level) {
    if (now.profile.remaining_ns(now.step, level) <= now.expected_ns) return {level, steps, level};
  }
  return {0, steps, 0};
}

Plan plan_latest_safe_switch(const Situation& now) {
  for (int level = now.level; level > 0; --level) {
    const Plan next = {level, now.step + 1, 0};
    if (profiled(now, next) <= now.affordable_ns) {
      return {level, last_affordable_switch(now, level, 0), 0};
    }
  }
  return {0, now.profile.step_count(), 0};
}

Plan plan_best_route(const Situation& now) {
  const Profile& profile = now.profile;
  const int steps = profile.step_count();
  Plan best = {0, steps, 0};
  double best_metric = -kInfinity;
  for (int level = now.level; level >= 0; --level) {
    // What falling to `level` here costs; the choice of the first level costs nothing.
    const double here =
        now.step == 0 || level == now.level
            ? 0
            : profile.switch_metric(now.step, now.level, level) - profile.metric(level);
    const auto consider = [&](const Plan& plan) {
      const double metric = here + profile.switch_metric(plan.until, plan.level, plan.then);
      if (metric > best_metric) {
        best_metric = metric;
        best = plan;
      }
    };
    if (profile.remaining_ns(now.step, level) <= now.affordable_ns) {
      consider({level, steps, level});
    }
    for (int then = level - 1; then >= 0; --then) {
      const int last = last_affordable_switch(now, level, then);
      if (last > now.step) {
        consider({level, profile.best_switch(now.step + 1, last, level, then), then});
      }
    }
  }
  return best;
}

}  // namespace

const char* to_string(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kFixed:
      return "fixed";
    case PolicyKind::kPerRequest:
      return "per-request";
    case PolicyKind::kReroute:
      return "reroute";
    case PolicyKind::kLatestSafeSwitch:
      return "latest-safe-switch";
    case PolicyKind::kBestRoute:
      return "best-route";
    case PolicyKind::kOracle:
      return "oracle";
  }
  return "unknown";
}

Result<PolicyKind> policy_kind(std::string_view name) {
  std::string names;
  for (const PolicyKind kind :
       {PolicyKind::kFixed, PolicyKind::kPerRequest, PolicyKind::kReroute,
        PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute, PolicyKind::kOracle}) {
    if (name == to_string(kind)) return kind;
    names += (names.empty() ? "" : ", ") + std::string(to_string(kind));
  }
  return invalid_argument("no policy is called '" + std::string(name) + "', there are " + names);
}

Result<Policy> Policy::create(const PolicyOptions& options) {
  if (!(options.miss_probability > 0 && options.miss_probability < 1)) {
    return invalid_argument("the wanted miss probability must lie between 0 and 1, it is " +
                            std::to_string(options.miss_probability));
  }
  if (!(options.reserve_ns >= 0) || !std::isfinite(options.reserve_ns)) {
    return invalid_argument("the time in reserve must be finite and not negative, it is " +
                            std::to_string(options.reserve_ns) + " ns");
  }
  if (options.level < -1) {
    return invalid_argument("level " + std::to_string(options.level) +
                            " does not exist; -1 is the highest");
  }
  Policy policy(options);
  policy.normal_quantile_ = normal_upper_quantile(options.miss_probability);
  return policy;
}

Decision Policy::decide(const Profile& profile, const Estimate& given,
                        const RoutePoint& point) const {
  const int top = profile.level_count() - 1;
  const int allowed = options_.level < 0 ? top : std::min(options_.level, top);
  const bool knows_future = options_.kind == PolicyKind::kOracle && point.actual != nullptr;
  const Estimate estimate = knows_future ? Estimate{} : given;
  const Profile& times = knows_future ? *point.actual : profile;

  double budget = point.deadline_ns - options_.reserve_ns - point.elapsed_ns;
  if (!(budget >= 0)) budget = -kInfinity;  // past, or not a number
  const bool known = estimate.slowdown > 0 && std::isfinite(estimate.slowdown);
  const double reference = times.total_ns(0);
  Situation now = {
      times,
      std::clamp(point.step, 0, profile.step_count() - 1),
      point.level < 0 ? allowed : std::min(point.level, allowed),
      known ? estimate.slowdown : 1,
      budget,
      affordable(estimate, budget, reference),
      known || budget == kInfinity ? budget / (known ? estimate.slowdown : 1) : -kInfinity};
  if (knows_future) {
    // Sums of the same times in another order differ in their last bits; a plan that once fitted
    // must go on fitting.
    now.affordable_ns -= (now.step == 0 ? 1e-9 : 0.5e-9) * reference;
  }

  Plan plan = {now.level, profile.step_count(), now.level};
  switch (options_.kind) {
    case PolicyKind::kFixed:
      break;
    case PolicyKind::kPerRequest:
      plan = plan_per_request(now, estimate, normal_quantile_);
      break;
    case PolicyKind::kReroute:
      plan = plan_reroute(now);
      break;
    case PolicyKind::kLatestSafeSwitch:
      plan = plan_latest_safe_switch(now);
      break;
    case PolicyKind::kBestRoute:
    case PolicyKind::kOracle:
      plan = plan_best_route(now);
      break;
  }

  Decision decision;
  decision.level = plan.level;
  decision.expected_finish_ns = point.elapsed_ns + now.slowdown * profiled(now, plan);
  if (options_.on_infeasible == OnInfeasible::kGiveUp &&
      !(options_.kind == PolicyKind::kPerRequest && now.step > 0)) {
    const bool bound = options_.kind == PolicyKind::kFixed;
    const double fastest = times.remaining_ns(now.step, bound ? plan.level : 0);
    decision.give_up = budget == -kInfinity || fastest > budget / now.slowdown;
  }
  return decision;
}

double route_metric(const Profile& profile, const uint8_t* levels) {
  double metric = profile.metric(levels[0]);
  for (int step = 1; step < profile.step_count(); ++step) {
    const int from = levels[step - 1];
    const int to = levels[step];
    if (to < from) metric += profile.switch_metric(step, from, to) - profile.metric(from);
  }
  return metric;
}

}  // namespace strata::route
