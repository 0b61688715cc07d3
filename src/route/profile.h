// How long each step takes at each level on an unloaded machine, and what the levels and switch
// points are worth. Built from measurements once, then read at every route point in O(1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/status.h"

namespace strata::route {

/// Most levels of a model that is routed; a bound for fixed-size arrays.
inline constexpr int kMaxLevels = 16;

/// Unloaded time of one step at one level.
struct StepTime {
  double median_ns = 0;
  double high_ns = 0;  ///< the quantile ProfileTable::high_quantile
};

/// The metric (higher is better) when the first `step` steps run at level `from` and all others at
/// level `to` < `from`.
struct SwitchPoint {
  int step = 0;
  int from = 0;
  int to = 0;
  double metric = 0;
};

/// Metric of levels and switch points, measured by evaluation. Higher is better; negate an error.
/// Whatever is absent is interpolated, see Profile::switch_metric().
struct AccuracyTable {
  std::vector<double> levels;  ///< [level]; empty = unknown
  std::vector<SwitchPoint> switch_points;
};

/// What a profile is made from: plain data that is stored, printed and measured.
struct ProfileTable {
  int threads = 1;  ///< the thread count that the times hold for
  int step_count = 0;
  int level_count = 0;
  double high_quantile = 0.99;  ///< which quantile StepTime::high_ns is
  std::vector<StepTime> times;  ///< [step * level_count + level]
  AccuracyTable accuracy;       ///< optional
};

/// An immutable shape with times that can be refreshed. Readers need no lock as long as nobody
/// calls set_time() or assign_slowed() meanwhile. Indices are trusted (debug assertions only): step
/// 0..step_count() and level 0..level_count()-1.
class Profile {
 public:
  /// Errors: counts that are not 1.. and 1..kMaxLevels, a table of another size, switch points
  /// outside the network, not downwards, given twice, or without metrics of the levels; a metric
  /// that is not finite.
  ///
  /// Times are never a reason to refuse, because a figure that is wrong only a little cannot be
  /// told from a right one; they are repaired, and the slowdown belief and its margins correct the
  /// rest:
  /// - a time that is no time (NaN, below 0.001 ns, above 10^15 ns) becomes the mean of the valid
  /// times of its
  ///   level (of the whole table if the level has none, 1 ns if the table has none);
  /// - a step is taken to be at least as slow at a level as at the level below, since its non-zeros
  ///   contain the others; so the sparsest level is always the fastest way to the end;
  /// - the high quantile is at least the median.
  static Result<Profile> create(const ProfileTable& table);

  [[nodiscard]] int step_count() const { return step_count_; }
  [[nodiscard]] int level_count() const { return level_count_; }
  [[nodiscard]] int threads() const { return threads_; }
  [[nodiscard]] double high_quantile() const { return high_quantile_; }
  /// Times of the table that create() had to replace because they were no times at all.
  [[nodiscard]] int invalid_times() const { return invalid_times_; }

  /// Unloaded median of one step.
  [[nodiscard]] double step_ns(int step, int level) const { return step_ns_[cell(step, level)]; }
  /// Unloaded high quantile of one step.
  [[nodiscard]] double step_high_ns(int step, int level) const {
    return step_high_ns_[cell(step, level)];
  }
  /// Sum of the medians of the steps `step`.. at `level`: a lookup. 0 at step_count().
  [[nodiscard]] double remaining_ns(int step, int level) const {
    return remaining_[at(step, level)];
  }
  /// Steps `step`..`until`-1 at level `level`, the rest at level `then`.
  [[nodiscard]] double remaining_ns(int step, int until, int level, int then) const {
    return remaining_[at(step, level)] - remaining_[at(until, level)] + remaining_[at(until, then)];
  }
  [[nodiscard]] double total_ns(int level) const { return remaining_[at(0, level)]; }
  /// (sum of high quantiles) / (sum of medians) - 1 of a whole inference: how noisy the machine was
  /// when it was profiled.
  [[nodiscard]] double spread(int level) const;

  /// Metric of a fixed route. Without a table of accuracies: total_ns(level) / total_ns(highest),
  /// so that the denser level is the better one.
  [[nodiscard]] double metric(int level) const { return level_metric_[static_cast<size_t>(level)]; }

  /// Metric of the route `from` for the first `step` steps, then `to` (to <= from). Step 0 is
  /// metric(to), step_count() is metric(from). Between the points that the table has (these two
  /// ends are always known) it is interpolated linearly in the share of level `from`'s time that
  /// the first steps take. If the table skips a pair of levels altogether, only the ends are known.
  [[nodiscard]] double switch_metric(int step, int from, int to) const {
    return switch_metric_[pair_at(step, from, to)];
  }
  /// The step in first..last whose switch from `from` to `to` has the best metric; the latest of
  /// equals. O(1) when first is 0, O(last - first) otherwise. 0 <= first <= last <= step_count().
  [[nodiscard]] int best_switch(int first, int last, int from, int to) const;

  /// True when switch_metric(., from, to) never falls as the switch gets later.
  [[nodiscard]] bool later_is_better(int from, int to) const {
    return later_is_better_[static_cast<size_t>(from) * static_cast<size_t>(level_count_) +
                            static_cast<size_t>(to)] != 0;
  }

  /// Replaces the time of one step at one level, repaired as in create() (a figure that is no time
  /// changes nothing). O(steps * levels), no allocation. The metrics stay.
  void set_time(int step, int level, StepTime time);
  /// The same for all: [step * level_count + level], of that size. O(steps * levels) in all.
  void set_times(std::span<const StepTime> times);

  /// Makes this the profile of `source` on a machine that slows step i by slowdowns[i]; both
  /// profiles must have the same shape. No allocation. The metrics stay. For the simulator.
  void assign_slowed(const Profile& source, const float* slowdowns);

  /// What would create this profile again, with the times as they are now.
  [[nodiscard]] ProfileTable table() const;

 private:
  Profile() = default;
  [[nodiscard]] size_t cell(int step, int level) const {
    return static_cast<size_t>(step) * static_cast<size_t>(level_count_) +
           static_cast<size_t>(level);
  }
  [[nodiscard]] size_t at(int step, int level) const {
    return static_cast<size_t>(level) * (static_cast<size_t>(step_count_) + 1) +
           static_cast<size_t>(step);
  }
  [[nodiscard]] size_t pair_at(int step, int from, int to) const {
    return (static_cast<size_t>(from) * static_cast<size_t>(level_count_) +
            static_cast<size_t>(to)) *
               (static_cast<size_t>(step_count_) + 1) +
           static_cast<size_t>(step);
  }
  void repair();
  void sum_up(int last_step);
  void fill_metrics();
  void fill_pair(int from, int to);

  int threads_ = 1;
  int step_count_ = 0;
  int level_count_ = 0;
  int invalid_times_ = 0;
  double high_quantile_ = 0.99;
  AccuracyTable accuracy_;
  std::vector<StepTime> times_;           // [step][level], valid, as measured
  std::vector<double> step_ns_;           // [step][level], not falling with the level
  std::vector<double> step_high_ns_;      // [step][level]
  std::vector<double> remaining_;         // [level][step 0..step_count]
  std::vector<double> level_metric_;      // [level]
  std::vector<double> switch_metric_;     // [from][to][step 0..step_count]
  std::vector<int> best_switch_;          // [from][to][last]: best of 0..last
  std::vector<uint8_t> later_is_better_;  // [from][to]
};

}  // namespace strata::route
