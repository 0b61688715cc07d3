// A rate with its confidence interval, and the same in nines.
#pragma once

#include <cstdint>

namespace strata::route {

struct Proportion {
  double value = 0;  ///< hits / trials; 0 without trials
  double low = 0;    ///< of the confidence interval
  double high = 1;
};

/// Score interval (Wilson 1927) at 95 %, for independent trials; with bursts, trials depend on each
/// other and the truth is wider. Precondition: 0 <= hits <= trials.
[[nodiscard]] Proportion wilson_interval(int64_t hits, int64_t trials);

/// -log10(rate); +infinity at 0.
[[nodiscard]] double nines(double miss_rate);

}  // namespace strata::route
