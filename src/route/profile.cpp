// Checks and repairs a table of times, sums it up from the end, and fills in what the accuracy
// table leaves open.
#include "route/profile.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace strata::route {
namespace {

constexpr double kLeastNs = 1e-3;
constexpr double kMostNs = 1e15;  // beyond eleven days nothing is a step; sums stay exact enough

bool is_time(double ns) { return ns >= kLeastNs && ns <= kMostNs; }

std::string describe(const SwitchPoint& point) {
  return "switch point at step " + std::to_string(point.step) + " from level " +
         std::to_string(point.from) + " to " + std::to_string(point.to);
}

Status check_accuracy(const ProfileTable& table) {
  const AccuracyTable& accuracy = table.accuracy;
  if (!accuracy.levels.empty() &&
      accuracy.levels.size() != static_cast<size_t>(table.level_count)) {
    return invalid_argument("the accuracy table has " + std::to_string(accuracy.levels.size()) +
                            " levels, the profile " + std::to_string(table.level_count));
  }
  if (accuracy.levels.empty() && !accuracy.switch_points.empty()) {
    return invalid_argument("switch points have metrics, the levels have none");
  }
  for (const double metric : accuracy.levels) {
    if (!std::isfinite(metric)) return invalid_argument("a level's metric is not finite");
  }
  for (const SwitchPoint& point : accuracy.switch_points) {
    if (point.step < 0 || point.step > table.step_count || point.to < 0 || point.to >= point.from ||
        point.from >= table.level_count) {
      return invalid_argument(describe(point) + " does not exist: there are " +
                              std::to_string(table.step_count) + " steps and " +
                              std::to_string(table.level_count) +
                              " levels, and a switch goes to a sparser one");
    }
    if (!std::isfinite(point.metric)) {
      return invalid_argument(describe(point) + ": its metric is not finite");
    }
    const auto same = [&](const SwitchPoint& other) {
      return other.step == point.step && other.from == point.from && other.to == point.to;
    };
    if (std::count_if(accuracy.switch_points.begin(), accuracy.switch_points.end(), same) > 1) {
      return invalid_argument(describe(point) + " is there twice");
    }
  }
  return {};
}

}  // namespace

Result<Profile> Profile::create(const ProfileTable& table) {
  if (table.step_count < 1 || table.level_count < 1 || table.level_count > kMaxLevels) {
    return invalid_argument("a profile of " + std::to_string(table.step_count) + " steps and " +
                            std::to_string(table.level_count) +
                            " levels: there must be at least one step and 1 to " +
                            std::to_string(kMaxLevels) + " levels");
  }
  if (table.threads < 1) {
    return invalid_argument("a profile for " + std::to_string(table.threads) + " threads");
  }
  if (!(table.high_quantile >= 0.5 && table.high_quantile < 1)) {
    return invalid_argument("the high quantile of a profile must lie in 0.5 to 1, it is " +
                            std::to_string(table.high_quantile));
  }
  const auto steps = static_cast<size_t>(table.step_count);
  const auto levels = static_cast<size_t>(table.level_count);
  if (table.times.size() != steps * levels) {
    return invalid_argument("a profile of " + std::to_string(steps) + " steps and " +
                            std::to_string(levels) + " levels has " +
                            std::to_string(table.times.size()) + " times");
  }
  STRATA_RETURN_IF_ERROR(check_accuracy(table));

  Profile profile;
  profile.threads_ = table.threads;
  profile.step_count_ = table.step_count;
  profile.level_count_ = table.level_count;
  profile.high_quantile_ = table.high_quantile;
  profile.accuracy_ = table.accuracy;
  profile.times_ = table.times;
  profile.step_ns_.resize(steps * levels);
  profile.step_high_ns_.resize(steps * levels);
  profile.remaining_.resize(levels * (steps + 1));
  profile.repair();
  profile.sum_up(table.step_count - 1);
  profile.fill_metrics();
  return profile;
}

void Profile::repair() {
  struct Mean {
    double sum = 0;
    int count = 0;
    void add(double value) {
      sum += value;
      ++count;
    }
    [[nodiscard]] double or_else(double other) const { return count > 0 ? sum / count : other; }
  };
  Mean all;
  Mean of_level[kMaxLevels];
  for (int step = 0; step < step_count_; ++step) {
    for (int level = 0; level < level_count_; ++level) {
      const double time = times_[cell(step, level)].median_ns;
      if (!is_time(time)) continue;
      all.add(time);
      of_level[level].add(time);
    }
  }
  for (int step = 0; step < step_count_; ++step) {
    for (int level = 0; level < level_count_; ++level) {
      StepTime& time = times_[cell(step, level)];
      if (!is_time(time.median_ns)) {
        ++invalid_times_;
        time.median_ns = of_level[level].or_else(all.or_else(1));
      }
      if (!is_time(time.high_ns)) time.high_ns = time.median_ns;
    }
  }
}

