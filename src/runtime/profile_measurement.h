// Measures a session: the time of every step at every level, run in turns, as a profile.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/status.h"
#include "route/profile.h"
#include "runtime/session.h"

namespace strata::runtime {

inline constexpr int64_t kMaxMeasuredRuns = 100'000;  ///< every time is kept until the end

struct ProfileMeasurementOptions {
  int64_t runs = 0;     ///< inferences per level; 0: as many as fit into `seconds`, 20 to 2000
  double seconds = 3;   ///< over all levels, what `runs` is chosen by
  int64_t warm_up = 3;  ///< rounds that are not counted
  /// Called before every round; false ends the measurement as cancelled. Must not throw.
  std::function<bool(int64_t done, int64_t total)> progress = {};
};

/// Quantiles over the runs, in nanoseconds.
struct TimeQuantiles {
  double min_ns = 0;
  double p50_ns = 0;
  double p90_ns = 0;
  double p99_ns = 0;
};

struct MeasuredProfile {
  int64_t runs = 0;                   ///< per level
  std::vector<TimeQuantiles> steps;   ///< [step * level_count + level]
  std::vector<TimeQuantiles> levels;  ///< [level], whole inferences
  route::ProfileTable table;          ///< medians and 0.99 quantiles of `steps`; no accuracies
};

/// What is run step by step; see measure_profile_of().
struct MeasuredSteps {
  int step_count = 0;
  int level_count = 0;
  int threads = 1;
};

/// `run` runs everything once at a level, and says what each step took: step_ns[step_count]. Levels
/// take turns, so that whatever disturbs the machine meanwhile disturbs all of them alike. Errors:
/// those of `run`, options that are negative or too large, kCancelled.
Result<MeasuredProfile> measure_profile_of(
    const MeasuredSteps& steps,
    const std::function<Status(int level, std::span<int64_t> step_ns)>& run,
    const ProfileMeasurementOptions& options);

/// Runs every loaded level on random inputs: times do not depend on the data. Errors: those of
/// measure_profile_of(), no memory.
Result<MeasuredProfile> measure_profile(Session& session,
                                        const ProfileMeasurementOptions& options = {});

/// The same on these inputs, for a network that random ones do not suit, such as one of graphs.
/// Errors: also those of Session::run().
Result<MeasuredProfile> measure_profile(Session& session, std::span<const InputView> inputs,
                                        const ProfileMeasurementOptions& options = {});

}  // namespace strata::runtime
