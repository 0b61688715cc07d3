// Replays arrivals and interference through a policy, one server, first come first served: what a
// live experiment would have seen, millions of inferences long. Pure and deterministic.
#pragma once

#include <cstdint>
#include <vector>

#include "core/status.h"
#include "route/arrivals.h"
#include "route/interference.h"
#include "route/policy.h"
#include "route/profile.h"
#include "route/proportion.h"
#include "route/slowdown_belief.h"

namespace strata::route {

/// What became of one simulated inference.
struct SimulatedInference {
  double arrival_ns = 0;
  double start_ns = 0;
  double finish_ns = 0;  ///< of the answer, or when it was given up
  bool missed = false;   ///< late, or given up
  bool gave_up = false;
  double metric = 0;  ///< of the route; 0 if given up
  const uint8_t* levels =
      nullptr;  ///< [step], those not run repeat the last; valid in the call only
};

/// Watches inferences go by, e.g. to compare with a live run one by one.
class SimulationObserver {
 public:
  virtual ~SimulationObserver() = default;
  virtual void inference(const SimulatedInference& inference) = 0;
};

struct SimulationOptions {
  int64_t inferences = 1'000'000;  ///< counted ones
  int64_t warmup = 1000;           ///< before them, not counted
  double deadline_ns = 0;          ///< after the arrival of each request
  bool queueing = true;  ///< false: every request finds the server idle (latency without waiting)
  PolicyOptions policy;
  BeliefOptions belief;
  /// What the machine really does unloaded; null: the profile. For a profile that is wrong.
  const Profile* truth = nullptr;
  SimulationObserver* observer = nullptr;
};

/// Latency quantiles, within 1 %.
struct LatencyQuantiles {
  double p50_ns = 0, p90_ns = 0, p99_ns = 0, p999_ns = 0, p9999_ns = 0, p99999_ns = 0;
  double max_ns = 0;  ///< exact
};

struct SimulationOutcome {
  int64_t inferences = 0;
  int64_t misses = 0;  ///< answered late or given up
  int64_t gave_up = 0;
  Proportion miss_rate;  ///< with its 95 % interval
  double nines = 0, nines_low = 0, nines_high = 0;
  double mean_metric = 0;             ///< over the inferences answered, in time or late
  double mean_metric_met = 0;         ///< an answer that missed counts 0
  std::vector<int64_t> final_levels;  ///< [level] inferences answered that ended at this level
  std::vector<double> time_share;     ///< [level] share of all computing time spent at it
  double mean_switches = 0;           ///< reroutes per answered inference
  double mean_wait_ns = 0;            ///< arrival to start
  double busy_share = 0;              ///< server utilisation
  LatencyQuantiles latency;           ///< arrival to answer, of those answered
};

/// Runs `options.warmup + options.inferences` requests. Two calls with equal sources give equal
/// outcomes; make sources anew (same seed) to show several policies the same load.
///
/// Step i of an inference takes truth.step_ns(i, level) * slowdown[i], whatever the route. A policy
/// costs nothing. A request given up frees the server at once.
/// Errors: step counts that differ, invalid options, no inference.
[[nodiscard]] Result<SimulationOutcome> simulate(const Profile& profile, Arrivals& arrivals,
                                                 Interference& interference,
                                                 const SimulationOptions& options);

}  // namespace strata::route
