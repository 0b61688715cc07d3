// Wilson's interval and nines.
#include "route/proportion.h"

#include <cmath>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "route/random.h"

namespace strata::route {
namespace {

TEST(Wilson, MatchesAPublishedExample) {
  // 15 of 148: Newcombe 1998, table I, method 3.
  const Proportion rate = wilson_interval(15, 148);
  EXPECT_NEAR(rate.low, 0.0624, 5e-5);
  EXPECT_NEAR(rate.high, 0.1605, 5e-5);
}

TEST(Wilson, SaysSomethingWithoutAHitAndWithoutATrial) {
  const Proportion none = wilson_interval(0, 1000);
  EXPECT_EQ(none.value, 0);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 3.84 / 1003.84, 1e-5);
  EXPECT_EQ(wilson_interval(1000, 1000).high, 1);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

TEST(Wilson, CoversTheTruthNineteenTimesOfTwenty) {
  Random random(1);
  constexpr int kRuns = 4000;
  constexpr int kTrials = 2000;
  constexpr double kRate = 0.01;
  int covered = 0;
  for (int run = 0; run < kRuns; ++run) {
    int hits = 0;
    for (int trial = 0; trial < kTrials; ++trial) hits += random.uniform() <= kRate ? 1 : 0;
    const Proportion rate = wilson_interval(hits, kTrials);
    covered += rate.low <= kRate && kRate <= rate.high ? 1 : 0;
  }
  EXPECT_NEAR(covered / static_cast<double>(kRuns), 0.95, 0.02);
}

RC_GTEST_PROP(Wilson, EnclosesTheRate, ()) {
  const int64_t trials = *rc::gen::inRange<int64_t>(1, 1'000'000'000);
  const int64_t hits = *rc::gen::inRange<int64_t>(0, trials + 1);
  const Proportion rate = wilson_interval(hits, trials);
  RC_ASSERT(0 <= rate.low && rate.low <= rate.value);
  RC_ASSERT(rate.value <= rate.high && rate.high <= 1);
}

TEST(Nines, CountsThem) {
  EXPECT_DOUBLE_EQ(nines(0.001), 3);
  EXPECT_DOUBLE_EQ(nines(1), 0);
  EXPECT_TRUE(std::isinf(nines(0)));
}

}  // namespace
}  // namespace strata::route
