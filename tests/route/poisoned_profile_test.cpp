// A profile that is wrong, by accident, on purpose, or because it comes from another machine: the
// first inferences may miss, then the belief has corrected it.
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "route/random.h"
#include "route/simulator.h"
#include "sample_profile.h"

namespace strata::route {
namespace {

constexpr int kSteps = 20;
constexpr double kSparse = 0.4e6;  // ns per step
constexpr double kDense = 1e6;
constexpr double kDeadline = 1.3 * kSteps * kDense;
constexpr double kWanted = 0.01;
constexpr int64_t kFew = 10;  // inferences until the router must have corrected itself

struct Poison {
  const char* name;
  std::function<StepTime(int step, int level, StepTime truth)> apply;
  bool scale_only;  // all times wrong by the same factor: then nothing of value is lost
};

StepTime times(StepTime time, double factor) {
  return {time.median_ns * factor, time.high_ns * factor};
}

double factor_of(int step, int level) {
  return std::exp(2 * Random(static_cast<uint64_t>(step), static_cast<uint64_t>(level)).normal());
}

const std::vector<Poison>& poisons() {
  static const std::vector<Poison> all = {
      {"right", [](int, int, StepTime t) { return t; }, true},
      {"a thousand times too slow", [](int, int, StepTime t) { return times(t, 1e3); }, true},
      {"a thousand times too fast", [](int, int, StepTime t) { return times(t, 1e-3); }, true},
      {"twice too fast", [](int, int, StepTime t) { return times(t, 0.5); }, true},
      {"all zero",
       [](int, int, StepTime) {
         return StepTime{0, 0};
       },
       false},
      {"all NaN",
       [](int, int, StepTime) {
         const double nan = std::numeric_limits<double>::quiet_NaN();
         return StepTime{nan, nan};
       },
       false},
      {"every third NaN",
       [](int step, int, StepTime t) {
         return step % 3 == 0 ? StepTime{std::nan(""), 0} : t;
       },
       true},
      {"each step by a factor of its own",
       [](int step, int level, StepTime t) { return times(t, factor_of(step, level)); }, false},
      {"levels swapped",
       [](int, int level, StepTime) {
         const double time = level == 0 ? kDense : kSparse;
         return StepTime{time, time};
       },
       false},
      {"the sparsest level fifty times too fast",
       [](int, int level, StepTime t) { return level == 0 ? times(t, 0.02) : t; }, false},
      {"the sparsest level twice too fast",
       [](int, int level, StepTime t) { return level == 0 ? times(t, 0.5) : t; }, false},
      {"all time in the first step",
       [](int step, int, StepTime t) { return times(t, step == 0 ? 1e3 : 1e-3); }, false},
      {"all time in the last step",
       [](int step, int, StepTime t) { return times(t, step == kSteps - 1 ? 1e3 : 1e-3); }, false},
  };
  return all;
}

class FirstMisses final : public SimulationObserver {
 public:
  void inference(const SimulatedInference& inference) override {
    if (count_++ < kFew) return;
    misses += inference.missed ? 1 : 0;
    metric += inference.metric;
    ++inferences;
  }
  int64_t inferences = 0;
  int64_t misses = 0;
  double metric = 0;

 private:
  int64_t count_ = 0;
};

FirstMisses run(const Poison& poison, PolicyKind kind, OnInfeasible on_infeasible) {
  ProfileTable table = even_table(kSteps, {kSparse, kDense});
  table.accuracy.levels = {0.6, 0.8};
  const Profile truth = make_profile(table);
  for (int step = 0; step < kSteps; ++step) {
    for (int level = 0; level < 2; ++level) {
      StepTime& time = table.times[2 * static_cast<size_t>(step) + static_cast<size_t>(level)];
      time = poison.apply(step, level, time);
    }
  }
  const Profile wrong = make_profile(table);
  SimulationOptions options;
  options.inferences = 3000;
  options.warmup = 0;
  options.deadline_ns = kDeadline;
  options.queueing = false;
  options.truth = &truth;
  options.policy.kind = kind;
  options.policy.miss_probability = kWanted;
  options.policy.on_infeasible = on_infeasible;
  FirstMisses observer;
  options.observer = &observer;
  const auto arrivals = periodic_arrivals(1e9).value();
  const auto interference =
      synthetic_interference({.step_count = kSteps, .noise = {0.02, 0.05}}, 3).value();
  EXPECT_TRUE(simulate(wrong, *arrivals, *interference, options).ok());
  return observer;
}

class PoisonedProfile : public ::testing::TestWithParam<Poison> {};
INSTANTIATE_TEST_SUITE_P(Route, PoisonedProfile, ::testing::ValuesIn(poisons()));

std::vector<Poison> wrong_scales() {
  std::vector<Poison> some;
  for (const Poison& poison : poisons()) {
    if (poison.scale_only) some.push_back(poison);
  }
  return some;
}

/// With the others the proportion of the levels is lost, and accuracy with it.
class WrongScale : public ::testing::TestWithParam<Poison> {};
INSTANTIATE_TEST_SUITE_P(Route, WrongScale, ::testing::ValuesIn(wrong_scales()));

TEST_P(PoisonedProfile, IsHarmlessAfterAFewInferences) {
  for (const PolicyKind kind : {PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute}) {
    for (const OnInfeasible on_infeasible : {OnInfeasible::kAnswerLate, OnInfeasible::kGiveUp}) {
      const FirstMisses seen = run(GetParam(), kind, on_infeasible);
      EXPECT_LE(seen.misses, static_cast<double>(seen.inferences) * kWanted)
          << GetParam().name << ", " << to_string(kind) << ", "
          << (on_infeasible == OnInfeasible::kGiveUp ? "give up" : "answer late");
    }
  }
}

TEST_P(WrongScale, CostsNoAccuracy) {
  const FirstMisses right =
      run(poisons().front(), PolicyKind::kBestRoute, OnInfeasible::kAnswerLate);
  const FirstMisses seen = run(GetParam(), PolicyKind::kBestRoute, OnInfeasible::kAnswerLate);
  EXPECT_NEAR(seen.metric / static_cast<double>(seen.inferences),
              right.metric / static_cast<double>(right.inferences), 0.01)
      << GetParam().name;
}

}  // namespace
}  // namespace strata::route
