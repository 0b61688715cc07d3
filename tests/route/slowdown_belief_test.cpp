// The slowdown belief: how fast it follows, what its residuals are, and that its bound holds as
// often as it promises at every route point at once.
#include "route/slowdown_belief.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "route/random.h"

namespace strata::route {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kStepNs = 1000;

SlowdownBelief make_belief(int steps, const BeliefOptions& options = {}) {
  return SlowdownBelief::create(steps, options).value();
}

/// Residuals of one shape that exceed `relative`, whatever state the machine was in.
size_t count_above(const SlowdownBelief& belief, int shape, double relative) {
  return belief.residuals(MachineState::kCalm, shape).count_above(relative) +
         belief.residuals(MachineState::kBusy, shape).count_above(relative);
}

size_t count(const SlowdownBelief& belief) {
  return belief.residuals(MachineState::kCalm, 0).count() +
         belief.residuals(MachineState::kBusy, 0).count();
}

/// One inference of even steps, each slowed by the same factor.
void infer(SlowdownBelief& belief, int steps, double slowdown) {
  belief.begin_inference(steps * kStepNs);
  for (int step = 0; step < steps; ++step) belief.observe_step(kStepNs, kStepNs * slowdown);
  belief.end_inference();
}

TEST(SlowdownBelief, RefusesOptionsThatCannotBe) {
  EXPECT_FALSE(SlowdownBelief::create(0).ok());
  EXPECT_FALSE(SlowdownBelief::create(1, {.initial_slowdown = 0}).ok());
  EXPECT_FALSE(SlowdownBelief::create(1, {.initial_deviation = kNan}).ok());
  EXPECT_FALSE(SlowdownBelief::create(1, {.prior_spread = -1}).ok());
  EXPECT_FALSE(SlowdownBelief::create(1, {.window = 0}).ok());
  EXPECT_FALSE(SlowdownBelief::create(1, {.warmup = -1}).ok());
}

RC_GTEST_PROP(SlowdownBelief, OneInferenceCorrectsAProfileThatIsWrongByAnyFactor, ()) {
  const double slowdown = std::exp(*rc::gen::inRange(-1500, 1501) * 0.01);  // 3e-7 to 3e6
  const int steps = *rc::gen::inRange(5, 80);
  SlowdownBelief belief = make_belief(steps);
  infer(belief, steps, slowdown);
  RC_ASSERT(std::abs(std::log(belief.slowdown() / slowdown)) < 0.3);
  infer(belief, steps, slowdown);
  RC_ASSERT(std::abs(std::log(belief.slowdown() / slowdown)) < 0.05);
}

TEST(SlowdownBelief, FollowsAChangeWithinAFewStepsOfTheSameInference) {
  SlowdownBelief belief = make_belief(50);
  for (int i = 0; i < 50; ++i) infer(belief, 50, 1);
  belief.begin_inference(50 * kStepNs);
  for (int step = 0; step < 4; ++step) belief.observe_step(kStepNs, 2.5 * kStepNs);
  EXPECT_NEAR(belief.slowdown(), 2.5, 0.3);
}

TEST(SlowdownBelief, DoesNotTakeOneHiccupForAChange) {
  SlowdownBelief belief = make_belief(50);
  for (int i = 0; i < 50; ++i) infer(belief, 50, 1);
  belief.begin_inference(50 * kStepNs);
  belief.observe_step(kStepNs, 20 * kStepNs);
  EXPECT_LT(belief.slowdown(), 2.5);
  for (int step = 0; step < 10; ++step) belief.observe_step(kStepNs, kStepNs);
  EXPECT_NEAR(belief.slowdown(), 1, 0.1);
}

TEST(SlowdownBelief, TrustsALongStepMoreThanAShortOne) {
  const auto after = [](double profiled_ns) {
    SlowdownBelief belief = make_belief(2);
    for (int i = 0; i < 20; ++i) infer(belief, 2, 1);
    belief.begin_inference(2 * kStepNs);
    belief.observe_step(profiled_ns, 1.05 * profiled_ns);
    return belief.slowdown();
  };
  EXPECT_GT(after(kStepNs), after(kStepNs / 100));
}

TEST(SlowdownBelief, LearnsHowNoisyTheMachineIs) {
  const auto deviation = [](double noise) {
    SlowdownBelief belief = make_belief(20);
    Random random(1);
    for (int i = 0; i < 500; ++i) infer(belief, 20, std::exp(noise * random.normal()));
    return belief.deviation();
  };
  EXPECT_LT(deviation(0.01), 0.1);
  EXPECT_GT(deviation(0.3), 0.2);
}

RC_GTEST_PROP(SlowdownBelief, StaysPositiveAndFiniteWhateverItIsTold, ()) {
  SlowdownBelief belief = make_belief(8);
  const auto figure =
      rc::gen::element(0.0, -1.0, 1.0, 1e-320, 1e300, 5e4, kNan, kInfinity, -kInfinity);
  for (int inference = 0; inference < 20; ++inference) {
    belief.begin_inference(*figure);
    const int steps = *rc::gen::inRange(0, 12);
    for (int step = 0; step < steps; ++step) belief.observe_step(*figure, *figure);
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        belief.abandon_inference();
        break;
      case 1:
        belief.give_up_inference(*figure);
        break;
      case 2:
        belief.skip_inference();
        break;
      default:
        belief.end_inference();
        break;
    }
    const Estimate estimate = belief.estimate(*figure);
    RC_ASSERT(estimate.slowdown > 0 && std::isfinite(estimate.slowdown));
    RC_ASSERT(std::isfinite(estimate.deviation));
    for (const double margin : estimate.margins) RC_ASSERT(margin >= 0);
  }
}

