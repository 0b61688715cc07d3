#include "route/length_estimate.h"

#include <algorithm>
#include <cmath>

namespace strata::route {
namespace {

/// A window holds no negative residuals; translations are hardly ever shorter than half the source.
constexpr double kLeast = 0.5;
/// Added to the source's length: short sentences vary more in proportion.
constexpr double kOffset = 3;
constexpr size_t kWindow = 4096;
/// Of the prior: a translation twice as long as the least is nothing special.
constexpr double kPriorSpread = 1;
/// A translation that is longer than it should be is believed to go on for this share of its
/// length.
constexpr double kOverrun = 0.1;

double unit(int64_t source_length) {
  return kLeast * (static_cast<double>(source_length) + kOffset);
}

}  // namespace

Result<LengthEstimate> LengthEstimate::create() {
  STRATA_ASSIGN_OR_RETURN(ResidualWindow window, ResidualWindow::create(kWindow, kPriorSpread));
  return LengthEstimate(std::move(window));
}

void LengthEstimate::record(int64_t source_length, int64_t steps) {
  window_.record(static_cast<double>(steps) / unit(source_length) - 1);
}

int64_t LengthEstimate::at_most(int64_t source_length, double miss_probability,
                                int64_t longest) const {
  const double margin = window_.margin(miss_probability).relative;
  const double length = std::ceil(unit(source_length) * (1 + margin));
  if (!(length < static_cast<double>(longest))) return std::max<int64_t>(longest, 1);
  return std::max<int64_t>(static_cast<int64_t>(length), 1);
}

int64_t LengthEstimate::left(int64_t expected, int64_t done, int64_t longest) {
  if (done < expected) return expected - done;
  const auto overrun = static_cast<int64_t>(std::ceil(kOverrun * static_cast<double>(done)));
  return std::max<int64_t>(1, std::min(overrun, longest - done));
}

}  // namespace strata::route
