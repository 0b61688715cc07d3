// The profile: sums, repair of broken times, metrics of levels and switch points.
#include "route/profile.h"

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

RC_GTEST_PROP(Profile, SumsTheRestOfEveryRoute, ()) {
  const ProfileTable table = arbitrary_table(*rc::gen::inRange(1, 5));
  const Profile profile = make_profile(table);
  const int steps = table.step_count;
  const int from = *rc::gen::inRange(0, table.level_count);
  const int then = *rc::gen::inRange(0, from + 1);
  const int step = *rc::gen::inRange(0, steps + 1);
  const int until = *rc::gen::inRange(step, steps + 1);
  double fixed = 0;
  double mixed = 0;
  for (int i = step; i < steps; ++i) {
    fixed += profile.step_ns(i, from);
    mixed += profile.step_ns(i, i < until ? from : then);
  }
  RC_ASSERT(std::abs(profile.remaining_ns(step, from) - fixed) <= 1e-9 * fixed);
  RC_ASSERT(std::abs(profile.remaining_ns(step, until, from, then) - mixed) <= 1e-9 * mixed);
  RC_ASSERT(profile.total_ns(from) == profile.remaining_ns(0, from));
  RC_ASSERT(profile.remaining_ns(steps, from) == 0);
}

TEST(Profile, KeepsWhatItWasMadeFrom) {
  ProfileTable table = even_table(3, {10, 20});
  table.threads = 2;
  table.accuracy = {{0.7, 0.8}, {{1, 1, 0, 0.75}}};
  const Profile profile = make_profile(table);
  const ProfileTable again = profile.table();
  EXPECT_EQ(again.threads, 2);
  EXPECT_EQ(again.step_count, 3);
  EXPECT_EQ(again.level_count, 2);
  EXPECT_EQ(again.accuracy.levels, table.accuracy.levels);
  EXPECT_EQ(make_profile(again).remaining_ns(1, 1), profile.remaining_ns(1, 1));
  EXPECT_EQ(profile.invalid_times(), 0);
  EXPECT_NEAR(profile.spread(0), 0.1, 1e-12);
}

TEST(Profile, RefusesATableOfAnotherShape) {
  EXPECT_FALSE(Profile::create({}).ok());
  ProfileTable table = even_table(3, {10, 20});
  table.times.pop_back();
  EXPECT_FALSE(Profile::create(table).ok());
  EXPECT_FALSE(
      Profile::create(even_table(1, std::vector<double>(size_t{kMaxLevels} + 1, 1.0))).ok());
  table = even_table(3, {10, 20});
  table.threads = 0;
  EXPECT_FALSE(Profile::create(table).ok());
  table = even_table(3, {10, 20});
  table.high_quantile = 1;
  EXPECT_FALSE(Profile::create(table).ok());
}

