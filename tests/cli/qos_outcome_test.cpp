// Counting, replaying and simulating: on a recording whose truth is known, the simulator finds it.
#include "tools/strata/qos_outcome.h"

#include <cmath>

#include <gtest/gtest.h>

#include "route/random.h"
#include "route/simulator.h"
#include "temporary_directory.h"

namespace strata::cli {
namespace {

constexpr int kSteps = 6;
constexpr int kLevels = 3;

/// Six steps of 1, 2 and 4 ms per level in all.
route::ProfileTable profile_table() {
  route::ProfileTable table;
  table.step_count = kSteps;
  table.level_count = kLevels;
  for (int step = 0; step < kSteps; ++step) {
    for (int level = 0; level < kLevels; ++level) {
      const double ns = 1e6 * (1 << level) / kSteps;
      table.times.push_back({ns, 1.05 * ns});
    }
  }
  table.accuracy.levels = {80, 85, 90};
  return table;
}

route::SyntheticInterference burdened() {
  route::SyntheticInterference model;
  model.step_count = kSteps;
  model.step_ns = 4e6 / kSteps;
  model.noise = {0.03, 0.05};
  model.bursts = {300e6, 200e6, 1.8};
  return model;
}

QosRecording empty_recording() {
  QosRecording recording;
  recording.model = "made up";
  recording.kind = "none";
  recording.co_runner = "none";
  recording.machine = Json::object();
  recording.deadline_ns = 6e6;
  recording.profile = profile_table();
  recording.load.rate_per_second = 80;
  for (const char* name : {"fixed-0", "fixed-2", "best-route"}) {
    recording.policies.push_back(policy_by_name(name, kLevels, recording.miss_probability));
  }
  return recording;
}

/// Writes down what the simulated machine did, as a live run would.
class Recorder : public route::SimulationObserver {
 public:
  Recorder(QosRecording& recording, route::Interference& interference, int policy,
           const route::Profile& profile)
      : recording_(recording), interference_(interference), policy_(policy), profile_(profile) {}

  void inference(const route::SimulatedInference& inference) override {
    interference_.next(inference.arrival_ns, slowdowns_.data());
    RecordedInference entry;
    entry.policy = policy_;
    entry.completed = !inference.gave_up;
    entry.missed = inference.missed;
    entry.arrival_ns = inference.arrival_ns;
    entry.start_ns = inference.start_ns;
    entry.finish_ns = inference.finish_ns;
    recording_.inferences.push_back(entry);
    for (int step = 0; step < kSteps; ++step) {
      const uint8_t level = inference.levels[step];
      recording_.levels.push_back(level);
      recording_.step_ns.push_back(static_cast<float>(profile_.step_ns(step, level)) *
                                   slowdowns_[static_cast<size_t>(step)]);
    }
  }

