#include "runtime/profile_refresh.h"

#include <algorithm>
#include <cmath>

namespace strata::runtime {
namespace {

/// How far one inference may move a time: half of this share, since the surprise is bounded by
/// that. Small, so that a burst of interference, which hits a few steps of a few inferences, is
/// forgotten.
constexpr double kRate = 1.0 / 32;
constexpr double kLargestSurprise = 0.5;
/// A learned time is at most this much away from the measured one.
constexpr double kLargestFactor = 1024;
/// Changes smaller than this are not worth summing the profile up again.
constexpr double kSmallestChange = 0.01;

}  // namespace

ProfileRefresh::ProfileRefresh(const route::Profile& profile)
    : level_count_(static_cast<size_t>(profile.level_count())) {
  for (const route::StepTime& time : profile.table().times) times_.push_back({time});
}

void ProfileRefresh::observe(std::span<const StepRecord> steps, route::Profile& profile) {
  double observed = 0;
  double profiled = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Time& time = times_[at(i, steps[i].level)];
    observed += steps[i].observed_ns;
    profiled += time.measured.median_ns * time.factor;
  }
  if (!(observed > 0) || !std::isfinite(observed) || !(profiled > 0)) return;
  const double slowdown = observed / profiled;

  const auto surprise = [&](size_t i) {
    const Time& time = times_[at(i, steps[i].level)];
    const double expected = slowdown * time.measured.median_ns * time.factor;
    return std::clamp(steps[i].observed_ns / expected - 1, -kLargestSurprise, kLargestSurprise);
  };
  // Bounded surprises no longer cancel out; without their mean the whole profile would creep.
  double mean = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    const Time& time = times_[at(i, steps[i].level)];
    mean += surprise(i) * time.measured.median_ns * time.factor / profiled;
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    Time& time = times_[at(i, steps[i].level)];
    const double change = 1 + kRate * (surprise(i) - mean);
    time.factor = std::clamp(time.factor * change, 1 / kLargestFactor, kLargestFactor);
  }

  const size_t step = turn_;
  turn_ = turn_ + 1 < steps.size() ? turn_ + 1 : 0;
  Time& time = times_[at(step, steps[step].level)];
  if (std::fabs(time.factor / time.applied - 1) < kSmallestChange) return;
  profile.set_time(static_cast<int>(step), steps[step].level,
                   {time.measured.median_ns * time.factor, time.measured.high_ns * time.factor});
  time.applied = time.factor;
}

}  // namespace strata::runtime
