// The simulator against closed forms, against a replay by hand, and its own accounts.
#include "route/simulator.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "route/random.h"
#include "sample_profile.h"

namespace strata::route {
namespace {

constexpr double kFar = 1e18;

SimulationOptions with_policy(PolicyKind kind, double deadline_ns, int64_t inferences) {
  SimulationOptions options;
  options.policy.kind = kind;
  options.deadline_ns = deadline_ns;
  options.inferences = inferences;
  return options;
}

SyntheticInterference noise(int steps, double inference_deviation, double step_deviation) {
  return {.step_count = steps, .noise = {inference_deviation, step_deviation}};
}

SimulationOutcome run(const Profile& profile, const SyntheticInterference& model,
                      const SimulationOptions& options, double mean_gap_ns = 1e9) {
  const auto arrivals = poisson_arrivals(mean_gap_ns, 11).value();
  const auto interference = synthetic_interference(model, 22).value();
  const auto outcome = simulate(profile, *arrivals, *interference, options);
  EXPECT_TRUE(outcome.ok()) << outcome.status().message();
  return outcome.value();
}

class Recorder final : public SimulationObserver {
 public:
  struct Entry {
    SimulatedInference inference;
    std::vector<uint8_t> levels;
  };
  explicit Recorder(int steps) : steps_(steps) {}
  void inference(const SimulatedInference& inference) override {
    entries.push_back({inference, {inference.levels, inference.levels + steps_}});
  }
  std::vector<Entry> entries;