void Profile::sum_up(int last_step) {
  for (int step = last_step; step >= 0; --step) {
    double least = 0;
    double least_high = 0;
    for (int level = 0; level < level_count_; ++level) {
      const StepTime& time = times_[cell(step, level)];
      least = std::max(least, time.median_ns);
      least_high = std::max({least_high, time.high_ns, least});
      step_ns_[cell(step, level)] = least;
      step_high_ns_[cell(step, level)] = least_high;
      remaining_[at(step, level)] = remaining_[at(step + 1, level)] + least;
    }
  }
}

double Profile::spread(int level) const {
  double high = 0;
  for (int step = 0; step < step_count_; ++step) high += step_high_ns(step, level);
  return high / total_ns(level) - 1;
}

void Profile::fill_metrics() {
  const auto levels = static_cast<size_t>(level_count_);
  const size_t points = static_cast<size_t>(step_count_) + 1;
  level_metric_ = accuracy_.levels;
  if (level_metric_.empty()) {
    for (int level = 0; level < level_count_; ++level) {
      level_metric_.push_back(total_ns(level) / total_ns(level_count_ - 1));
    }
  }
  switch_metric_.assign(levels * levels * points, 0);
  best_switch_.assign(levels * levels * points, 0);
  later_is_better_.assign(levels * levels, 0);
  for (int from = 0; from < level_count_; ++from) {
    for (int to = 0; to <= from; ++to) fill_pair(from, to);
  }
}

void Profile::fill_pair(int from, int to) {
  std::vector<SwitchPoint> known = {{0, from, to, metric(to)}};
  for (const SwitchPoint& point : accuracy_.switch_points) {
    // A switch at either end is a fixed route, whose metric the levels give.
    if (point.from == from && point.to == to && point.step > 0 && point.step < step_count_) {
      known.push_back(point);
    }
  }
  known.push_back({step_count_, from, to, metric(from)});
  std::sort(known.begin(), known.end(),
            [](const SwitchPoint& a, const SwitchPoint& b) { return a.step < b.step; });

  const auto time_before = [&](int step) { return total_ns(from) - remaining_ns(step, from); };
  bool rising = true;
  size_t next = 1;
  for (int step = 0; step <= step_count_; ++step) {
    while (known[next].step < step) ++next;
    const SwitchPoint& left = known[next - 1];
    const SwitchPoint& right = known[next];
    double value = step == right.step ? right.metric : left.metric;
    if (step > left.step && step < right.step) {
      const double between = time_before(right.step) - time_before(left.step);
      if (between > 0) {  // not lost beside a step that is many orders of magnitude longer
        const double share = (time_before(step) - time_before(left.step)) / between;
        value += share * (right.metric - left.metric);
      }
    }
    switch_metric_[pair_at(step, from, to)] = value;
    int best = step;
    if (step > 0) {
      rising = rising && value >= switch_metric(step - 1, from, to);
      const int before = best_switch_[pair_at(step - 1, from, to)];
      if (switch_metric(before, from, to) > value) best = before;
    }
    best_switch_[pair_at(step, from, to)] = best;
  }
  later_is_better_[cell(from, to)] = rising ? 1 : 0;
}

int Profile::best_switch(int first, int last, int from, int to) const {
  if (later_is_better(from, to)) return last;
  const int best = best_switch_[pair_at(last, from, to)];
  if (best >= first) return best;
  int found = first;
  for (int step = first + 1; step <= last; ++step) {
    if (switch_metric(step, from, to) >= switch_metric(found, from, to)) found = step;
  }
  return found;
}

void Profile::set_time(int step, int level, StepTime time) {
  if (!is_time(time.median_ns)) return;
  if (!is_time(time.high_ns)) time.high_ns = time.median_ns;
  times_[cell(step, level)] = time;
  sum_up(step);
}

void Profile::set_times(std::span<const StepTime> times) {
  for (size_t i = 0; i < std::min(times.size(), times_.size()); ++i) {
    if (!is_time(times[i].median_ns)) continue;
    times_[i] = times[i];
    if (!is_time(times_[i].high_ns)) times_[i].high_ns = times_[i].median_ns;
  }
  sum_up(step_count_ - 1);
}

void Profile::assign_slowed(const Profile& source, const float* slowdowns) {
  for (int step = 0; step < step_count_; ++step) {
    const double slowdown = slowdowns[step];
    for (int level = 0; level < level_count_; ++level) {
      times_[cell(step, level)] = {source.step_ns(step, level) * slowdown,
                                   source.step_high_ns(step, level) * slowdown};
    }
  }
  sum_up(step_count_ - 1);
}

ProfileTable Profile::table() const {
  ProfileTable table;
  table.threads = threads_;
  table.step_count = step_count_;
  table.level_count = level_count_;
  table.high_quantile = high_quantile_;
  table.times = times_;
  table.accuracy = accuracy_;
  return table;
}

}  // namespace strata::route
