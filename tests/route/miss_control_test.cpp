// The control that makes a router miss as often as wanted.
#include "route/miss_control.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace strata::route {
namespace {

TEST(MissControl, BeginsWithWhatIsWanted) {
  EXPECT_NEAR(MissControl().asked(0.01), 0.01, 1e-9);
  EXPECT_NEAR(MissControl().asked(0.95), 0.95, 1e-9);
}

TEST(MissControl, GrowsBolderWithoutMissesAndCautiousWithThem) {
  MissControl control;
  for (int i = 0; i < 1000; ++i) control.observe(0.01, false);
  EXPECT_GT(control.asked(0.01), 0.015);
  for (int i = 0; i < 100; ++i) control.observe(0.01, true);
  EXPECT_LT(control.asked(0.01), 0.01 * MissControl::kLeast * 1.2);
}

TEST(MissControl, StaysWithinItsBoundsAndComesBackFromThem) {
  MissControl control;
  for (int i = 0; i < 100'000; ++i) control.observe(0.1, false);
  EXPECT_LE(control.asked(0.1), 0.1 * MissControl::kMost);
  EXPECT_LE(control.asked(0.7), 0.9);
  for (int i = 0; i < 100'000; ++i) control.observe(0.1, true);
  EXPECT_GE(control.asked(0.1), 0.1 * MissControl::kLeast / 1.2);
  for (int i = 0; i < 250; ++i) control.observe(0.1, false);
  EXPECT_GE(control.asked(0.1), 0.08) << "a hundred thousand misses are forgotten";
}

TEST(MissControl, MeetsTheWantedShareWhereMissesFollowWhatIsAsked) {
  for (const double share : {0.6, 1.0, 3.0}) {  // of what is asked for, that really misses
    MissControl control;
    int64_t misses = 0;
    constexpr int64_t kInferences = 200'000;
    double debt = 0;
    for (int64_t i = 0; i < kInferences; ++i) {
      debt += control.asked(0.02) * share;
      const bool missed = debt >= 1;
      if (missed) debt -= 1;
      misses += missed ? 1 : 0;
      control.observe(0.02, missed);
    }
    EXPECT_NEAR(static_cast<double>(misses) / kInferences, 0.02, 0.001) << share;
  }
}

}  // namespace
}  // namespace strata::route
