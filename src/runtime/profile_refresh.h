// Keeps a session's profile true while it runs: every inference says a little about how its steps
// compare with each other, and over some hundred of them the profile follows.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "route/profile.h"
#include "runtime/run_options.h"

namespace strata::runtime {

/// Only the shape of a profile is learned here, the time of each step at each level relative to the
/// rest of its inference. How slow the machine is as a whole belongs to route::SlowdownBelief; so
/// the profiled time of an executed route stays what it was, to first order.
class ProfileRefresh {
 public:
  /// Starts from the times of `profile`.
  explicit ProfileRefresh(const route::Profile& profile);

  /// Learns from one whole inference, and brings one step of `profile` up to date: the steps take
  /// turns, so that the cost stays small. steps.size() is the profile's step count. Allocates
  /// nothing.
  void observe(std::span<const StepRecord> steps, route::Profile& profile);

 private:
  [[nodiscard]] size_t at(size_t step, int level) const {
    return step * level_count_ + static_cast<size_t>(level);
  }

  struct Time {
    route::StepTime measured;
    double factor = 1;   ///< learned
    double applied = 1;  ///< the factor that the profile has
  };
  size_t level_count_;
  size_t turn_ = 0;  ///< the next step to be brought up to date
  std::vector<Time> times_;
};

}  // namespace strata::runtime