TEST(SlowdownBelief, AFigureThatIsNoneChangesNothing) {
  SlowdownBelief belief = make_belief(4);
  infer(belief, 4, 1.5);
  belief.begin_inference(4 * kStepNs);
  const double before = belief.slowdown();
  for (const double wrong : {0.0, -1.0, kNan, kInfinity}) {
    belief.observe_step(wrong, kStepNs);
    belief.observe_step(kStepNs, wrong);
  }
  EXPECT_EQ(belief.slowdown(), before);
}

TEST(SlowdownBelief, RecordsTheLargestExcessOverAllRoutePoints) {
  SlowdownBelief belief = make_belief(3, {.warmup = 0});
  Random random(1);
  for (int inference = 0; inference < 200; ++inference) {
    double believed[3];
    double times[3];
    const double profiled[3] = {1000, 3000, 500};
    belief.begin_inference(2000);
    for (int step = 0; step < 3; ++step) {
      believed[step] = belief.slowdown();
      times[step] = profiled[step] * std::exp(0.3 * random.normal());
      belief.observe_step(profiled[step], times[step]);
    }
    size_t above[kMarginShapes];
    double residual[kMarginShapes];
    for (int shape = 0; shape < kMarginShapes; ++shape) {
      const auto s = static_cast<size_t>(shape);
      residual[s] = -1;
      double rest = 0;
      double observed = 0;
      for (int step = 2; step >= 0; --step) {
        rest += profiled[step];
        observed += times[step];
        residual[s] =
            std::max(residual[s], (observed - believed[step] * rest) /
                                      (believed[step] * (rest + kHiccupShares[s] * 2000)));
      }
      above[s] = count_above(belief, shape, residual[s] / 1.03 - 0.03);
    }
    belief.end_inference();
    for (int shape = 0; shape < kMarginShapes; ++shape) {
      const auto s = static_cast<size_t>(shape);
      if (residual[s] <= 0) continue;
      EXPECT_EQ(count_above(belief, shape, residual[s] / 1.03 - 0.03), above[s] + 1);
    }
  }
  EXPECT_EQ(belief.inferences(), 200);
}

