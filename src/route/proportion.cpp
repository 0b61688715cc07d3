// Wilson's score interval.
#include "route/proportion.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace strata::route {

Proportion wilson_interval(int64_t hits, int64_t trials) {
  if (trials <= 0) return {};
  constexpr double kNormal = 1.959963984540054;  // 97.5 % quantile of the standard normal
  constexpr double kSquare = kNormal * kNormal;
  const auto n = static_cast<double>(trials);
  const double rate = static_cast<double>(hits) / n;
  const double middle = (rate + kSquare / (2 * n)) / (1 + kSquare / n);
  const double half =
      kNormal * std::sqrt(rate * (1 - rate) / n + kSquare / (4 * n * n)) / (1 + kSquare / n);
  // At the ends one bound is the rate itself; rounding must not move it.
  return {rate, hits == 0 ? 0 : std::max(0.0, middle - half),
          hits == trials ? 1 : std::min(1.0, middle + half)};
}

double nines(double miss_rate) {
  return miss_rate > 0 ? -std::log10(miss_rate) : std::numeric_limits<double>::infinity();
}

}  // namespace strata::route
