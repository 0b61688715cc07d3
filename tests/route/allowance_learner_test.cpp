// What is learned about how much to allow for: against a replay by hand, and in the simulator.
#include "route/allowance_learner.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "route/policy.h"
#include "route/random.h"
#include "route/simulator.h"
#include "sample_profile.h"

namespace strata::route {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kCalm = 0;

/// An inference at the highest level whose steps are slowed so, beside a belief of 1.
void teach(AllowanceLearner& learner, const Profile& profile, const std::vector<double>& slowdowns,
           double deadline_ns, double wanted) {
  const int highest = profile.level_count() - 1;
  learner.begin_inference(0, deadline_ns, highest);
  for (int step = 0; step < profile.step_count(); ++step) {
    learner.observe_step(profile, step, {1, 1}, highest,
                         slowdowns[static_cast<size_t>(step)] * profile.step_ns(step, highest));
  }
  learner.end_inference(profile, kCalm, wanted, false);
}

std::vector<double> even(const Profile& profile, double slowdown) {
  return std::vector<double>(static_cast<size_t>(profile.step_count()), slowdown);
}

struct Ending {
  double end_ns;
  double metric;
};

/// The same by way of the policy.
Ending replay(const Profile& profile, const std::vector<double>& slowdowns, Allowance allowance,
              double deadline_ns, double believed = 1) {
  const Policy policy = Policy::create({.kind = PolicyKind::kLatestSafeSwitch}).value();
  Estimate estimate;
  estimate.slowdown = believed;
  estimate.allowance = allowance;
  RoutePoint point{0, -1, 0, deadline_ns, nullptr};
  std::vector<uint8_t> levels;
  for (; point.step < profile.step_count(); ++point.step) {
    point.level = policy.decide(profile, estimate, point).level;
    levels.push_back(static_cast<uint8_t>(point.level));
    point.elapsed_ns +=
        slowdowns[static_cast<size_t>(point.step)] * profile.step_ns(point.step, point.level);
  }
  return {point.elapsed_ns, route_metric(profile, levels.data())};
}

TEST(AllowanceLearner, SaysNothingBeforeItCanKnow) {
  const Profile profile = even_profile(10, {100, 200});
  AllowanceLearner learner(10);
  for (int i = 0; i < 99; ++i) teach(learner, profile, even(profile, 1), 1e4, 0.01);
  EXPECT_EQ(learner.allowance(kCalm, 0.01), std::nullopt);
  for (int i = 0; i < 20; ++i) teach(learner, profile, even(profile, 1), 1e4, 0.01);
  EXPECT_NE(learner.allowance(kCalm, 0.01), std::nullopt);
  EXPECT_EQ(learner.allowance(kCalm, 1e-4), std::nullopt);
  learner.reset();
  EXPECT_EQ(learner.allowance(kCalm, 0.01), std::nullopt);
}

TEST(AllowanceLearner, LearnsFromWholeInferencesWithADeadlineOnly) {
  const Profile profile = even_profile(10, {100, 200});
  AllowanceLearner learner(10);
  AllowanceLearner shorter(9);
  for (int i = 0; i < 300; ++i) {
    teach(learner, profile, even(profile, 1), kInfinity, 0.01);
    teach(learner, profile, even(profile, kInfinity), 1e4, 0.01);
    teach(shorter, profile, even(profile, 1), 1e4, 0.01);
    learner.begin_inference(0, 1e4, 1);
    learner.end_inference(profile, kCalm, 0.01, false);  // no step
    learner.end_inference(profile, kCalm, 0.01, false);  // none was begun
  }
  EXPECT_EQ(learner.allowance(kCalm, 0.01), std::nullopt);
  EXPECT_EQ(shorter.allowance(kCalm, 0.01), std::nullopt);
}

TEST(AllowanceLearner, AllowsForWhatHappensAndNoMore) {
  const Profile profile = even_profile(10, {100, 200});
  const auto learned = [&](double slowdown) {
    AllowanceLearner learner(10);
    for (int i = 0; i < 400; ++i) teach(learner, profile, even(profile, slowdown), 2100, 0.01);
    return learner.allowance(kCalm, 0.01).value();
  };
  // At its usual speed the highest level just fits, and half as slow again it does not.
  EXPECT_GE(replay(profile, even(profile, 1), learned(1), 2100).metric, profile.metric(1));
  const Ending slow = replay(profile, even(profile, 1.5), learned(1.5), 2100);
  EXPECT_LE(slow.end_ns, 2100);
  EXPECT_GT(slow.metric, profile.metric(0));
}

TEST(AllowanceLearner, KeepsStatesApart) {
  const Profile profile = even_profile(10, {100, 200});
  AllowanceLearner learner(10);
  constexpr double kBusy = 0.5;
  const auto teach_busy = [&] {
    learner.begin_inference(0, 2100, 1);
    for (int step = 0; step < 10; ++step) learner.observe_step(profile, step, {1, 1}, 1, 400);
    learner.end_inference(profile, kBusy, 0.01, false);
  };
  for (int i = 0; i < 200; ++i) {
    teach(learner, profile, even(profile, 1), 2100, 0.01);
    teach_busy();
  }
  const Allowance calm = learner.allowance(kCalm, 0.01).value();
  const Allowance busy = learner.allowance(kBusy, 0.01).value();
  EXPECT_GE(replay(profile, even(profile, 1), calm, 2100).metric, profile.metric(1));
  EXPECT_LE(replay(profile, even(profile, 2), busy, 2100).end_ns, 2100);
}

TEST(AllowanceLearner, CountsWhatWasLeftOfAnInferenceThatWasGivenUp) {
  const Profile profile = even_profile(10, {100, 200});
  AllowanceLearner learner(10);
  for (int i = 0; i < 300; ++i) {
    learner.begin_inference(0, 2500, 1);
    learner.observe_step(profile, 0, {2, 2}, 1, 400);
    learner.observe_rest(profile, 1, {2, 2});
    learner.end_inference(profile, kCalm, 0.01, false);
  }
  const Allowance allowance = learner.allowance(kCalm, 0.01).value();
  const Ending ending = replay(profile, even(profile, 2), allowance, 2500, 2);
  EXPECT_LE(ending.end_ns, 2500);
  EXPECT_GT(ending.metric, profile.metric(0));
}

/// Hiccups now and then, and noise.
std::vector<double> some_slowdowns(const Profile& profile, Random& random) {
  std::vector<double> slowdowns = even(profile, std::exp(0.15 * random.normal()));
  for (double& slowdown : slowdowns) {
    if (random.uniform() < 0.02) slowdown *= 1 + 10 * random.uniform();
  }
  return slowdowns;
}

RC_GTEST_PROP(AllowanceLearner, KeepsTheMissesAndIsAsGoodAsAnyOther, ()) {
  const Profile profile = make_profile(arbitrary_table(2));
  const double deadline =
      profile.total_ns(0) + *rc::gen::inRange(1, 20) * 0.1 * profile.total_ns(1);
  constexpr double kWanted = 0.05;
  constexpr int kInferences = 200;
  Random random(static_cast<uint64_t>(*rc::gen::inRange(1, 1 << 30)));
  std::vector<std::vector<double>> inferences;
  AllowanceLearner learner(static_cast<size_t>(profile.step_count()));
  for (int i = 0; i < kInferences; ++i) {
    inferences.push_back(some_slowdowns(profile, random));
    teach(learner, profile, inferences.back(), deadline, kWanted);
  }
  const auto judge = [&](Allowance allowance) {
    double misses = 0;
    double metric = 0;
    double weight = 1;  // those that came later weigh more, by a thousandth each
    double sum = 0;
    for (const std::vector<double>& inference : inferences) {
      const Ending ending = replay(profile, inference, allowance, deadline);
      const Ending fastest = replay(profile, inference, {1e9, 0}, deadline);
      if (ending.end_ns > deadline && fastest.end_ns <= deadline) misses += weight;
      metric += weight * ending.metric;
      sum += weight;
      weight *= 1.001;
    }
    return std::pair{misses / sum, metric / sum};
  };
  const std::optional<Allowance> learned = learner.allowance(kCalm, kWanted);
  RC_ASSERT(learned.has_value());
  const auto [misses, metric] = judge(*learned);
  // The control may ask for twice as much when nothing was missed, as here.
  RC_ASSERT(misses <= 2 * kWanted);
  for (const Allowance other : {Allowance{0, 0}, {0.1, 0.2}, {0.35, 0.5}, {0, 1}, {1, 1.5}}) {
    const auto [other_misses, other_metric] = judge(other);
    if (other_misses <= 0.9 * kWanted) RC_ASSERT(metric >= other_metric - 1e-9);
  }
}

enum class Bold : uint8_t { kNever, kCautious, kAdaptive };

/// Ten steps, level 1 twice as slow as level 0, and a co-runner in bursts.
SimulationOutcome simulate_bursts(Bold bold, double deadline_ns, double burst_slowdown = 1.7) {
  ProfileTable table;
  table.step_count = 10;
  table.level_count = 2;
  for (int step = 0; step < table.step_count; ++step) {
    table.times.push_back({5e5, 5.2e5});
    table.times.push_back({1e6, 1.04e6});
  }
  table.accuracy.levels = {70, 75};
  const Profile profile = Profile::create(table).value();
  SyntheticInterference model;
  model.step_count = table.step_count;
  model.step_ns = 1e6;
  model.noise = {0.05, 0.1};
  model.bursts = {300e6, 200e6, burst_slowdown};
  const auto interference = synthetic_interference(model, 3).value();
  const auto arrivals = periodic_arrivals(25e6).value();
  SimulationOptions options;
  options.inferences = 100'000;
  options.warmup = 20'000;
  options.deadline_ns = deadline_ns;
  options.policy.miss_probability = 0.01;
  options.policy.adaptive = bold == Bold::kAdaptive;
  if (bold == Bold::kNever) options.policy = {.kind = PolicyKind::kFixed, .level = 0};
  return simulate(profile, *arrivals, *interference, options).value();
}

TEST(AllowanceLearner, TurnsCautionThatIsNotNeededIntoAccuracy) {
  const SimulationOutcome cautious = simulate_bursts(Bold::kCautious, 16e6);
  const SimulationOutcome adaptive = simulate_bursts(Bold::kAdaptive, 16e6);
  EXPECT_LE(adaptive.miss_rate.value, 0.012);
  EXPECT_LT(cautious.miss_rate.value, adaptive.miss_rate.value);
  EXPECT_GT(adaptive.mean_metric, cautious.mean_metric + 0.5);
}

TEST(AllowanceLearner, TakesCalmTimesEvenWhereBusyOnesAreHopeless) {
  // In a burst even the sparsest level takes 2.6 * 5 ms, more than the deadline.
  const SimulationOutcome sparsest = simulate_bursts(Bold::kNever, 12e6, 2.6);
  const SimulationOutcome adaptive = simulate_bursts(Bold::kAdaptive, 12e6, 2.6);
  EXPECT_GT(sparsest.miss_rate.value, 0.2);
  EXPECT_LE(adaptive.miss_rate.value, sparsest.miss_rate.value + 0.012);
  EXPECT_GT(adaptive.mean_metric, sparsest.mean_metric + 0.5);
}

}  // namespace
}  // namespace strata::route
