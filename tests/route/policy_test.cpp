// The policies against their definitions, deadlines of every kind, and what holds for all of them.
#include "route/policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "sample_profile.h"

namespace strata::route {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr PolicyKind kAll[] = {PolicyKind::kFixed,     PolicyKind::kPerRequest,
                               PolicyKind::kReroute,   PolicyKind::kLatestSafeSwitch,
                               PolicyKind::kBestRoute, PolicyKind::kOracle};

Policy make_policy(const PolicyOptions& options) { return Policy::create(options).value(); }

Estimate arbitrary_estimate() {
  Estimate estimate;
  estimate.slowdown = std::exp(*rc::gen::inRange(-100, 200) * 0.01);
  estimate.deviation = *rc::gen::inRange(0, 50) * 0.01;
  for (double& margin : estimate.margins) margin = *rc::gen::inRange(0, 200) * 0.01;
  return estimate;
}

/// A place in an inference whose deadline is anything from hopeless to generous.
RoutePoint arbitrary_point(const Profile& profile) {
  RoutePoint point;
  point.step = *rc::gen::inRange(0, profile.step_count());
  point.level = *rc::gen::inRange(0, profile.level_count());
  point.elapsed_ns = *rc::gen::inRange(0, 100) * 0.01 * profile.total_ns(0);
  point.deadline_ns =
      point.elapsed_ns + *rc::gen::inRange(0, 400) * 0.01 *
                             profile.remaining_ns(point.step, profile.level_count() - 1);
  return point;
}

TEST(Policy, RefusesOptionsThatCannotBe) {
  for (const double wrong : {0.0, 1.0, -0.1, kNan}) {
    EXPECT_FALSE(Policy::create({.miss_probability = wrong}).ok());
  }
  for (const double wrong : {-1.0, kInfinity, kNan}) {
    EXPECT_FALSE(Policy::create({.reserve_ns = wrong}).ok());
  }
  EXPECT_FALSE(Policy::create({.level = -2}).ok());
}

TEST(Policy, HasANameForEachKind) {
  for (const PolicyKind kind : kAll) EXPECT_EQ(policy_kind(to_string(kind)).value(), kind);
  const Status unknown = policy_kind("fastest").status();
  EXPECT_EQ(unknown.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(unknown.message().find("latest-safe-switch"), std::string::npos);
}

RC_GTEST_PROP(Policy, NeverRaisesTheLevelWhateverItIsTold, ()) {
  const Profile profile = make_profile(arbitrary_table(*rc::gen::inRange(1, 5)));
  const auto figure =
      rc::gen::element(0.0, -1.0, 1.0, 1e3, 1e6, 1e300, kNan, kInfinity, -kInfinity);
  const Estimate estimate = {*figure, *figure, {*figure, *figure, *figure}};
  RoutePoint point;
  point.step = *rc::gen::inRange(0, profile.step_count());
  point.level = *rc::gen::inRange(-1, profile.level_count());
  point.elapsed_ns = *figure;
  point.deadline_ns = *figure;
  const PolicyOptions options = {
      .kind = *rc::gen::elementOf(std::vector<PolicyKind>(std::begin(kAll), std::end(kAll))),
      .level = *rc::gen::inRange(-1, 6),
      .on_infeasible = *rc::gen::element(OnInfeasible::kAnswerLate, OnInfeasible::kGiveUp)};
  const Decision decision = make_policy(options).decide(profile, estimate, point);
  const int top = profile.level_count() - 1;
  RC_ASSERT(decision.level >= 0);
  RC_ASSERT(decision.level <= (point.level < 0 ? top : point.level));
  RC_ASSERT(decision.level <= (options.level < 0 ? top : options.level));
}

RC_GTEST_PROP(Policy, ALaterDeadlineNeverGivesASparserLevel, ()) {
  const auto kind = *rc::gen::element(PolicyKind::kFixed, PolicyKind::kPerRequest,
                                      PolicyKind::kReroute, PolicyKind::kLatestSafeSwitch);
  const Profile profile = make_profile(arbitrary_table(*rc::gen::inRange(1, 5)));
  const Policy policy = make_policy({.kind = kind});
  const Estimate estimate = arbitrary_estimate();
  RoutePoint point = arbitrary_point(profile);
  const int sooner = policy.decide(profile, estimate, point).level;
  point.deadline_ns += *rc::gen::inRange(0, 300) * 0.01 * profile.total_ns(0);
  RC_ASSERT(policy.decide(profile, estimate, point).level >= sooner);
}

RC_GTEST_PROP(BestRoute, ALaterDeadlineNeverGivesASparserLevelIfLaterSwitchesAreBetter, ()) {
  const Profile profile = make_profile(arbitrary_table(2));
  const Policy policy = make_policy({.kind = PolicyKind::kBestRoute});
  const Estimate estimate = arbitrary_estimate();
  RoutePoint point = arbitrary_point(profile);
  const int sooner = policy.decide(profile, estimate, point).level;
  point.deadline_ns += *rc::gen::inRange(0, 300) * 0.01 * profile.total_ns(0);
  RC_ASSERT(policy.decide(profile, estimate, point).level >= sooner);
}

RC_GTEST_PROP(Policy, MoreNinesNeverGiveADenserLevel, ()) {
  const auto kind = *rc::gen::element(PolicyKind::kReroute, PolicyKind::kLatestSafeSwitch);
  const Profile profile = make_profile(arbitrary_table(3));
  const RoutePoint point = arbitrary_point(profile);
  const Policy policy = make_policy({.kind = kind});
  Estimate estimate = arbitrary_estimate();
  const int before = policy.decide(profile, estimate, point).level;
  for (double& margin : estimate.margins) margin += 0.2;
  RC_ASSERT(policy.decide(profile, estimate, point).level <= before);
}

RC_GTEST_PROP(Policy, TimeInReserveIsAnEarlierDeadline, ()) {
  const auto kind = *rc::gen::elementOf(std::vector<PolicyKind>(std::begin(kAll), std::end(kAll)));
  const Profile profile = make_profile(arbitrary_table(3));
  const Estimate estimate = arbitrary_estimate();
  RoutePoint point = arbitrary_point(profile);
  const double reserve = 4096;  // exact in binary, as are the sums below
  point.elapsed_ns = std::floor(point.elapsed_ns);
  point.deadline_ns = std::floor(point.deadline_ns);
  const int with_reserve =
      make_policy({.kind = kind, .reserve_ns = reserve}).decide(profile, estimate, point).level;
  point.deadline_ns -= reserve;
  RC_ASSERT(make_policy({.kind = kind}).decide(profile, estimate, point).level == with_reserve);
}

class EveryPolicy : public ::testing::TestWithParam<PolicyKind> {};
INSTANTIATE_TEST_SUITE_P(Policy, EveryPolicy, ::testing::ValuesIn(kAll));

/// All but the fixed policy, which does what it was asked for.
class EveryRouter : public ::testing::TestWithParam<PolicyKind> {};
INSTANTIATE_TEST_SUITE_P(Policy, EveryRouter,
                         ::testing::ValuesIn(std::begin(kAll) + 1, std::end(kAll)));

TEST_P(EveryPolicy, WithoutADeadlineRunsTheHighestLevel) {
  const Profile profile = even_profile(4, {10, 20, 40});
  const Estimate unknown = {kNan, kNan, {kInfinity, kInfinity, kInfinity}};
  const Policy policy = make_policy({.kind = GetParam(), .on_infeasible = OnInfeasible::kGiveUp});
  for (const Estimate& estimate : {Estimate{}, unknown}) {
    for (int step = 0; step < 4; ++step) {
      const Decision decision = policy.decide(
          profile, estimate, {.step = step, .level = 2, .elapsed_ns = 7, .deadline_ns = kInfinity});
      EXPECT_FALSE(decision.give_up);
      if (GetParam() == PolicyKind::kPerRequest && std::isnan(estimate.slowdown)) continue;
      EXPECT_EQ(decision.level, 2);
    }
  }
}

TEST_P(EveryRouter, ADeadlineThatCannotBeMetMeansTheSparsestLevelOrGivingUp) {
  const Profile profile = even_profile(4, {10, 20, 40});
  for (const double deadline : {0.0, -5.0, 99.0, -kInfinity, kNan}) {
    const RoutePoint point = {.step = 0, .level = -1, .elapsed_ns = 100, .deadline_ns = deadline};
    const Decision late = make_policy({.kind = GetParam()}).decide(profile, {}, point);
    EXPECT_EQ(late.level, 0) << deadline;
    EXPECT_FALSE(late.give_up) << deadline;
    const Policy strict = make_policy({.kind = GetParam(), .on_infeasible = OnInfeasible::kGiveUp});
    EXPECT_TRUE(strict.decide(profile, {}, point).give_up) << deadline;
  }
  const RoutePoint lost = {.step = 0, .level = -1, .elapsed_ns = kNan, .deadline_ns = 1e9};
  EXPECT_EQ(make_policy({.kind = GetParam()}).decide(profile, {}, lost).level, 0);
}

TEST_P(EveryRouter, GivesUpWhenEvenTheSparsestLevelIsExpectedToMiss) {
  const Profile profile = even_profile(4, {10, 20, 40});
  const Policy policy = make_policy({.kind = GetParam(), .on_infeasible = OnInfeasible::kGiveUp});
  const Estimate twice_as_slow = {.slowdown = 2};
  EXPECT_TRUE(policy.decide(profile, twice_as_slow, {.deadline_ns = 79}).give_up);
  EXPECT_FALSE(policy.decide(profile, twice_as_slow, {.deadline_ns = 81}).give_up);
}

TEST(Fixed, RunsItsLevelWhateverTheClockSays) {
  const Profile profile = even_profile(4, {10, 20, 40});
  const Policy policy = make_policy({.kind = PolicyKind::kFixed, .level = 1});
  for (const double deadline : {0.0, 1.0, 1e9, kNan}) {
    EXPECT_EQ(policy.decide(profile, {}, {.deadline_ns = deadline}).level, 1);
  }
  const Policy strict =
      make_policy({.kind = PolicyKind::kFixed, .level = 1, .on_infeasible = OnInfeasible::kGiveUp});
  EXPECT_TRUE(strict.decide(profile, {}, {.deadline_ns = 79}).give_up);
  EXPECT_FALSE(strict.decide(profile, {}, {.deadline_ns = 80}).give_up);
}

RC_GTEST_PROP(PerRequest, PicksTheHighestLevelWhoseGaussianQuantileFitsAndStaysThere, ()) {
  const Profile profile = make_profile(arbitrary_table(4));
  const Policy policy =
      make_policy({.kind = PolicyKind::kPerRequest, .miss_probability = 0.0013498980316300933});
  const Estimate estimate = arbitrary_estimate();
  RoutePoint point = arbitrary_point(profile);
  if (point.step > 0) {
    RC_ASSERT(policy.decide(profile, estimate, point).level == point.level);
    return;
  }
  // The probability above is that of three deviations.
  const double factor = estimate.slowdown * std::exp(3 * estimate.deviation);
  int expected = 0;
  for (int level = 0; level <= point.level; ++level) {
    const double finish = point.elapsed_ns + factor * profile.total_ns(level);
    if (std::abs(finish - point.deadline_ns) < 1e-9 * finish) return;
    if (finish <= point.deadline_ns) expected = level;
  }
  RC_ASSERT(policy.decide(profile, estimate, point).level == expected);
}

RC_GTEST_PROP(Reroute, StaysAtTheHighestLevelThatIsExpectedToMakeIt, ()) {
  const Profile profile = make_profile(arbitrary_table(4));
  const Estimate estimate = arbitrary_estimate();
  const RoutePoint point = arbitrary_point(profile);
  int expected = 0;
  for (int level = 0; level <= point.level; ++level) {
    const double finish =
        point.elapsed_ns + estimate.expected_ns(profile.remaining_ns(point.step, level));
    if (std::abs(finish - point.deadline_ns) < 1e-9 * finish) return;
    if (finish <= point.deadline_ns) expected = level;
  }
  const Decision decision =
      make_policy({.kind = PolicyKind::kReroute}).decide(profile, estimate, point);
  RC_ASSERT(decision.level == expected);
  const double finish =
      point.elapsed_ns + estimate.slowdown * profile.remaining_ns(point.step, expected);
  RC_ASSERT(std::abs(decision.expected_finish_ns - finish) <= 1e-9 * finish);
}

RC_GTEST_PROP(LatestSafeSwitch, RunsOneMoreStepIfTheSparsestLevelStillMakesItAfterwards, ()) {
  const Profile profile = make_profile(arbitrary_table(4));
  const Estimate estimate = arbitrary_estimate();
  const RoutePoint point = arbitrary_point(profile);
  int expected = 0;
  for (int level = 1; level <= point.level; ++level) {
    const double finish =
        point.elapsed_ns +
        estimate.bound_ns(profile.remaining_ns(point.step, point.step + 1, level, 0),
                          profile.total_ns(0));
    if (std::abs(finish - point.deadline_ns) < 1e-9 * finish) return;
    if (finish <= point.deadline_ns) expected = level;
  }
  RC_ASSERT(
      make_policy({.kind = PolicyKind::kLatestSafeSwitch}).decide(profile, estimate, point).level ==
      expected);
}

/// Metric and bound of each route with at most one switch from the top of two levels, by trial.
RC_GTEST_PROP(BestRoute, IsTheBestOfAllRoutesThatFit, ()) {
  ProfileTable table = arbitrary_table(2);
  table.accuracy.levels = {*rc::gen::inRange(40, 80) * 0.01, *rc::gen::inRange(70, 95) * 0.01};
  for (int step = 1; step < table.step_count; ++step) {
    table.accuracy.switch_points.push_back({step, 1, 0, *rc::gen::inRange(30, 95) * 0.01});
  }
  const Profile profile = make_profile(table);
  const Estimate estimate = arbitrary_estimate();
  RoutePoint point = arbitrary_point(profile);
  point.level = 1;
  double best = -kInfinity;
  double best_if_sparse_now = -kInfinity;
  for (int until = point.step; until <= table.step_count; ++until) {
    const double finish =
        point.elapsed_ns +
        estimate.bound_ns(profile.remaining_ns(point.step, until, 1, 0), profile.total_ns(0));
    if (std::abs(finish - point.deadline_ns) < 1e-9 * finish) return;
    if (finish > point.deadline_ns) continue;
    const double metric = profile.switch_metric(until, 1, 0);
    best = std::max(best, metric);
    if (until == point.step) best_if_sparse_now = metric;
  }
  const int level =
      make_policy({.kind = PolicyKind::kBestRoute}).decide(profile, estimate, point).level;
  if (best == -kInfinity) {
    RC_ASSERT(level == 0);
  } else if (level == 0) {
    RC_ASSERT(best_if_sparse_now >= best - 1e-12);
  } else {
    RC_ASSERT(best_if_sparse_now <= best + 1e-12);
  }
}

/// Runs a whole inference whose steps take exactly what is expected.
std::vector<uint8_t> run_as_expected(const Profile& profile, const Policy& policy,
                                     const Estimate& estimate, double deadline_ns,
                                     double* finish_ns) {
  std::vector<uint8_t> levels;
  RoutePoint point;
  point.deadline_ns = deadline_ns;
  for (int step = 0; step < profile.step_count(); ++step) {
    point.step = step;
    point.level = policy.decide(profile, estimate, point).level;
    levels.push_back(static_cast<uint8_t>(point.level));
    point.elapsed_ns += estimate.slowdown * profile.step_ns(step, point.level);
  }
  *finish_ns = point.elapsed_ns;
  return levels;
}

RC_GTEST_PROP(BestRoute, ALaterDeadlineNeverCostsAccuracy, ()) {
  ProfileTable table = arbitrary_table(2);
  table.accuracy.levels = {0.6, 0.8};
  for (int step = 1; step < table.step_count; ++step) {
    table.accuracy.switch_points.push_back({step, 1, 0, *rc::gen::inRange(50, 90) * 0.01});
  }
  const Profile profile = make_profile(table);
  const Policy policy = make_policy({.kind = PolicyKind::kBestRoute});
  const Estimate estimate = arbitrary_estimate();
  double before = -1;
  for (int i = 0; i < 40; ++i) {
    double finish = 0;
    const double deadline = i * 0.2 * profile.total_ns(1);
    const auto levels = run_as_expected(profile, policy, estimate, deadline, &finish);
    const double metric = route_metric(profile, levels.data());
    RC_ASSERT(metric >= before - 1e-12);
    before = metric;
  }
}

TEST(BestRoute, MayStartSparseWhenASwitchOnTheWayIsWorse) {
  ProfileTable table = even_table(4, {10, 40});
  table.accuracy = {{0.7, 0.8}, {{1, 1, 0, 0.5}, {2, 1, 0, 0.6}, {3, 1, 0, 0.65}}};
  const Profile profile = make_profile(table);
  const Policy best = make_policy({.kind = PolicyKind::kBestRoute});
  EXPECT_EQ(best.decide(profile, {}, {.deadline_ns = 159}).level, 0);
  EXPECT_EQ(best.decide(profile, {}, {.deadline_ns = 161}).level, 1);
  const Policy latest = make_policy({.kind = PolicyKind::kLatestSafeSwitch});
  EXPECT_EQ(latest.decide(profile, {}, {.deadline_ns = 159}).level, 1);
}

TEST(BestRoute, SwitchesAtTheBestPointNotAtTheLatest) {
  ProfileTable table = even_table(4, {10, 40});
  table.accuracy = {{0.5, 0.8}, {{1, 1, 0, 0.75}, {2, 1, 0, 0.6}, {3, 1, 0, 0.65}}};
  const Profile profile = make_profile(table);
  double finish = 0;
  const auto levels =
      run_as_expected(profile, make_policy({.kind = PolicyKind::kBestRoute}), {}, 140, &finish);
  EXPECT_EQ(levels, (std::vector<uint8_t>{1, 0, 0, 0}));
}

TEST(BestRoute, UsesTheLevelsInBetween) {
  const Profile profile = even_profile(4, {10, 20, 40});
  double finish = 0;
  const auto levels =
      run_as_expected(profile, make_policy({.kind = PolicyKind::kBestRoute}), {}, 81, &finish);
  EXPECT_LE(finish, 81);
  EXPECT_GE(route_metric(profile, levels.data()), profile.metric(1));
}

RC_GTEST_PROP(Policy, WhatFitsWithItsMarginEndsInTimeIfTheBoundHolds, ()) {
  const auto kind = *rc::gen::element(PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute);
  const Profile profile = make_profile(arbitrary_table(*rc::gen::inRange(2, 5)));
  const Estimate estimate = arbitrary_estimate();
  const double deadline = estimate.bound_ns(profile.total_ns(0), profile.total_ns(0)) *
                          (1 + *rc::gen::inRange(0, 200) * 0.01);
  double finish = 0;
  run_as_expected(profile, make_policy({.kind = kind}), estimate, deadline, &finish);
  RC_ASSERT(finish <= deadline * (1 + 1e-12));
}

RC_GTEST_PROP(Oracle, EndsInTimeWheneverTheSparsestLevelCan, ()) {
  const Profile profile = make_profile(arbitrary_table(*rc::gen::inRange(1, 4)));
  std::vector<float> slowdowns;
  slowdowns.reserve(static_cast<size_t>(profile.step_count()));
  for (int step = 0; step < profile.step_count(); ++step) {
    slowdowns.push_back(static_cast<float>(*rc::gen::inRange(10, 500)) * 0.01F);
  }
  Profile actual = profile;
  actual.assign_slowed(profile, slowdowns.data());
  const double deadline = actual.total_ns(0) * (1.000001 + *rc::gen::inRange(0, 300) * 0.01);
  const Policy oracle = make_policy({.kind = PolicyKind::kOracle});
  RoutePoint point;
  point.deadline_ns = deadline;
  point.actual = &actual;
  const Estimate wrong = {.slowdown = 50, .margins = {9, 9, 9}};
  for (int step = 0; step < profile.step_count(); ++step) {
    point.step = step;
    point.level = oracle.decide(profile, wrong, point).level;
    point.elapsed_ns += actual.step_ns(step, point.level);
  }
  RC_ASSERT(point.elapsed_ns <= deadline);
}

TEST(Policy, AnEstimateThatIsNoneMeansTheSparsestLevel) {
  const Profile profile = even_profile(4, {10, 20});
  const std::vector<Estimate> none = {{.slowdown = kNan},
                                      {.slowdown = 0},
                                      {.slowdown = kInfinity},
                                      {.margins = {kNan, kNan, kNan}},
                                      {.margins = {kInfinity, kInfinity, kInfinity}}};
  for (const PolicyKind kind : {PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute}) {
    for (const Estimate& estimate : none) {
      EXPECT_EQ(make_policy({.kind = kind}).decide(profile, estimate, {.deadline_ns = 1e6}).level,
                0);
    }
  }
  EXPECT_EQ(make_policy({.kind = PolicyKind::kReroute})
                .decide(profile, {.slowdown = kNan}, {.deadline_ns = 1e6})
                .level,
            0);
}

TEST(RouteMetric, AddsWhatEachSwitchCosts) {
  ProfileTable table = even_table(4, {10, 20, 40});
  table.accuracy = {{0.5, 0.7, 0.8}, {{1, 2, 1, 0.75}, {3, 1, 0, 0.6}}};
  const Profile profile = make_profile(table);
  const std::vector<std::pair<std::vector<uint8_t>, double>> expected = {
      {{2, 2, 2, 2}, 0.8},
      {{0, 0, 0, 0}, 0.5},
      {{2, 1, 1, 1}, 0.75},
      {{1, 1, 1, 0}, 0.6},
      {{2, 1, 1, 0}, 0.8 + (0.75 - 0.8) + (0.6 - 0.7)}};
  for (const auto& [levels, metric] : expected) {
    EXPECT_NEAR(route_metric(profile, levels.data()), metric, 1e-12);
  }
}

}  // namespace
}  // namespace strata::route
