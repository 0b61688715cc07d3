// The length of a translation is exceeded as rarely as was asked, and never beyond what is
// possible.
#include "route/length_estimate.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace strata::route {
namespace {

TEST(LengthEstimate, ExpectsLongTranslationsWhileItKnowsNothing) {
  const LengthEstimate length = LengthEstimate::create().value();
  EXPECT_GE(length.at_most(20, 0.5, 50), 20);
  EXPECT_EQ(length.at_most(20, 1e-4, 50), 50) << "as long as it can become";
  EXPECT_GE(length.at_most(0, 0.5, 10), 1);
}

TEST(LengthEstimate, IsExceededAsRarelyAsWasAsked) {
  std::mt19937 random(3);
  std::uniform_int_distribution<int64_t> source(1, 40);
  std::lognormal_distribution<double> ratio(std::log(0.9), 0.25);
  const auto steps = [&](int64_t words) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(words + 3) * ratio(random)));
  };
  LengthEstimate length = LengthEstimate::create().value();
  for (int i = 0; i < 3000; ++i) {
    const int64_t words = source(random);
    length.record(words, steps(words));
  }
  for (const double wanted : {0.5, 0.1, 0.01}) {
    int exceeded = 0;
    double sum = 0;
    constexpr int kTries = 20000;
    for (int i = 0; i < kTries; ++i) {
      const int64_t words = source(random);
      const int64_t most = length.at_most(words, wanted, 1000);
      exceeded += steps(words) > most ? 1 : 0;
      sum += static_cast<double>(most) / static_cast<double>(words + 3);
    }
    const double share = static_cast<double>(exceeded) / kTries;
    EXPECT_LE(share, 1.2 * wanted + 0.003) << wanted;
    EXPECT_GE(share, 0.5 * wanted) << wanted << ": and not far more is allowed for than is needed";
    EXPECT_LT(sum / kTries, 2.2) << wanted;
  }
}

TEST(LengthEstimate, GoesOnWhenATranslationIsLongerThanItShouldBe) {
  LengthEstimate length = LengthEstimate::create().value();
  for (int i = 0; i < 1000; ++i) length.record(17, 20);
  const int64_t most = length.at_most(17, 0.01, 44);
  EXPECT_GE(most, 20);
  EXPECT_LE(most, 22);
  EXPECT_EQ(LengthEstimate::left(most, 0, 44), most);
  EXPECT_EQ(LengthEstimate::left(most, most - 1, 44), 1);
  for (int64_t done = most; done < 44; ++done) {
    const int64_t left = LengthEstimate::left(most, done, 44);
    EXPECT_GE(left, 1);
    EXPECT_LE(done + left, 44);
    EXPECT_LE(left, 5) << "a tenth of what it took";
  }
  EXPECT_EQ(LengthEstimate::left(most, 44, 44), 1);
}

}  // namespace
}  // namespace strata::route
