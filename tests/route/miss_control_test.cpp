// The control that makes a router miss as often as wanted: by itself, and in the simulator.
#include "route/miss_control.h"

#include <limits>

#include <gtest/gtest.h>

#include "route/simulator.h"

namespace strata::route {
namespace {

// Of an inference that the sparsest level brings home in time.
constexpr double kFast = 1;
constexpr double kDeadline = 2;

TEST(MissControl, BeginsWithWhatIsWanted) {
  EXPECT_NEAR(MissControl().asked(0.01), 0.01, 1e-9);
  EXPECT_NEAR(MissControl().asked(0.95), 0.95, 1e-9);
}

TEST(MissControl, GrowsBolderWithoutMissesAndCautiousWithThem) {
  MissControl control;
  for (int i = 0; i < 1000; ++i) control.observe(0.01, false, kFast, kDeadline);
  EXPECT_GT(control.asked(0.01), 0.1);
  for (int i = 0; i < 100; ++i) control.observe(0.01, true, kFast, kDeadline);
  EXPECT_LE(control.asked(0.01), 0.01 * MissControl::kLeastShare * 1.0001);
  EXPECT_GT(control.asked(0.01), 0.01 * MissControl::kLeastShare / 1.3);
}

TEST(MissControl, StaysWithinItsBoundsAndComesBackFromThem) {
  MissControl control;
  for (int i = 0; i < 100'000; ++i) control.observe(0.1, false, kFast, kDeadline);
  EXPECT_LE(control.asked(0.1), MissControl::kMostAsked);
  for (int i = 0; i < 100'000; ++i) control.observe(0.1, true, kFast, kDeadline);
  EXPECT_GT(control.asked(0.1), 0);
  for (int i = 0; i < 50; ++i) control.observe(0.1, false, kFast, kDeadline);
  EXPECT_GE(control.asked(0.1), 0.08) << "a hundred thousand misses are forgotten in fifty";
}

TEST(MissControl, LeavesOutWhatNoLevelCouldHaveSaved) {
  MissControl control;
  for (int i = 0; i < 1000; ++i) control.observe(0.01, false, kFast, kDeadline);
  const double asked = control.asked(0.01);
  for (const double fastest :
       {2.5, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    for (int i = 0; i < 1000; ++i) control.observe(0.01, true, fastest, kDeadline);
    EXPECT_EQ(control.asked(0.01), asked) << fastest;
  }
}

TEST(MissControl, MeetsTheWantedShareWhereMissesFollowWhatIsAsked) {
  // A machine on which a tenth of what is asked for really misses.
  MissControl control;
  int64_t misses = 0;
  constexpr int64_t kInferences = 200'000;
  double debt = 0;
  for (int64_t i = 0; i < kInferences; ++i) {
    debt += control.asked(0.02) / 10;
    const bool missed = debt >= 1;
    if (missed) debt -= 1;
    misses += missed ? 1 : 0;
    control.observe(0.02, missed, kFast, kDeadline);
  }
  EXPECT_NEAR(static_cast<double>(misses) / kInferences, 0.02, 0.001);
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

TEST(MissControl, TurnsCautionThatIsNotNeededIntoAccuracy) {
  const SimulationOutcome cautious = simulate_bursts(Bold::kCautious, 16e6);
  const SimulationOutcome adaptive = simulate_bursts(Bold::kAdaptive, 16e6);
  EXPECT_LE(adaptive.miss_rate.value, 0.012);
  EXPECT_LT(cautious.miss_rate.value, adaptive.miss_rate.value);
  EXPECT_GT(adaptive.mean_metric, cautious.mean_metric + 0.5);
}

TEST(MissControl, TakesCalmTimesEvenWhereBusyOnesAreHopeless) {
  // In a burst even the sparsest level takes 2.6 * 5 ms, more than the deadline.
  const SimulationOutcome sparsest = simulate_bursts(Bold::kNever, 12e6, 2.6);
  const SimulationOutcome adaptive = simulate_bursts(Bold::kAdaptive, 12e6, 2.6);
  EXPECT_GT(sparsest.miss_rate.value, 0.2);
  EXPECT_LE(adaptive.miss_rate.value, sparsest.miss_rate.value + 0.012);
  EXPECT_GT(adaptive.mean_metric, sparsest.mean_metric + 0.5);
}

}  // namespace
}  // namespace strata::route
