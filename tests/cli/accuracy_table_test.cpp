// What a change of level within a batch that runs in parts is worth.
#include "tools/strata/accuracy_table.h"

#include <gtest/gtest.h>

#include "route/policy.h"
#include "route/profile.h"

namespace strata::cli {
namespace {

constexpr int kSteps = 4;

/// Between levels of 60 and 90 %; a change within step 2 costs more than either.
route::AccuracyTable single_input() {
  route::AccuracyTable table;
  table.levels = {60, 90};
  table.switch_points = {{1, 1, 0, 70}, {2, 1, 0, 30}, {3, 1, 0, 85}};
  return table;
}

route::Profile profile_of(const route::AccuracyTable& accuracy, int steps) {
  route::ProfileTable table;
  table.step_count = steps;
  table.level_count = 2;
  for (int step = 0; step < steps; ++step) {
    table.times.push_back({1e6, 1e6});
    table.times.push_back({2e6, 2e6});
  }
  table.accuracy = accuracy;
  auto profile = route::Profile::create(table);
  EXPECT_TRUE(profile.ok()) << profile.status().message();
  return std::move(profile).value();
}

TEST(AccuracyOfParts, IsTheMeanOverTheParts) {
  constexpr int kParts = 3;
  const route::AccuracyTable single = single_input();
  const route::Profile one = profile_of(single, kSteps);
  const route::Profile batch =
      profile_of(accuracy_of_parts(single, kParts, kSteps), kParts * kSteps);
  for (int part = 0; part < kParts; ++part) {
    for (int step = 0; step < kSteps; ++step) {
      const double expected =
          (part * 90.0 + one.switch_metric(step, 1, 0) + (kParts - 1 - part) * 60.0) / kParts;
      EXPECT_NEAR(batch.switch_metric(part * kSteps + step, 1, 0), expected, 1e-9)
          << "part " << part << ", step " << step;
    }
  }
  EXPECT_EQ(batch.metric(0), 60);
  EXPECT_EQ(batch.metric(1), 90);
}

TEST(AccuracyOfParts, OfOnePartIsTheSame) {
  const route::AccuracyTable single = single_input();
  const route::AccuracyTable same = accuracy_of_parts(single, 1, kSteps);
  EXPECT_EQ(same.levels, single.levels);
  ASSERT_EQ(same.switch_points.size(), single.switch_points.size());
  for (size_t i = 0; i < same.switch_points.size(); ++i) {
    EXPECT_EQ(same.switch_points[i].step, single.switch_points[i].step);
    EXPECT_EQ(same.switch_points[i].metric, single.switch_points[i].metric);
  }
}

TEST(AccuracyOfParts, KnowsNoMoreThanItIsTold) {
  route::AccuracyTable levels;
  levels.levels = {60, 90};
  EXPECT_TRUE(accuracy_of_parts(levels, 4, kSteps).switch_points.empty());
}

}  // namespace
}  // namespace strata::cli