TEST(Profile, RefusesAnAccuracyTableThatCannotBe) {
  const std::vector<AccuracyTable> wrong = {
      {{0.7}, {}},                                        // one level of two
      {{0.7, kNan}, {}},                                  // no number
      {{}, {{1, 1, 0, 0.75}}},                            // a switch point without levels
      {{0.7, 0.8}, {{4, 1, 0, 0.75}}},                    // behind the last step
      {{0.7, 0.8}, {{-1, 1, 0, 0.75}}},                   // before the first
      {{0.7, 0.8}, {{1, 0, 1, 0.75}}},                    // upwards
      {{0.7, 0.8}, {{1, 2, 0, 0.75}}},                    // no such level
      {{0.7, 0.8}, {{1, 1, 0, kInfinity}}},               // no number
      {{0.7, 0.8}, {{1, 1, 0, 0.75}, {1, 1, 0, 0.76}}}};  // two opinions
  for (const AccuracyTable& accuracy : wrong) {
    ProfileTable table = even_table(3, {10, 20});
    table.accuracy = accuracy;
    EXPECT_EQ(Profile::create(table).status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(Profile, ReplacesWhatIsNoTimeByTheMeanOfItsLevel) {
  ProfileTable table = even_table(5, {10, 20});
  const double broken[] = {kNan, kInfinity, 0, -5};
  for (size_t i = 0; i < 4; ++i) table.times[2 * i].median_ns = broken[i];
  table.times[8].median_ns = 14;
  const Profile profile = make_profile(table);
  EXPECT_EQ(profile.invalid_times(), 4);
  for (int step = 0; step < 5; ++step) EXPECT_EQ(profile.step_ns(step, 0), 14) << step;
}

TEST(Profile, HasTimesEvenWhenTheTableHasNone) {
  const Profile profile = make_profile(even_table(4, {0, kNan}));
  EXPECT_EQ(profile.invalid_times(), 8);
  EXPECT_EQ(profile.total_ns(0), 4);
  EXPECT_EQ(profile.total_ns(1), 4);
}

TEST(Profile, TakesASparserStepNeverForTheSlowerOne) {
  ProfileTable table = even_table(2, {10, 20});
  table.times[0] = {30, 31};
  const Profile profile = make_profile(table);
  EXPECT_EQ(profile.step_ns(0, 0), 30);
  EXPECT_EQ(profile.step_ns(0, 1), 30);
  EXPECT_EQ(profile.step_high_ns(0, 1), 31);
  EXPECT_EQ(profile.total_ns(1), 50);
}

RC_GTEST_PROP(Profile, WhateverTheFiguresEveryLevelIsAtLeastAsSlowAsTheOneBelow, ()) {
  ProfileTable table = arbitrary_table(3);
  for (StepTime& time : table.times) {
    time.median_ns = *rc::gen::element(0.0, -1.0, kNan, kInfinity, 1e300, 1e-300, 5.0, 1e15, 7e6);
    time.high_ns = *rc::gen::element(0.0, kNan, kInfinity, 6.0, 1e15);
  }
  const Profile profile = make_profile(table);
  for (int step = 0; step < table.step_count; ++step) {
    for (int level = 0; level < 3; ++level) {
      RC_ASSERT(profile.step_ns(step, level) > 0);
      RC_ASSERT(std::isfinite(profile.remaining_ns(step, level)));
      RC_ASSERT(profile.step_high_ns(step, level) >= profile.step_ns(step, level));
      if (level > 0) {
        RC_ASSERT(profile.remaining_ns(step, level) >= profile.remaining_ns(step, level - 1));
      }
      RC_ASSERT(std::isfinite(profile.switch_metric(step, level, 0)));
    }
  }
}

TEST(Profile, WithoutAccuraciesASwitchIsWorthTheShareOfTime) {
  const Profile profile = even_profile(4, {10, 40});
  EXPECT_DOUBLE_EQ(profile.metric(1), 1);
  EXPECT_DOUBLE_EQ(profile.metric(0), 0.25);
  EXPECT_DOUBLE_EQ(profile.switch_metric(0, 1, 0), 0.25);
  EXPECT_DOUBLE_EQ(profile.switch_metric(2, 1, 0), 0.625);
  EXPECT_DOUBLE_EQ(profile.switch_metric(4, 1, 0), 1);
  EXPECT_TRUE(profile.later_is_better(1, 0));
}

TEST(Profile, InterpolatesBetweenTheSwitchPointsThatWereMeasured) {
  ProfileTable table = even_table(8, {10, 40});
  table.accuracy = {{0.5, 0.9}, {{4, 1, 0, 0.6}}};
  const Profile profile = make_profile(table);
  EXPECT_DOUBLE_EQ(profile.switch_metric(0, 1, 0), 0.5);
  EXPECT_DOUBLE_EQ(profile.switch_metric(2, 1, 0), 0.55);
  EXPECT_DOUBLE_EQ(profile.switch_metric(4, 1, 0), 0.6);
  EXPECT_DOUBLE_EQ(profile.switch_metric(6, 1, 0), 0.75);
  EXPECT_DOUBLE_EQ(profile.switch_metric(8, 1, 0), 0.9);
  EXPECT_DOUBLE_EQ(profile.switch_metric(3, 1, 1), 0.9);
}

RC_GTEST_PROP(Profile, FindsTheBestSwitchAsALinearSearchDoes, ()) {
  ProfileTable table = arbitrary_table(2);
  table.accuracy.levels = {0.5, 0.8};
  for (int step = 1; step < table.step_count; ++step) {
    table.accuracy.switch_points.push_back({step, 1, 0, *rc::gen::inRange(40, 90) * 0.01});
  }
  const Profile profile = make_profile(table);
  const int first = *rc::gen::inRange(0, table.step_count + 1);
  const int last = *rc::gen::inRange(first, table.step_count + 1);
  int best = first;
  for (int step = first; step <= last; ++step) {
    if (profile.switch_metric(step, 1, 0) >= profile.switch_metric(best, 1, 0)) best = step;
  }
  RC_ASSERT(profile.best_switch(first, last, 1, 0) == best);
}

RC_GTEST_PROP(Profile, RefreshedTimesCountAsIfTheyHadBeenThereFromTheStart, ()) {
  ProfileTable table = arbitrary_table(3);
  Profile one_by_one = make_profile(table);
  Profile at_once = make_profile(table);
  for (int step = 0; step < table.step_count; ++step) {
    for (int level = 0; level < 3; ++level) {
      const double time = *rc::gen::inRange(1, 1000) * 1e3;
      StepTime& cell = table.times[3 * static_cast<size_t>(step) + static_cast<size_t>(level)];
      cell = {time, 2 * time};
      one_by_one.set_time(step, level, cell);
    }
  }
  at_once.set_times(table.times);
  const Profile fresh = make_profile(table);
  for (int step = 0; step < table.step_count; ++step) {
    for (int level = 0; level < 3; ++level) {
      RC_ASSERT(one_by_one.remaining_ns(step, level) == fresh.remaining_ns(step, level));
      RC_ASSERT(at_once.remaining_ns(step, level) == fresh.remaining_ns(step, level));
      RC_ASSERT(at_once.step_high_ns(step, level) == fresh.step_high_ns(step, level));
    }
  }
}

TEST(Profile, IgnoresARefreshThatIsNoTime) {
  Profile profile = even_profile(2, {10, 20});
  profile.set_time(0, 1, {kNan, 30});
  profile.set_time(0, 1, {0, 30});
  const std::vector<StepTime> none(4, StepTime{-1, -1});
  profile.set_times(none);
  EXPECT_EQ(profile.total_ns(1), 40);
}

TEST(Profile, SlowedByAFactorPerStep) {
  const Profile source = even_profile(2, {10, 20});
  Profile slowed = source;
  const float slowdowns[] = {2, 3};
  slowed.assign_slowed(source, slowdowns);
  EXPECT_EQ(slowed.total_ns(0), 50);
  EXPECT_EQ(slowed.total_ns(1), 100);
  EXPECT_EQ(slowed.step_ns(1, 1), 60);
  EXPECT_EQ(slowed.metric(0), source.metric(0));
}

}  // namespace
}  // namespace strata::route
