// What a policy achieved: counted in the recording, replayed from it one to one, or simulated
// millions of inferences long.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "route/proportion.h"
#include "tools/strata/qos_recording.h"

namespace strata::cli {

/// Share of inferences that take longer than `ms`.
struct SurvivalPoint {
  double ms = 0;
  double share = 0;
};

struct PolicyOutcome {
  std::string name;
  int64_t inferences = 0;
  int64_t misses = 0;           ///< answered late, given up or dropped
  int64_t unanswered = 0;       ///< of them: given up or dropped
  route::Proportion miss_rate;  ///< with its 95 % interval
  double metric = 0;      ///< mean over the routes of the inferences answered, in time or late; of
                          ///< a translator BLEU of what it said
  double metric_met = 0;  ///< over all inferences, one that missed counts 0, or has said nothing
  double lowest = 0;      ///< what the sparsest level would have had on the same requests
  double highest = 0;     ///< and the least sparse one
  double p50_ms = 0, p90_ms = 0, p99_ms = 0, max_ms = 0;  ///< request to answer
  double reroutes = 0;                                    ///< per answered inference
  std::vector<double> time_share;                         ///< [level] of the computing time
  std::vector<SurvivalPoint> survival;                    ///< falling
};

/// Misses come in clusters (a burst makes many), so that n inferences say less than n independent
/// ones. The interval is Wilson's for n / d inferences; the design effect d >= 1 is how much the
/// variance between runs of `cluster` consecutive inferences exceeds the binomial one (Kish 1965).
route::Proportion clustered_interval(const std::vector<bool>& missed, size_t cluster);

/// BLEU of a level on all sentences of a translator's recording.
double level_bleu(const QosRecording& recording, int level);

/// What was seen live. Warm-up does not count.
PolicyOutcome live_outcome(const QosRecording& recording, size_t policy);

/// The simulator, which knows networks whose inferences all have the same steps, not translators,
/// on the recorded slowdowns and arrivals of this very policy, in order and once,
/// warm-up included: where it differs from live_outcome(), the simulator is wrong.
struct Replay {
  PolicyOutcome outcome;
  double same_verdict = 0;  ///< share of inferences that missed in both, or in neither
};
Replay replayed_outcome(const QosRecording& recording, size_t policy);

struct SimulationPlan {
  double deadline_ns = 0;
  int64_t inferences = 1'000'000;
  uint64_t seed = 1;
};
/// `policy` on slowdowns that are drawn in runs from everything recorded, whatever the policy then:
/// time of each step / its profiled time at the level that it ran at. Waking up for a request is
/// part of its first step. With the same plan all policies meet the same slowdowns.
PolicyOutcome simulated_outcome(const QosRecording& recording, const NamedPolicy& policy,
                                const SimulationPlan& plan);

}  // namespace strata::cli
