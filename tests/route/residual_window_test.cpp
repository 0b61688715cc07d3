// The margin against the definition of the order statistic, its guarantee, and what it does when
// the window is too short.
#include "route/residual_window.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "route/random.h"

namespace strata::route {
namespace {

ResidualWindow make_window(size_t capacity, double prior_spread = 0.1) {
  return ResidualWindow::create(capacity, prior_spread).value();
}

TEST(ResidualWindow, RefusesWhatCannotBe) {
  EXPECT_FALSE(ResidualWindow::create(0).ok());
  EXPECT_FALSE(ResidualWindow::create(size_t{1} << 25).ok());
  EXPECT_FALSE(ResidualWindow::create(10, -0.1).ok());
  EXPECT_FALSE(ResidualWindow::create(10, std::nan("")).ok());
}

RC_GTEST_PROP(ResidualWindow, TheMarginIsTheOrderStatisticOfTheLastResiduals, ()) {
  const auto capacity = *rc::gen::inRange<size_t>(1, 200);
  const auto recorded = *rc::gen::inRange<size_t>(1, 500);
  const double wanted = *rc::gen::inRange(1, 1000) * 1e-3;
  ResidualWindow window = make_window(capacity);
  Random random(*rc::gen::arbitrary<uint64_t>());
  std::vector<double> residuals;
  for (size_t i = 0; i < recorded; ++i) {
    residuals.push_back(std::exp(random.normal()) - 1.2);
    window.record(residuals.back());
  }
  if (residuals.size() > capacity)
    residuals.erase(residuals.begin(), residuals.end() - static_cast<std::ptrdiff_t>(capacity));
  std::sort(residuals.begin(), residuals.end());
  const auto n = static_cast<double>(residuals.size());
  const auto rank = static_cast<size_t>(n + 1 - std::floor(wanted * (n + 1)));
  const Margin margin = window.margin(wanted);
  RC_ASSERT(window.count() == residuals.size());
  RC_ASSERT(margin.extrapolated == (rank > residuals.size()));
  if (margin.extrapolated) {
    RC_ASSERT(margin.relative >= residuals.back());
  } else {
    const double exact = rank == 0 ? 0 : std::max(residuals[rank - 1], 0.0);
    RC_ASSERT(margin.relative >= exact - 1e-9);
    RC_ASSERT(1 + margin.relative <= (1 + exact) * 1.01 + 1e-9);
  }
}

TEST(ResidualWindow, TheNextResidualExceedsTheMarginNoMoreOftenThanWanted) {
  // Exchangeable but not independent: every series has a scale of its own.
  constexpr int kSeries = 20000;
  constexpr double kWanted = 0.05;
  int exceeded = 0;
  for (int series = 0; series < kSeries; ++series) {
    Random random(static_cast<uint64_t>(series));
    const double scale = std::exp(random.normal());
    ResidualWindow window = make_window(59);
    for (int i = 0; i < 59; ++i) window.record(scale * std::exp(random.normal()));
    const Margin margin = window.margin(kWanted);
    EXPECT_FALSE(margin.extrapolated);
    exceeded += scale * std::exp(random.normal()) > margin.relative ? 1 : 0;
  }
  const double rate = exceeded / static_cast<double>(kSeries);
  const double deviation = std::sqrt(kWanted * (1 - kWanted) / kSeries);
  EXPECT_LE(rate, kWanted + 4 * deviation);
  EXPECT_GE(rate, 0.8 * kWanted);  // and the margin is no larger than it must be
}

RC_GTEST_PROP(ResidualWindow, MoreNinesNeverNeedASmallerMargin, ()) {
  ResidualWindow window = make_window(300, *rc::gen::inRange(0, 100) * 0.01);
  Random random(*rc::gen::arbitrary<uint64_t>());
  const int count = *rc::gen::inRange(0, 400);
  for (int i = 0; i < count; ++i) window.record(random.normal());
  double before = -1;
  double wanted = 1;
  for (int i = 0; i < 134; ++i, wanted *= 0.8) {
    const double margin = window.margin(wanted).relative;
    RC_ASSERT(margin >= before);
    before = margin;
  }
}

TEST(ResidualWindow, BeyondTheWindowItExtrapolatesAPowerLawConservatively) {
  // A Pareto tail with exponent 10: the true quantile at 1e-6 is 10^0.6 - 1.
  int too_small = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    ResidualWindow window = make_window(2000);
    Random random(seed);
    for (int i = 0; i < 2000; ++i) window.record(std::pow(random.uniform(), -0.1) - 1);
    const Margin margin = window.margin(1e-6);
    EXPECT_TRUE(margin.extrapolated);
    too_small += margin.relative < std::pow(10.0, 0.6) - 1 ? 1 : 0;
  }
  EXPECT_LE(too_small, 10);
}

TEST(ResidualWindow, EmptyItFollowsItsPrior) {
  const Margin margin = make_window(10, 0.2).margin(1e-3);
  EXPECT_TRUE(margin.extrapolated);
  EXPECT_GT(margin.relative, 0.2);
  EXPECT_TRUE(std::isfinite(margin.relative));
  EXPECT_EQ(make_window(10, 0).margin(1e-3).relative, 0);
}

TEST(ResidualWindow, ForgetsWhatLiesFurtherBackThanItsCapacity) {
  ResidualWindow window = make_window(100);
  window.record(std::numeric_limits<double>::infinity());
  window.record(std::nan(""));
  EXPECT_TRUE(std::isinf(window.margin(0.01).relative));
  EXPECT_EQ(window.count_above(1e6), 2U);
  for (int i = 0; i < 100; ++i) window.record(0.5);
  EXPECT_NEAR(window.margin(0.01).relative, 0.5, 0.016);
  EXPECT_EQ(window.count_above(0.52), 0U);
  EXPECT_EQ(window.count_above(0.4), 100U);
  window.clear();
  EXPECT_EQ(window.count(), 0U);
  EXPECT_TRUE(window.margin(0.5).extrapolated);
}

TEST(ResidualWindow, TakesAnImpossibleWishForTheStrictest) {
  ResidualWindow window = make_window(100);
  for (int i = 0; i < 100; ++i) window.record(0.5);
  const double strictest = window.margin(1e-12).relative;
  EXPECT_EQ(window.margin(0).relative, strictest);
  EXPECT_EQ(window.margin(-1).relative, strictest);
  EXPECT_EQ(window.margin(std::nan("")).relative, strictest);
  EXPECT_EQ(window.margin(7).relative, 0);
}

}  // namespace
}  // namespace strata::route
