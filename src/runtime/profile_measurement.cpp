#include "runtime/profile_measurement.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>

#include "runtime/random_tensors.h"

namespace strata::runtime {
namespace {

constexpr double kHighQuantile = 0.99;
constexpr int64_t kFewestRuns = 20;
constexpr int64_t kMostRuns = 2000;

/// Interpolated between order statistics; `sorted` is not empty.
double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - std::floor(place)) * (sorted[above] - sorted[below]);
}

TimeQuantiles quantiles_of(std::vector<double>& samples) {
  std::sort(samples.begin(), samples.end());
  return {samples.front(), quantile(samples, 0.5), quantile(samples, 0.9),
          quantile(samples, kHighQuantile)};
}

}  // namespace

Result<MeasuredProfile> measure_profile_of(
    const MeasuredSteps& measured,
    const std::function<Status(int level, std::span<int64_t> step_ns)>& run_level,
    const ProfileMeasurementOptions& options) {
  if (options.runs < 0 || options.runs > kMaxMeasuredRuns || options.warm_up < 0 ||
      !(options.seconds >= 0)) {
    return invalid_argument("a profile cannot be measured with " + std::to_string(options.runs) +
                            " runs; 1 to " + std::to_string(kMaxMeasuredRuns) + " are possible");
  }
  const auto steps = static_cast<size_t>(measured.step_count);
  const auto levels = static_cast<size_t>(measured.level_count);
  std::vector<int64_t> step_ns(steps);
  const auto run = [&](size_t level) { return run_level(static_cast<int>(level), step_ns); };
  const auto total = [&] { return std::accumulate(step_ns.begin(), step_ns.end(), 0.0); };

  double round_ns = 0;
  for (int64_t round = 0; round < std::max<int64_t>(options.warm_up, 1); ++round) {
    round_ns = 0;
    for (size_t level = 0; level < levels; ++level) {
      STRATA_RETURN_IF_ERROR(run(level));
      round_ns += total();
    }
  }
  MeasuredProfile profile;
  const double fitting = options.seconds * 1e9 / std::max(round_ns, 1e3);
  profile.runs = options.runs > 0
                     ? options.runs
                     : static_cast<int64_t>(std::clamp<double>(fitting, kFewestRuns, kMostRuns));

  std::vector<std::vector<double>> step_samples(steps * levels);
  std::vector<std::vector<double>> level_samples(levels);
  for (int64_t round = 0; round < profile.runs; ++round) {
    if (options.progress && !options.progress(round, profile.runs)) {
      return cancelled("the measurement of a profile was cancelled");
    }
    for (size_t turn = 0; turn < levels; ++turn) {
      const size_t level = (turn + static_cast<size_t>(round)) % levels;
      STRATA_RETURN_IF_ERROR(run(level));
      level_samples[level].push_back(total());
      for (size_t step = 0; step < steps; ++step) {
        step_samples[step * levels + level].push_back(static_cast<double>(step_ns[step]));
      }
    }
  }

  profile.table.threads = measured.threads;
  profile.table.step_count = measured.step_count;
  profile.table.level_count = measured.level_count;
  profile.table.high_quantile = kHighQuantile;
  for (auto& samples : step_samples) {
    const TimeQuantiles& time = profile.steps.emplace_back(quantiles_of(samples));
    profile.table.times.push_back({time.p50_ns, time.p99_ns});
  }
  for (auto& samples : level_samples) profile.levels.push_back(quantiles_of(samples));
  return profile;
}

namespace {

Result<MeasuredProfile> measure_profile(Session& session, std::span<const InputView> inputs,
                                        std::span<const OutputView> outputs,
                                        const ProfileMeasurementOptions& options) {
  std::vector<uint8_t> route(session.steps().size());
  const auto run = [&](int level, std::span<int64_t> step_ns) {
    std::fill(route.begin(), route.end(), static_cast<uint8_t>(level));
    return session.run_timed(inputs, outputs, route, step_ns);
  };
  return measure_profile_of(
      {static_cast<int>(session.steps().size()), session.level_count(), session.threads()}, run,
      options);
}

}  // namespace

Result<MeasuredProfile> measure_profile(Session& session, std::span<const InputView> inputs,
                                        const ProfileMeasurementOptions& options) {
  return measure_profile(session, inputs, RandomTensors(session).outputs(), options);
}

Result<MeasuredProfile> measure_profile(Session& session,
                                        const ProfileMeasurementOptions& options) {
  const RandomTensors data(session);
  return measure_profile(session, data.inputs(), data.outputs(), options);
}

}  // namespace strata::runtime