 private:
  int steps_;
};

TEST(Simulator, WaitsAsLongAsTheFormulaOfPollaczekAndKhinchineSays) {
  // M/D/1: the mean wait is load * service / (2 (1 - load)).
  const Profile profile = even_profile(4, {250});
  for (const double load : {0.2, 0.5, 0.8}) {
    const SimulationOutcome outcome =
        run(profile, noise(4, 0, 0), with_policy(PolicyKind::kFixed, kFar, 400'000), 1000 / load);
    EXPECT_NEAR(outcome.mean_wait_ns / (load * 1000 / (2 * (1 - load))), 1, 0.08) << load;
    EXPECT_NEAR(outcome.busy_share, load, 0.01);
    EXPECT_EQ(outcome.misses, 0);
  }
}

TEST(Simulator, WaitsAsLongAsTheFormulaSaysForNoisyServiceToo) {
  // M/G/1: arrival rate * E[service^2] / (2 (1 - load)), service lognormal.
  const Profile profile = even_profile(2, {500});
  constexpr double kDeviation = 0.5;
  const double mean = 1000 * std::exp(kDeviation * kDeviation / 2);
  const double square = 1e6 * std::exp(2 * kDeviation * kDeviation);
  const double gap = mean / 0.6;
  const SimulationOutcome outcome =
      run(profile, noise(2, kDeviation, 0), with_policy(PolicyKind::kFixed, kFar, 400'000), gap);
  EXPECT_NEAR(outcome.mean_wait_ns / (square / gap / (2 * (1 - 0.6))), 1, 0.08);
}

TEST(Simulator, AFixedLevelMissesAsOftenAsTheTailOfTheNoiseSays) {
  const Profile profile = even_profile(5, {40, 200});
  SimulationOptions options = with_policy(PolicyKind::kFixed, 1000 * std::exp(2 * 0.1), 400'000);
  options.queueing = false;
  const SimulationOutcome outcome = run(profile, noise(5, 0.1, 0), options);
  const double tail = 0.5 * std::erfc(2 / std::sqrt(2.0));  // of two deviations
  EXPECT_LE(outcome.miss_rate.low, tail * 1.02);
  EXPECT_GE(outcome.miss_rate.high, tail * 0.98);
  EXPECT_NEAR(outcome.latency.p50_ns, 1000, 15);
  EXPECT_NEAR(outcome.latency.p99_ns / (1000 * std::exp(2.326 * 0.1)), 1, 0.015);
  EXPECT_EQ(outcome.mean_wait_ns, 0);
}

TEST(Simulator, ReplaysARecordingTimeForTime) {
  const Profile profile = even_profile(3, {10, 100});
  Recording recording;
  recording.step_count = 3;
  Random random(5);
  for (int i = 0; i < 3 * 100; ++i) {
    recording.slowdowns.push_back(static_cast<float>(std::exp(0.5 * random.normal())));
  }
  const auto interference = replay_interference(recording, 0, 1).value();
  const auto arrivals = periodic_arrivals(250).value();
  Recorder recorder(3);
  SimulationOptions options = with_policy(PolicyKind::kFixed, 500, 100);
  options.warmup = 0;
  options.observer = &recorder;
  ASSERT_TRUE(simulate(profile, *arrivals, *interference, options).ok());

  double free_at = 0;
  ASSERT_EQ(recorder.entries.size(), 100U);
  for (size_t i = 0; i < 100; ++i) {
    const double arrival = 250.0 * static_cast<double>(i + 1);
    double time = std::max(arrival, free_at);
    for (size_t step = 0; step < 3; ++step) {
      time += 100 * static_cast<double>(recording.slowdowns[3 * i + step]);
    }
    free_at = time;
    const SimulatedInference& seen = recorder.entries[i].inference;
    EXPECT_EQ(seen.arrival_ns, arrival);
    EXPECT_NEAR(seen.finish_ns, time, 1e-6);
    EXPECT_EQ(seen.missed, seen.finish_ns - arrival > 500);
  }
}

RC_GTEST_PROP(Simulator, FollowsFromItsSeeds, ()) {
  const auto kind = *rc::gen::element(PolicyKind::kReroute, PolicyKind::kLatestSafeSwitch,
                                      PolicyKind::kBestRoute, PolicyKind::kPerRequest);
  const Profile profile = make_profile(arbitrary_table(2));
  const SimulationOptions options = with_policy(kind, 1.5 * profile.total_ns(1), 300);
  const auto model = noise(profile.step_count(), 0.2, 0.2);
  const SimulationOutcome first = run(profile, model, options);
  const SimulationOutcome second = run(profile, model, options);
  RC_ASSERT(first.misses == second.misses);
  RC_ASSERT(first.mean_metric == second.mean_metric);
  RC_ASSERT(first.latency.max_ns == second.latency.max_ns);
  RC_ASSERT(first.final_levels == second.final_levels);
}

RC_GTEST_PROP(Oracle, LosesToNoPolicyOnAnyInference, ()) {
  const Profile profile = make_profile(arbitrary_table(2));
  const int steps = profile.step_count();
  const auto model = noise(steps, *rc::gen::inRange(0, 40) * 0.01, *rc::gen::inRange(0, 60) * 0.01);
  const double deadline = profile.total_ns(1) * *rc::gen::inRange(50, 250) * 0.01;
  const auto record = [&](PolicyKind kind) {
    Recorder recorder(steps);
    SimulationOptions options = with_policy(kind, deadline, 200);
    options.warmup = 20;
    options.queueing = false;  // with it, an inference that runs longer harms the next
    options.observer = &recorder;
    run(profile, model, options);
    return recorder.entries;
  };
  const auto best = record(PolicyKind::kOracle);
  for (const PolicyKind kind : {PolicyKind::kFixed, PolicyKind::kPerRequest, PolicyKind::kReroute,
                                PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute}) {
    const auto other = record(kind);
    RC_ASSERT(other.size() == best.size());
    for (size_t i = 0; i < best.size(); ++i) {
      // A route that ends within a billionth of the deadline is not planned by the oracle.
      const double finish = other[i].inference.finish_ns - other[i].inference.arrival_ns;
      if (other[i].inference.missed || finish > deadline * (1 - 1e-8)) continue;
      RC_ASSERT(!best[i].inference.missed);
      RC_ASSERT(best[i].inference.metric >= other[i].inference.metric - 1e-12);
    }
  }
}

RC_GTEST_PROP(Simulator, KeepsItsAccounts, ()) {
  const auto kind =
      *rc::gen::element(PolicyKind::kFixed, PolicyKind::kPerRequest, PolicyKind::kReroute,
                        PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute, PolicyKind::kOracle);
  const Profile profile = make_profile(arbitrary_table(*rc::gen::inRange(1, 4)));
  SimulationOptions options =
      with_policy(kind, profile.total_ns(0) * *rc::gen::inRange(20, 400) * 0.01, 400);
  options.policy.on_infeasible =
      *rc::gen::element(OnInfeasible::kAnswerLate, OnInfeasible::kGiveUp);
  Recorder recorder(profile.step_count());
  options.observer = &recorder;
  const SimulationOutcome outcome = run(profile, noise(profile.step_count(), 0.3, 0.3), options,
                                        profile.total_ns(0) * *rc::gen::inRange(50, 500) * 0.01);
  RC_ASSERT(recorder.entries.size() == 400U);
  int64_t misses = 0;
  double before = 0;
  for (const Recorder::Entry& entry : recorder.entries) {
    RC_ASSERT(std::is_sorted(entry.levels.rbegin(), entry.levels.rend()));  // never up
    RC_ASSERT(entry.inference.start_ns >= entry.inference.arrival_ns);
    RC_ASSERT(entry.inference.start_ns >= before);  // one after the other
    RC_ASSERT(entry.inference.finish_ns >= entry.inference.start_ns);
    before = entry.inference.finish_ns;
    misses += entry.inference.missed ? 1 : 0;
  }
  RC_ASSERT(outcome.misses == misses);
  RC_ASSERT(outcome.gave_up <= outcome.misses);
  const int64_t answered =
      std::accumulate(outcome.final_levels.begin(), outcome.final_levels.end(), int64_t{0});
  RC_ASSERT(answered + outcome.gave_up == outcome.inferences);
  const double shares = std::accumulate(outcome.time_share.begin(), outcome.time_share.end(), 0.0);
  RC_ASSERT(std::abs(shares - 1) < 1e-9 || shares == 0);
  RC_ASSERT(outcome.mean_metric_met <= outcome.mean_metric + 1e-12);
  RC_ASSERT(outcome.latency.p50_ns <= outcome.latency.p999_ns);
  RC_ASSERT(outcome.latency.p99999_ns <= outcome.latency.max_ns);
  RC_ASSERT(outcome.nines_low <= outcome.nines && outcome.nines <= outcome.nines_high);
}

TEST(Simulator, GivingUpKeepsAnOverloadedServerAnswering) {
  // Twice as many requests as even the sparsest level can serve.
  const Profile profile = even_profile(4, {250, 500});
  SimulationOptions options = with_policy(PolicyKind::kBestRoute, 3000, 50'000);
  const SimulationOutcome late = run(profile, noise(4, 0.02, 0.02), options, 500);
  options.policy.on_infeasible = OnInfeasible::kGiveUp;
  const SimulationOutcome gives_up = run(profile, noise(4, 0.02, 0.02), options, 500);
  EXPECT_GT(late.miss_rate.value, 0.9);
  EXPECT_LT(gives_up.miss_rate.value, 0.6);
  EXPECT_GT(gives_up.gave_up, 0);
}

TEST(Simulator, GivingUpEndsWithTheOverload) {
  // The machine is ten times slower for a while: nothing can be in time, all is given up. The
  // belief must find out when it is over, although it then sees no step at all.
  const Profile profile = even_profile(4, {250, 500});
  Recording recording;
  recording.step_count = 4;
  for (int i = 0; i < 400; ++i) {
    for (int step = 0; step < 4; ++step) {
      recording.slowdowns.push_back(i >= 100 && i < 200 ? 10.0F : 1.0F);
    }
  }
  const auto interference = replay_interference(recording, 0, 1).value();
  const auto arrivals = periodic_arrivals(10'000).value();
  Recorder recorder(4);
  SimulationOptions options = with_policy(PolicyKind::kLatestSafeSwitch, 2600, 400);
  options.warmup = 0;
  options.policy.on_infeasible = OnInfeasible::kGiveUp;
  options.policy.miss_probability = 0.05;
  options.observer = &recorder;
  ASSERT_TRUE(simulate(profile, *arrivals, *interference, options).ok());
  const auto misses = [&](size_t first, size_t last) {
    int64_t count = 0;
    for (size_t i = first; i < last; ++i) count += recorder.entries[i].inference.missed ? 1 : 0;
    return count;
  };
  EXPECT_EQ(misses(10, 100), 0);
  EXPECT_EQ(misses(100, 200), 100);
  EXPECT_LE(misses(200, 210), 8);
  EXPECT_EQ(misses(210, 400), 0);
}

TEST(Simulator, RefusesWhatCannotBe) {
  const Profile profile = even_profile(3, {10, 20});
  const Profile other = even_profile(4, {10, 20});
  const auto simulate_with = [&](int steps, const SimulationOptions& options) {
    const auto arrivals = periodic_arrivals(100).value();
    const auto interference = synthetic_interference({.step_count = steps}, 1).value();
    return simulate(profile, *arrivals, *interference, options).status();
  };
  SimulationOptions options = with_policy(PolicyKind::kFixed, 100, 10);
  EXPECT_TRUE(simulate_with(3, options).ok());
  EXPECT_FALSE(simulate_with(4, options).ok());
  options.truth = &other;
  EXPECT_FALSE(simulate_with(3, options).ok());
  options = with_policy(PolicyKind::kFixed, 100, 0);
  EXPECT_FALSE(simulate_with(3, options).ok());
  options = with_policy(PolicyKind::kFixed, 100, 10);
  options.warmup = -1;
  EXPECT_FALSE(simulate_with(3, options).ok());
  options = with_policy(PolicyKind::kFixed, 100, 10);
  options.policy.miss_probability = 0;
  EXPECT_FALSE(simulate_with(3, options).ok());
  options = with_policy(PolicyKind::kFixed, 100, 10);
  options.belief.window = 0;
  EXPECT_FALSE(simulate_with(3, options).ok());
}

}  // namespace
}  // namespace strata::route