TEST(SlowdownBelief, KeepsNoResidualOfTheFirstInferencesNorOfAnAbandonedOne) {
  SlowdownBelief belief = make_belief(4, {.warmup = 2});
  infer(belief, 4, 3);
  infer(belief, 4, 3);
  EXPECT_EQ(count(belief), 0U);
  infer(belief, 4, 3);
  EXPECT_EQ(count(belief), 1U);
  belief.begin_inference(4 * kStepNs);
  belief.observe_step(kStepNs, 3 * kStepNs);
  belief.abandon_inference();
  EXPECT_EQ(count(belief), 1U);
  belief.reset();
  EXPECT_EQ(count(belief), 0U);
  EXPECT_EQ(belief.inferences(), 0);
  EXPECT_EQ(belief.slowdown(), 1);
}

TEST(SlowdownBelief, AnInferenceGivenUpIsRememberedAsASlowOne) {
  SlowdownBelief belief = make_belief(4);
  for (int i = 0; i < 100; ++i) infer(belief, 4, 1);
  const size_t before = count_above(belief, 2, 0.1);
  belief.begin_inference(4 * kStepNs);
  belief.observe_step(kStepNs, 10 * kStepNs);
  belief.observe_step(kStepNs, 10 * kStepNs);
  belief.give_up_inference(2 * kStepNs);
  EXPECT_EQ(count_above(belief, 2, 0.1), before + 1);
}

TEST(SlowdownBelief, GrowsOptimisticFasterAndFasterWhileEverythingIsGivenUp) {
  SlowdownBelief belief = make_belief(4, {.initial_slowdown = 1000});
  int skipped = 0;
  for (; belief.slowdown() > 1; ++skipped) belief.skip_inference();
  EXPECT_LE(skipped, 6);
  infer(belief, 4, 5);
  EXPECT_NEAR(belief.slowdown(), 5, 1);
  belief.skip_inference();
  EXPECT_NEAR(belief.slowdown(), 4, 0.8);  // and begins anew after an inference
}

TEST(SlowdownBelief, ThePriorHoldsUntilResidualsAreThere) {
  SlowdownBelief belief = make_belief(4, {.prior_spread = 0.3});
  EXPECT_TRUE(belief.margins(0.01).extrapolated);
  EXPECT_GT(belief.margins(0.01).relative[0], 0.3);
  for (int i = 0; i < 400; ++i) infer(belief, 4, 1);
  EXPECT_FALSE(belief.margins(0.01).extrapolated);
  EXPECT_LT(belief.margins(0.01).relative[0], 0.02);
}

TEST(SlowdownBelief, KnowsACalmMachineFromABusyOne) {
  SlowdownBelief belief = make_belief(10);
  for (int i = 0; i < 100; ++i) infer(belief, 10, 3);
  EXPECT_EQ(belief.state(), MachineState::kCalm);  // as slow as ever
  for (int i = 0; i < 5; ++i) infer(belief, 10, 5);
  EXPECT_EQ(belief.state(), MachineState::kBusy);
  for (int i = 0; i < 5; ++i) infer(belief, 10, 3);
  EXPECT_EQ(belief.state(), MachineState::kCalm);
  for (int i = 0; i < 3000; ++i) infer(belief, 10, 5);
  EXPECT_EQ(belief.state(), MachineState::kCalm);  // it has become the usual
}

TEST(SlowdownBelief, SmoothsAHiccupByTheTimeThatItTook) {
  SlowdownBelief belief = make_belief(10);
  for (int i = 0; i < 50; ++i) infer(belief, 10, 1);
  EXPECT_NEAR(belief.smoothed_slowdown(), 1, 1e-9);
  belief.begin_inference(10 * kStepNs);
  belief.observe_step(kStepNs, 7 * kStepNs);
  // Half an inference of the last ones, and this step: 5 + 7 steps' time for 5 + 1.
  EXPECT_NEAR(belief.smoothed_slowdown(), 2, 1e-9);
  EXPECT_EQ(belief.slowdowns()[static_cast<size_t>(Forecast::kSmoothed)],
            belief.smoothed_slowdown());
  EXPECT_EQ(belief.slowdowns()[static_cast<size_t>(Forecast::kFiltered)], belief.slowdown());
  belief.abandon_inference();
  for (int i = 0; i < 3; ++i) infer(belief, 10, 3);
  EXPECT_NEAR(belief.smoothed_slowdown(), 3, 1e-9);
}

