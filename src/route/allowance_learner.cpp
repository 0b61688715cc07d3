#include "route/allowance_learner.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace strata::route {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Inferences that count, in multiples of those among which one miss is wanted, and in all.
constexpr double kWindowMisses = 10;
constexpr double kLeastWindow = 1000;
constexpr double kMostWindow = 32768;

/// Of a miss, in units of the metric; accuracies are shares or percent.
constexpr double kLeastPrice = 1e-6;
constexpr double kMostPrice = 1e9;
constexpr int kHalvings = 24;

/// Where weights are scaled back to 1, far from where doubles end.
constexpr double kMostWeight = 1e100;

}  // namespace

AllowanceLearner::AllowanceLearner(size_t most_steps) : most_steps_(most_steps) {
  steps_.reserve(most_steps);
  finish_ns_.reserve(most_steps + 1);
}

void AllowanceLearner::reset() {
  records_.fill({});
  control_.reset();
  weight_ = 1;
  has_choice_ = false;
  chosen_for_ = 0;
  complete_ = false;
}

size_t AllowanceLearner::state_of(double busyness) {
  size_t state = 0;
  while (state < kStateEnds.size() && !(busyness < kStateEnds[state])) ++state;
  return state;
}

Allowance AllowanceLearner::allowance_at(size_t index) {
  const size_t pair = index % kPairs;
  return {kSlowness[pair / kHiccup.size()], kHiccup[pair % kHiccup.size()],
          index < kPairs ? Forecast::kFiltered : Forecast::kSmoothed};
}

void AllowanceLearner::begin_inference(double elapsed_ns, double deadline_ns, int highest) {
  steps_.clear();
  highest_ = highest;
  begin_ns_ = elapsed_ns;
  deadline_ns_ = deadline_ns;
  complete_ = std::isfinite(elapsed_ns) && std::isfinite(deadline_ns);
}

void AllowanceLearner::observe_step(const Profile& profile, int place, const Slowdowns& slowdowns,
                                    int level, double observed_ns) {
  complete_ = complete_ && steps_.size() < most_steps_ && std::isfinite(observed_ns);
  if (!complete_) return;
  const double highest_ns = profile.step_ns(place, highest_);
  const double slowed = observed_ns / profile.step_ns(place, level);
  steps_.push_back({slowdowns, highest_ns + profile.remaining_ns(place + 1, 0), slowed * highest_ns,
                    slowed * profile.step_ns(place, 0),
                    profile.switch_metric(place, highest_, 0) - profile.metric(0)});
}

void AllowanceLearner::observe_rest(const Profile& profile, int place, const Slowdowns& slowdowns) {
  for (; place < profile.step_count(); ++place) {
    observe_step(profile, place, slowdowns, 0, slowdowns[0] * profile.step_ns(place, 0));
  }
}

void AllowanceLearner::end_inference(const Profile& profile, double busyness, double wanted,
                                     bool missed) {
  if (!complete_ || steps_.empty()) return;
  complete_ = false;
  finish_ns_.resize(steps_.size() + 1);
  double end = begin_ns_;
  for (size_t i = 0; i < steps_.size(); ++i) {
    finish_ns_[i] = end;
    end += steps_[i].highest_ns;
  }
  finish_ns_.back() = end;
  double rest = 0;
  for (size_t i = steps_.size(); i-- > 0;) {
    rest += steps_[i].sparsest_ns;
    finish_ns_[i] += rest;
  }
  weigh_more(wanted);
  judge(profile, records_[state_of(busyness)]);
  if (finish_ns_.front() <= deadline_ns_) control_.observe(wanted, missed);
  ++since_choice_;
}

