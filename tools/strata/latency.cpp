#include "tools/strata/latency.h"

#include <algorithm>
#include <cmath>

#include "core/clock.h"

namespace strata::cli {
namespace {

constexpr int64_t kFewestRuns = 20;
constexpr int64_t kMostRuns = 2000;

double milliseconds_of(const std::function<void()>& run) {
  const int64_t begin = monotonic_ns();
  run();
  return static_cast<double>(monotonic_ns() - begin) * 1e-6;
}

}  // namespace

void time_in_turns(std::vector<Contender>& contenders, const TimingOptions& options) {
  double round_ms = 0;
  for (int64_t round = 0; round < options.warm_up; ++round) {
    round_ms = 0;
    for (const Contender& contender : contenders) round_ms += milliseconds_of(contender.run);
  }
  int64_t runs = options.runs;
  if (runs == 0) {
    const double fitting = options.seconds * 1000 / std::max(2 * round_ms, 1e-3);
    runs = static_cast<int64_t>(std::clamp<double>(fitting, kFewestRuns, kMostRuns));
  }
  for (Contender& contender : contenders) contender.ms.reserve(static_cast<size_t>(runs));
  for (int64_t round = 0; round < runs; ++round) {
    if (options.progress) options.progress(round, runs);
    for (size_t turn = 0; turn < contenders.size(); ++turn) {
      Contender& contender = contenders[(turn + static_cast<size_t>(round)) % contenders.size()];
      contender.run();
      contender.ms.push_back(milliseconds_of(contender.run));
    }
  }
  if (options.progress) options.progress(runs, runs);
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - std::floor(place)) * (values[above] - values[below]);
}

}  // namespace strata::cli
