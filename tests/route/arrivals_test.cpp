// Arrival processes: rates, burstiness, traces, determinism.
#include "route/arrivals.h"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace strata::route {
namespace {

constexpr int kMany = 200000;

struct Gaps {
  double mean;
  double variation;  // coefficient of variation: 1 for a Poisson process
};

Gaps gaps(Arrivals& arrivals) {
  double before = 0;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kMany; ++i) {
    const double now = arrivals.next_ns();
    EXPECT_GE(now, before);
    sum += now - before;
    squares += (now - before) * (now - before);
    before = now;
  }
  const double mean = sum / kMany;
  return {mean, std::sqrt(squares / kMany - mean * mean) / mean};
}

TEST(PoissonArrivals, HaveExponentialGaps) {
  const Gaps seen = gaps(*poisson_arrivals(1000, 1).value());
  EXPECT_NEAR(seen.mean, 1000, 10);
  EXPECT_NEAR(seen.variation, 1, 0.02);
}

TEST(BurstyArrivals, HaveTheMeanRateOfTheirTwoStatesAndUnevenGaps) {
  const BurstyRate rate = {
      .calm_gap_ns = 1000, .burst_gap_ns = 50, .calm_ns = 20000, .burst_ns = 5000};
  const Gaps seen = gaps(*bursty_arrivals(rate, 1).value());
  const double rate_per_ns = (20000.0 / 1000 + 5000.0 / 50) / 25000;
  EXPECT_NEAR(seen.mean * rate_per_ns, 1, 0.1);  // some 1700 bursts
  EXPECT_GT(seen.variation, 1.5);
}

TEST(PeriodicArrivals, AreEven) {
  const Gaps seen = gaps(*periodic_arrivals(7).value());
  EXPECT_NEAR(seen.mean, 7, 1e-9);
  EXPECT_NEAR(seen.variation, 0, 1e-3);
}

TEST(TraceArrivals, RepeatWithAMeanGapBetweenRounds) {
  const std::vector<double> trace = {5, 5, 9, 14};
  const std::unique_ptr<Arrivals> arrivals = trace_arrivals(trace).value();
  for (const double expected : {5, 5, 9, 14, 17, 17, 21, 26, 29}) {
    EXPECT_DOUBLE_EQ(arrivals->next_ns(), expected);
  }
}

TEST(TraceArrivals, RefuseWhatIsNoTrace) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<double>> wrong = {
      {}, {1}, {2, 2}, {2, 1}, {-1, 1}, {0, kInfinity}, {0, std::nan("")}};
  for (const std::vector<double>& trace : wrong) EXPECT_FALSE(trace_arrivals(trace).ok());
}

TEST(Arrivals, RefuseGapsThatAreNone) {
  for (const double wrong : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_FALSE(poisson_arrivals(wrong, 1).ok());
    EXPECT_FALSE(periodic_arrivals(wrong).ok());
    EXPECT_FALSE(bursty_arrivals({wrong, 1, 1, 1}, 1).ok());
    EXPECT_FALSE(bursty_arrivals({1, wrong, 1, 1}, 1).ok());
    EXPECT_FALSE(bursty_arrivals({1, 1, wrong, 1}, 1).ok());
    EXPECT_FALSE(bursty_arrivals({1, 1, 1, wrong}, 1).ok());
  }
}

RC_GTEST_PROP(Arrivals, FollowFromTheirSeed, ()) {
  const auto seed = *rc::gen::arbitrary<uint64_t>();
  const auto draw = [](Arrivals& arrivals) {
    std::vector<double> times(50);
    for (double& time : times) time = arrivals.next_ns();
    return times;
  };
  const BurstyRate rate = {100, 5, 1000, 300};
  RC_ASSERT(draw(*poisson_arrivals(10, seed).value()) == draw(*poisson_arrivals(10, seed).value()));
  RC_ASSERT(draw(*poisson_arrivals(10, seed).value()) !=
            draw(*poisson_arrivals(10, seed + 1).value()));
  RC_ASSERT(draw(*bursty_arrivals(rate, seed).value()) ==
            draw(*bursty_arrivals(rate, seed).value()));
}

}  // namespace
}  // namespace strata::route