void AllowanceLearner::judge(const Profile& profile, Record& record) const {
  const bool avoidable = finish_ns_.front() <= deadline_ns_;
  const double reference = profile.total_ns(0);
  record.weight += weight_;
  for (size_t row = 0; row < kAllowances / kHiccup.size(); ++row) {
    const Allowance allowed = allowance_at(row * kHiccup.size());
    // The larger the hiccup allowed for, the earlier the route falls.
    size_t hiccup = kHiccup.size();
    const auto fall = [&](size_t step, double metric) {
      --hiccup;
      const size_t at = row * kHiccup.size() + hiccup;
      if (avoidable && finish_ns_[step] > deadline_ns_) record.misses[at] += weight_;
      record.metric[at] += weight_ * metric;
    };
    double elapsed = begin_ns_;
    for (size_t i = 0; i < steps_.size() && hiccup > 0; ++i) {
      const Step& step = steps_[i];
      const double spare =
          (deadline_ns_ - elapsed) / step.slowdowns[static_cast<size_t>(allowed.forecast)] -
          (1 + allowed.slowness) * step.planned_ns;
      while (hiccup > 0 && kHiccup[hiccup - 1] * reference > spare) fall(i, step.metric);
      elapsed += step.highest_ns;
    }
    const double best = profile.metric(highest_) - profile.metric(0);
    while (hiccup > 0) fall(steps_.size(), best);
  }
}

void AllowanceLearner::weigh_more(double wanted) {
  const double window = std::clamp(kWindowMisses / wanted, kLeastWindow, kMostWindow);
  weight_ *= 1 + 1 / window;
  if (weight_ < kMostWeight) return;
  for (Record& record : records_) {
    record.weight /= weight_;
    for (double& sum : record.misses) sum /= weight_;
    for (double& sum : record.metric) sum /= weight_;
  }
  weight_ = 1;
}

std::optional<Allowance> AllowanceLearner::allowance(double busyness, double wanted) {
  const double asked = control_.asked(wanted);
  if (since_choice_ >= kChoiceEvery || chosen_for_ != asked) choose(asked);
  if (!has_choice_) return std::nullopt;
  return allowance_at(choice_[state_of(busyness)]);
}

AllowanceLearner::Choice AllowanceLearner::best_at_price(double price) const {
  Choice choice{};
  for (size_t state = 0; state < kStates; ++state) {
    const Record& record = records_[state];
    double best = -kInfinity;
    for (size_t at = 0; at < kAllowances; ++at) {
      const double value = record.metric[at] - price * record.misses[at];
      if (value > best) {
        best = value;
        choice[state] = at;
      }
    }
  }
  return choice;
}

double AllowanceLearner::misses_of(const Choice& choice) const {
  double misses = 0;
  for (size_t state = 0; state < kStates; ++state) misses += records_[state].misses[choice[state]];
  return misses;
}

// With a price on misses, the lowest that is high enough, the states can be looked at one by one.
// That leaves out what lies within the convex hull, hence the spending afterwards.
void AllowanceLearner::choose(double wanted) {
  since_choice_ = 0;
  chosen_for_ = wanted;
  double weight = 0;
  for (const Record& record : records_) weight += record.weight;
  // One more miss is counted than was seen: the one that may come next.
  const double most = wanted * weight - weight_;
  has_choice_ = false;
  if (most < 0) return;

  choice_ = best_at_price(0);
  has_choice_ = misses_of(choice_) <= most;
  if (has_choice_) return;
  double low = kLeastPrice;
  double high = kMostPrice;
  choice_ = best_at_price(high);
  has_choice_ = misses_of(choice_) <= most;
  if (!has_choice_) return;
  for (int i = 0; i < kHalvings; ++i) {
    const double price = std::sqrt(low * high);
    const Choice choice = best_at_price(price);
    if (misses_of(choice) <= most) {
      choice_ = choice;
      high = price;
    } else {
      low = price;
    }
  }
  spend(most - misses_of(choice_));
}

void AllowanceLearner::spend(double misses) {
  while (true) {
    double best = 0;
    size_t best_state = 0;
    size_t best_at = 0;
    for (size_t state = 0; state < kStates; ++state) {
      const Record& record = records_[state];
      for (size_t at = 0; at < kAllowances; ++at) {
        const double gain = record.metric[at] - record.metric[choice_[state]];
        if (gain > best && record.misses[at] - record.misses[choice_[state]] <= misses) {
          best = gain;
          best_state = state;
          best_at = at;
        }
      }
    }
    if (best <= 0) return;
    const Record& record = records_[best_state];
    misses -= record.misses[best_at] - record.misses[choice_[best_state]];
    choice_[best_state] = best_at;
  }
}

}  // namespace strata::route
