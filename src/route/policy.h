// Reroute policies: given profile, estimate of the slowdown, and where the inference stands, the
// level of the next step. Pure functions without a clock: the same code runs live, simulated,
// tested.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/status.h"
#include "route/profile.h"
#include "route/slowdown_belief.h"

namespace strata::route {

/// No policy ever raises the level during an inference. What a sparser step dropped is lost to all
/// that follows, so going back up pays full price for little; networks are trained and evaluated
/// for one fall of the level; and only thus does time saved early stay available as safety later.
enum class PolicyKind : uint8_t {
  kFixed = 0,             ///< one level throughout, whatever the clock says
  kPerRequest = 1,        ///< ALERT: picks one level at the start from the filtered slowdown
  kReroute = 2,           ///< published reroute: leaves a level once the estimate says miss
  kLatestSafeSwitch = 3,  ///< stays until the sparsest level could no longer make it as wanted
  kBestRoute = 4,         ///< best metric of all switch points that make it as wanted
  kOracle = 5,            ///< best route by the true times: an upper bound, for the simulator
};

[[nodiscard]] const char* to_string(PolicyKind kind);  ///< "fixed", "per-request", "reroute",
                                                       ///< "latest-safe-switch", "best-route",
                                                       ///< "oracle"
/// Whether it allows for a wanted share of misses by the margins of the belief.
constexpr bool has_margin(PolicyKind kind) {
  return kind == PolicyKind::kLatestSafeSwitch || kind == PolicyKind::kBestRoute;
}
/// Errors: a name that is none of those, with the list.
[[nodiscard]] Result<PolicyKind> policy_kind(std::string_view name);

/// What to do when even the sparsest level is expected to miss.
enum class OnInfeasible : uint8_t {
  kAnswerLate = 0,  ///< go on at the sparsest level
  kGiveUp = 1,      ///< stop at once; the time is better spent on the next request
};

struct PolicyOptions {
  PolicyKind kind = PolicyKind::kBestRoute;
  int level = -1;                  ///< the level of kFixed; the highest allowed otherwise. -1: top
  double miss_probability = 1e-3;  ///< wanted, in (0, 1); three nines
  OnInfeasible on_infeasible = OnInfeasible::kAnswerLate;
  double reserve_ns = 0;  ///< kept free before the deadline for what follows the last step, >= 0
  /// Whoever asks the policy corrects miss_probability by the misses seen, so that it is met in the
  /// long run instead of undercut (see MissControl). Deciding itself does not look at it.
  bool adaptive = false;
};

/// Where an inference stands. Times are nanoseconds since one origin of the caller's choice,
/// usually the arrival of the request, so that waiting counts.
struct RoutePoint {
  int step = 0;           ///< the next to run, 0..step_count-1
  int level = -1;         ///< of the step before; at step 0 the highest allowed, -1: top
  double elapsed_ns = 0;  ///< now
  /// +infinity: none. Zero, negative or below elapsed_ns: already missed. NaN (of either time) is
  /// treated as already missed too: fast rather than late.
  double deadline_ns = 0;
  const Profile* actual = nullptr;  ///< kOracle: the times that the steps will really take
};

struct Decision {
  int level = 0;                  ///< of the next step; never above RoutePoint::level
  bool give_up = false;           ///< stop here; `level` is then the one to go on with if one must
  double expected_finish_ns = 0;  ///< when the route planned now should end, same origin
};

/// Thread-safe: deciding changes nothing.
class Policy {
 public:
  /// Errors: a probability outside (0, 1), a negative or non-finite reserve, a level below -1.
  static Result<Policy> create(const PolicyOptions& options);

  /// The level of step `point.step`. Allocates nothing, has no side effect; O(levels) for most
  /// policies, O(levels^2 log steps) for kBestRoute and kOracle. kOracle without `actual`
  /// is kBestRoute.
  /// With kGiveUp, `give_up` is set when the deadline is past or when the expected (not the
  /// bounded) time of the sparsest level misses it; kFixed and kPerRequest look at the level that
  /// they are bound to, and kPerRequest decides only at step 0.
  [[nodiscard]] Decision decide(const Profile& profile, const Estimate& estimate,
                                const RoutePoint& point) const;

  [[nodiscard]] const PolicyOptions& options() const { return options_; }

 private:
  explicit Policy(const PolicyOptions& options) : options_(options) {}

  PolicyOptions options_;
  double normal_quantile_ = 0;  // of 1 - miss_probability, for kPerRequest
};

/// Metric of an executed route, levels[step] never rising: metric of the first level plus what each
/// switch costs on its own, exact where there is at most one switch.
[[nodiscard]] double route_metric(const Profile& profile, const uint8_t* levels);

}  // namespace strata::route
