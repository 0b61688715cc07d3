// A ring of bins gives the sliding window, a histogram over the same bins its order statistics.
#include "route/residual_window.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace strata::route {
namespace {

/// Bin 0 holds r <= 0, bin b the values of 1 + r in (1.01^(b-1), 1.01^b], the last one the rest.
constexpr size_t kBins = 1408;
constexpr double kBinWidth = 0.009950330853168083;  // log(1.01)

/// The tail is fitted to the largest tenth, but to no more than this. A machine that is either calm
/// or busy makes a gap in the residuals that would look like a heavy tail, hence no slope above
/// kMostSlope times that of the whole window, from its middle to its largest residual.
constexpr double kMostSlope = 1.5;
constexpr size_t kMostTail = 32;
constexpr double kHeavier = 1.5;     ///< how much heavier than fitted the tail is taken to be
constexpr double kPriorWeight = 16;  ///< residuals that halve the prior

size_t bin_of(double residual) {
  if (residual <= 0) return 0;
  const double bin = std::ceil(std::log1p(residual) / kBinWidth);
  return bin < static_cast<double>(kBins - 1) ? static_cast<size_t>(bin) : kBins - 1;
}

/// Logarithm of the upper edge of a bin of 1 + r.
double upper_log(size_t bin) {
  return bin == kBins - 1 ? std::numeric_limits<double>::infinity()
                          : static_cast<double>(bin) * kBinWidth;
}

}  // namespace

Result<ResidualWindow> ResidualWindow::create(size_t capacity, double prior_spread) {
  constexpr size_t kMaxCapacity = size_t{1} << 24;
  if (capacity == 0 || capacity > kMaxCapacity) {
    return invalid_argument("a window of " + std::to_string(capacity) +
                            " residuals: it must have 1 to " + std::to_string(kMaxCapacity));
  }
  if (!(prior_spread >= 0) || !std::isfinite(prior_spread)) {
    return invalid_argument("the prior spread is " + std::to_string(prior_spread) +
                            ", it must be finite and not negative");
  }
  ResidualWindow window;
  window.ring_.resize(capacity);
  window.histogram_.resize(kBins);
  window.prior_spread_ = prior_spread;
  return window;
}

void ResidualWindow::record(double residual) {
  if (std::isnan(residual)) residual = std::numeric_limits<double>::infinity();
  const size_t bin = bin_of(residual);
  if (count_ == ring_.size()) {
    --histogram_[ring_[next_]];
  } else {
    ++count_;
  }
  ring_[next_] = static_cast<uint16_t>(bin);
  next_ = next_ + 1 == ring_.size() ? 0 : next_ + 1;
  ++histogram_[bin];
  highest_ = std::max(highest_, bin);
  while (highest_ > 0 && histogram_[highest_] == 0) --highest_;
}

void ResidualWindow::clear() {
  std::fill(histogram_.begin(), histogram_.end(), 0U);
  highest_ = next_ = count_ = 0;
}

Margin ResidualWindow::margin(double miss_probability, const ResidualWindow* also) const {
  constexpr double kSmallest = 1e-12;
  const double wanted = miss_probability >= kSmallest ? std::min(miss_probability, 1.0) : kSmallest;
  const size_t count = count_ + (also != nullptr ? also->count_ : 0);
  const size_t highest = std::max(highest_, also != nullptr ? also->highest_ : 0);
  // k = n + 1 - floor(a (n + 1)): this many residuals may lie above the order statistic, less one.
  const auto allowed = static_cast<size_t>(wanted * static_cast<double>(count + 1));
  if (allowed == 0) return {std::expm1(extrapolated_log(wanted, also)), true};
  size_t above = 0;
  for (size_t bin = highest; bin > 0; --bin) {
    above += histogram_[bin] + (also != nullptr ? also->histogram_[bin] : 0);
    if (above >= allowed) return {std::expm1(upper_log(bin)), false};
  }
  return {0, false};
}

double ResidualWindow::extrapolated_log(double miss_probability, const ResidualWindow* also) const {
  const size_t total = count_ + (also != nullptr ? also->count_ : 0);
  const size_t highest = std::max(highest_, also != nullptr ? also->highest_ : 0);
  const auto count = static_cast<double>(total);
  const double prior = std::log1p(prior_spread_) * (1 - std::log(miss_probability)) *
                       (kPriorWeight / (kPriorWeight + count));
  if (total == 0) return prior;
  const double largest = upper_log(highest);
  if (!std::isfinite(largest)) return largest;

  // Hill's estimate: how far the tail lies above the largest of the others, on average.
  const size_t tail = std::clamp<size_t>(total / 10, 1, kMostTail);
  double sum = 0;
  double threshold = 0;
  size_t taken = 0;
  for (size_t bin = highest + 1; bin-- > 0;) {
    const size_t here = histogram_[bin] + (also != nullptr ? also->histogram_[bin] : 0);
    const size_t take = std::min(here, tail - taken);
    sum += static_cast<double>(take) * upper_log(bin);
    taken += take;
    if (here > take) {
      threshold = upper_log(bin);
      break;
    }
  }
  const double hill = sum / static_cast<double>(tail) - threshold;
  const double slope =
      std::max(std::min(hill, kMostSlope * largest / std::log(count + 1)), kBinWidth);
  const double continued = largest - kHeavier * slope * std::log(miss_probability * (count + 1));
  return std::max(continued, prior);
}

size_t ResidualWindow::count_above(double relative) const {
  size_t above = 0;
  for (size_t bin = bin_of(relative) + 1; bin < kBins; ++bin) above += histogram_[bin];
  return above;
}

}  // namespace strata::route