 private:
  QosRecording& recording_;
  route::Interference& interference_;
  int policy_;
  const route::Profile& profile_;
  std::vector<float> slowdowns_ = std::vector<float>(kSteps);
};

/// The truth: `inferences` of one policy on the synthetic machine; recorded if wanted.
route::SimulationOutcome run_truth(const QosRecording& setting, size_t policy, int64_t inferences,
                                   QosRecording* recording = nullptr) {
  const auto profile = route::Profile::create(setting.profile).value();
  const auto arrivals = make_arrivals(setting.load, 5);
  auto interference = route::synthetic_interference(burdened(), 7).value();
  auto same = route::synthetic_interference(burdened(), 7).value();
  route::SimulationOptions options;
  options.inferences = inferences;
  options.warmup = 0;
  options.deadline_ns = setting.deadline_ns;
  options.policy = setting.policies[policy].options;
  if (recording == nullptr)
    return route::simulate(profile, *arrivals, *interference, options).value();
  Recorder recorder(*recording, *same, static_cast<int>(policy), profile);
  options.observer = &recorder;
  return route::simulate(profile, *arrivals, *interference, options).value();
}

TEST(QosOutcome, CountsWhatTheRecordingHolds) {
  QosRecording recording = empty_recording();
  const auto truth = run_truth(recording, 1, 5000, &recording);
  const PolicyOutcome live = live_outcome(recording, 1);
  EXPECT_EQ(live.inferences, 5000);
  EXPECT_EQ(live.misses, truth.misses);
  EXPECT_GT(live.misses, 0);
  EXPECT_NEAR(live.metric, 90, 1e-9);
  EXPECT_NEAR(live.metric_met, 90 * (1 - live.miss_rate.value), 1e-9);
  EXPECT_NEAR(live.p50_ms * 1e6, truth.latency.p50_ns, 0.03 * truth.latency.p50_ns);
  EXPECT_NEAR(live.time_share[2], 1, 1e-9);
  EXPECT_EQ(live_outcome(recording, 0).inferences, 0);
  for (size_t i = 1; i < live.survival.size(); ++i) {
    EXPECT_GE(live.survival[i].ms, live.survival[i - 1].ms);
    EXPECT_LE(live.survival[i].share, live.survival[i - 1].share);
  }
}

TEST(QosOutcome, WarmUpDoesNotCount) {
  QosRecording recording = empty_recording();
  run_truth(recording, 1, 1000, &recording);
  for (size_t i = 0; i < 400; ++i) recording.inferences[i].warm_up = true;
  EXPECT_EQ(live_outcome(recording, 1).inferences, 600);
}

TEST(QosOutcome, ReplayingAFixedLevelGivesTheSameVerdicts) {
  for (const size_t policy : {0U, 1U}) {
    QosRecording recording = empty_recording();
    run_truth(recording, policy, 5000, &recording);
    const Replay replay = replayed_outcome(recording, policy);
    EXPECT_GE(replay.same_verdict, 0.999);
    EXPECT_NEAR(replay.outcome.miss_rate.value, live_outcome(recording, policy).miss_rate.value,
                0.001);
  }
}

TEST(QosOutcome, ReplayingARouterGivesNearlyTheSame) {
  QosRecording recording = empty_recording();
  run_truth(recording, 2, 5000, &recording);
  const PolicyOutcome live = live_outcome(recording, 2);
  const Replay replay = replayed_outcome(recording, 2);
  EXPECT_GE(replay.same_verdict, 0.99);
  EXPECT_NEAR(replay.outcome.metric, live.metric, 0.3);
}

TEST(QosOutcome, SimulatingFromARecordingFindsTheTruth) {
  // 20,000 recorded inferences; the truth is known from 400,000 others of the same machine.
  for (const size_t policy : {1U, 2U}) {
    QosRecording recording = empty_recording();
    run_truth(recording, policy, 20000, &recording);
    const auto truth = run_truth(recording, policy, 400000);
    const SimulationPlan plan{recording.deadline_ns, 200000, 11};
    const PolicyOutcome simulated = simulated_outcome(recording, recording.policies[policy], plan);
    EXPECT_EQ(simulated.inferences, plan.inferences);
    EXPECT_NEAR(simulated.metric, truth.mean_metric, 0.5);
    // Within a factor of two, and of what the recording can resolve.
    EXPECT_LE(simulated.miss_rate.low, 2 * truth.miss_rate.high + 1e-3);
    EXPECT_GE(simulated.miss_rate.high + 1e-3, truth.miss_rate.low / 2);
  }
}

TEST(QosOutcome, ClusteredMissesWidenTheInterval) {
  std::vector<bool> spread(6400, false);
  std::vector<bool> clustered(6400, false);
  for (size_t i = 0; i < 64; ++i) {
    spread[i * 100] = true;
    clustered[i] = true;
  }
  const route::Proportion independent = route::wilson_interval(64, 6400);
  const route::Proportion narrow = clustered_interval(spread, 64);
  const route::Proportion wide = clustered_interval(clustered, 64);
  EXPECT_NEAR(narrow.high, independent.high, 0.1 * independent.high);
  EXPECT_GT(wide.high, 2 * independent.high);
  EXPECT_LT(wide.low, independent.low);
  EXPECT_DOUBLE_EQ(wide.value, 0.01);
  EXPECT_EQ(clustered_interval({}, 64).value, 0);
  EXPECT_EQ(clustered_interval(std::vector<bool>(10, true), 64).value, 1);
}

TEST(QosRecording, ComesBackFromItsFile) {
  QosRecording recording = empty_recording();
  run_truth(recording, 2, 50, &recording);
  recording.loaded = {{0, 5e6}, {7e6, 9e6}};
  recording.load.pattern = Pattern::kBursts;
  recording.inferences[3].warm_up = true;
  const TemporaryDirectory directory;
  const std::string path = directory / "recording.jsonl";
  write_recording(path, recording);
  const QosRecording read = read_recording(path);
  EXPECT_EQ(read.model, recording.model);
  EXPECT_EQ(read.levels, recording.levels);
  EXPECT_EQ(read.load.pattern, Pattern::kBursts);
  ASSERT_EQ(read.inferences.size(), recording.inferences.size());
  EXPECT_TRUE(read.inferences[3].warm_up);
  ASSERT_EQ(read.policies.size(), 3U);
  EXPECT_EQ(read.policies[1].options.level, 2);
  for (size_t i = 0; i < read.step_ns.size(); ++i) {
    EXPECT_NEAR(read.step_ns[i], recording.step_ns[i], 1);
  }
  ASSERT_EQ(read.loaded.size(), 2U);
  EXPECT_NEAR(read.loaded[1].end_ns, 9e6, 1);
  EXPECT_EQ(read.profile.accuracy.levels, recording.profile.accuracy.levels);
}

TEST(QosLoad, APlanIsTheSameForTheSameSeedAndKeepsItsRate) {
  LoadOptions options;
  options.rate_per_second = 200;
  options.pattern = Pattern::kBursts;
  for (const char* kind : {"poisson", "bursty", "periodic"}) {
    options.arrivals = kind;
    const LoadPlan plan = plan_load(options, 100);
    EXPECT_EQ(plan.arrivals_ns, plan_load(options, 100).arrivals_ns);
    EXPECT_NEAR(static_cast<double>(plan.arrivals_ns.size()), 20000, 2000) << kind;
    double loaded_ns = 0;
    double last_ns = 0;
    for (const Interval& interval : plan.loaded) {
      EXPECT_GE(interval.begin_ns, last_ns);
      EXPECT_GE(interval.end_ns, interval.begin_ns);
      EXPECT_LE(interval.end_ns, plan.length_ns);
      loaded_ns += interval.end_ns - interval.begin_ns;
      last_ns = interval.end_ns;
    }
    EXPECT_NEAR(loaded_ns / plan.length_ns, 0.4, 0.1) << "200 of 500 ms on average";
  }
}

}  // namespace
}  // namespace strata::cli