TEST(SlowdownBelief, ABusyMachineNeedsNoMarginForTheBeginningOfABurst) {
  SlowdownBelief belief = make_belief(10);
  for (int i = 0; i < 20000; ++i) infer(belief, 10, i % 20 < 10 ? 1 : 2);
  const Margins busy = belief.margins(0.01);  // the last ten were slow
  ASSERT_EQ(belief.state(), MachineState::kBusy);
  for (int i = 0; i < 5; ++i) infer(belief, 10, 1);
  const Margins calm = belief.margins(0.01);
  ASSERT_EQ(belief.state(), MachineState::kCalm);
  EXPECT_FALSE(calm.extrapolated);
  EXPECT_FALSE(busy.extrapolated);
  EXPECT_GT(calm.relative[0], 0.7);
  EXPECT_LT(busy.relative[0], 0.2);
}

TEST(SlowdownBelief, TheStateStaysAsItWasWhenTheInferenceBegan) {
  SlowdownBelief belief = make_belief(10);
  for (int i = 0; i < 50; ++i) infer(belief, 10, 1);
  belief.begin_inference(10 * kStepNs);
  for (int step = 0; step < 10; ++step) belief.observe_step(kStepNs, 4 * kStepNs);
  EXPECT_EQ(belief.state(), MachineState::kCalm);
  belief.end_inference();
  EXPECT_EQ(belief.state(), MachineState::kBusy);
}

struct Noise {
  double inference;
  double step;
  double hiccup_probability;
};

class BoundAtEveryRoutePoint : public ::testing::TestWithParam<Noise> {};

TEST_P(BoundAtEveryRoutePoint, IsExceededNoMoreOftenThanWanted) {
  constexpr int kSteps = 12;
  constexpr int kInferences = 40000;
  constexpr double kWanted = 0.02;
  const Noise noise = GetParam();
  SlowdownBelief belief = make_belief(kSteps);
  Random random(7);
  int exceeded = 0;
  for (int inference = 0; inference < kInferences; ++inference) {
    const double reference = kSteps * kStepNs;
    belief.begin_inference(reference);
    Estimate estimate = belief.estimate(kWanted);
    std::vector<double> bounds;
    std::vector<double> times;
    const double common = std::exp(noise.inference * random.normal());
    for (int step = 0; step < kSteps; ++step) {
      estimate.slowdown = belief.slowdown();
      bounds.push_back(estimate.bound_ns((kSteps - step) * kStepNs, reference));
      times.push_back(kStepNs * common * std::exp(noise.step * random.normal()));
      if (random.uniform() < noise.hiccup_probability) times.back() += 5 * kStepNs;
      belief.observe_step(kStepNs, times.back());
    }
    belief.end_inference();
    double rest = 0;
    bool within = true;
    for (size_t step = kSteps; step-- > 0;) {
      rest += times[step];
      within = within && rest <= bounds[step];
    }
    exceeded += within ? 0 : 1;
  }
  const double rate = exceeded / static_cast<double>(kInferences);
  EXPECT_LE(rate, kWanted + 4 * std::sqrt(kWanted / kInferences));
  EXPECT_GE(rate, kWanted / 10);  // the bound is no formality
}

INSTANTIATE_TEST_SUITE_P(Exchangeable, BoundAtEveryRoutePoint,
                         ::testing::Values(Noise{0.01, 0.02, 0}, Noise{0.3, 0.1, 0},
                                           Noise{0.05, 0.5, 0}, Noise{0.02, 0.05, 0.01}));

}  // namespace
}  // namespace strata::route
