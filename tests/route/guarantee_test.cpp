// What the margins promise, end to end: on exchangeable noise the policies that use them miss no
// more often than wanted, and are worth their caution.
#include <cmath>
#include <string>

#include <gtest/gtest.h>

#include "route/simulator.h"
#include "sample_profile.h"

namespace strata::route {
namespace {

constexpr int kSteps = 20;
constexpr double kDense = 1e6;  // ns per step

struct Setting {
  const char* name;
  SyntheticInterference model;
  double deadline;  // of the unloaded time of the highest level
};

/// Independent from inference to inference, hence exchangeable.
constexpr Setting kSettings[] = {
    {"quiet", {.step_count = kSteps, .noise = {0.01, 0.03}}, 1.1},
    {"noisy machine", {.step_count = kSteps, .noise = {0.2, 0.1}}, 1.3},
    {"noisy steps", {.step_count = kSteps, .noise = {0.02, 0.5}}, 1.3},
    {"hiccups", {.step_count = kSteps, .noise = {0.02, 0.05}, .hiccups = {0.002, 10}}, 1.4},
};

SimulationOutcome run(const Setting& setting, PolicyKind kind, int level, double wanted,
                      int64_t inferences) {
  const Profile profile = even_profile(kSteps, {0.3 * kDense, kDense});
  SimulationOptions options;
  options.inferences = inferences;
  options.deadline_ns = setting.deadline * kSteps * kDense;
  options.queueing = false;
  options.policy.kind = kind;
  options.policy.level = level;
  options.policy.miss_probability = wanted;
  const auto arrivals = periodic_arrivals(1e9).value();
  const auto interference = synthetic_interference(setting.model, 3).value();
  return simulate(profile, *arrivals, *interference, options).value();
}

class Guarantee : public ::testing::TestWithParam<Setting> {};
INSTANTIATE_TEST_SUITE_P(Exchangeable, Guarantee, ::testing::ValuesIn(kSettings));

TEST_P(Guarantee, MissesNoMoreOftenThanWanted) {
  for (const PolicyKind kind : {PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute}) {
    for (const double wanted : {0.1, 0.01, 0.001}) {
      const SimulationOutcome outcome = run(GetParam(), kind, -1, wanted, 50'000);
      EXPECT_LE(outcome.miss_rate.low, wanted) << GetParam().name << ' ' << to_string(kind);
    }
  }
}

TEST_P(Guarantee, IsWorthMoreThanTheSparsestLevel) {
  const SimulationOutcome sparsest = run(GetParam(), PolicyKind::kFixed, 0, 0.01, 20'000);
  const SimulationOutcome densest = run(GetParam(), PolicyKind::kFixed, 1, 0.01, 20'000);
  const SimulationOutcome routed = run(GetParam(), PolicyKind::kBestRoute, -1, 0.01, 20'000);
  const double gained =
      (routed.mean_metric - sparsest.mean_metric) / (densest.mean_metric - sparsest.mean_metric);
  EXPECT_GE(gained, 0.5) << GetParam().name;
  EXPECT_LE(routed.misses, densest.misses) << GetParam().name;
}

TEST(Guarantee, HoldsUnderBurstsWhoseOnsetsTheWindowHasSeen) {
  // Not exchangeable from one inference to the next, only in the long run.
  const Setting bursts = {"bursts",
                          {.step_count = kSteps,
                           .step_ns = kDense,
                           .noise = {0.02, 0.05},
                           .bursts = {20 * kSteps * kDense, 5 * kSteps * kDense, 2}},
                          1.5};
  const Profile profile = even_profile(kSteps, {0.3 * kDense, kDense});
  const auto miss_rate = [&](PolicyKind kind) {
    SimulationOptions options;
    options.inferences = 100'000;
    options.deadline_ns = bursts.deadline * kSteps * kDense;
    options.queueing = false;
    options.policy.kind = kind;
    options.policy.miss_probability = 0.001;
    const auto arrivals = poisson_arrivals(4 * kSteps * kDense, 1).value();
    const auto interference = synthetic_interference(bursts.model, 3).value();
    return simulate(profile, *arrivals, *interference, options)->miss_rate;
  };
  EXPECT_LE(miss_rate(PolicyKind::kBestRoute).low, 0.001);
  EXPECT_GE(miss_rate(PolicyKind::kFixed).value, 0.1);
}

}  // namespace
}  // namespace strata::route
