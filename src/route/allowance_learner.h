// Learns from finished inferences how little a router may allow for: what, in hindsight, would have
// kept the wanted share of misses at the best metric.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "route/miss_control.h"
#include "route/profile.h"
#include "route/slowdown_belief.h"

namespace strata::route {

/// Follows the best of a grid of allowances (follow the leader: Hannan 1957; Cesa-Bianchi and
/// Lugosi, Prediction, Learning, and Games, 2006). The slowdowns that the steps of an inference met
/// tell when it would have ended with each of them, had its route been: the highest level until, by
/// that allowance, the rest no longer fits even at the sparsest level, which then runs to the end.
/// Sums that forget slowly tell how many inferences each would have missed that the sparsest level
/// would not, and how good its routes were. They are kept apart by how busy the machine was before
/// the inference, and the allowances, one for each of these states, are those with the best metric
/// among those that together miss no more than was wanted.
///
/// What a margin of the belief guarantees for the next inference, this finds for the long run: the
/// share of misses that could have been avoided. It knows that a router can go sparser half-way.
///
/// begin_inference(), observe_step() after each step, end_inference(). No clock; nothing but the
/// constructor allocates. O(steps) per inference, about a microsecond, and the choice every
/// kChoiceEvery inferences.
class AllowanceLearner {
 public:
  /// Inferences of more steps teach nothing.
  explicit AllowanceLearner(size_t most_steps);

  /// For the next inference; nothing while too little is known, that is for 1 / `wanted`
  /// inferences. `busyness`: SlowdownBelief::busyness(); `wanted`: share of misses, in (0, 1).
  [[nodiscard]] std::optional<Allowance> allowance(double busyness, double wanted);

  /// Times since one origin; if the deadline is +infinity, the inference teaches nothing.
  /// `highest`: the level that the route may begin at.
  void begin_inference(double elapsed_ns, double deadline_ns, int highest);
  /// `place`: the step in the profile; `slowdowns`: believed before it; `level`: that it ran at.
  void observe_step(const Profile& profile, int place, const Slowdowns& slowdowns, int level,
                    double observed_ns);
  /// What is left from `place` on, as if it had run and been as slow as is believed: for an
  /// inference that was given up there.
  void observe_rest(const Profile& profile, int place, const Slowdowns& slowdowns);
  /// With the busyness and the wanted share that allowance() was asked with.
  void end_inference(const Profile& profile, double busyness, double wanted, bool missed);

  void reset();

 private:
  static constexpr int64_t kChoiceEvery = 16;
  static constexpr std::array<double, 8> kSlowness = {-0.3, -0.15, 0, 0.15, 0.35, 0.6, 1, 2};
  static constexpr std::array<double, 8> kHiccup = {0, 0.15, 0.35, 0.6, 1, 1.6, 2.5, 4};
  static constexpr size_t kPairs = kSlowness.size() * kHiccup.size();
  static constexpr size_t kAllowances = 2 * kPairs;  ///< by each forecast
  /// Upper ends of the states of the machine, in busyness; the last one has none.
  static constexpr std::array<double, 3> kStateEnds = {0.03, 0.1, 0.25};
  static constexpr size_t kStates = kStateEnds.size() + 1;

  struct Step {
    Slowdowns slowdowns;  // believed before
    double planned_ns;    // profiled: this step at the highest level, the rest at the sparsest
    double highest_ns;    // what it took there, or would have taken
    double sparsest_ns;   // the same at the sparsest level
    double metric;        // of a route that falls to the sparsest level here
  };
  /// Sums over inferences, each of which weighs more than the one before.
  struct Record {
    double weight = 0;
    std::array<double, kAllowances> misses{};
    std::array<double, kAllowances> metric{};
  };
  using Choice = std::array<size_t, kStates>;  ///< an allowance per state

  static size_t state_of(double busyness);
  [[nodiscard]] static Allowance allowance_at(size_t index);
  /// Adds to the sums what each allowance would have made of the inference.
  void judge(const Profile& profile, Record& record) const;
  void weigh_more(double wanted);
  /// Sets choice_ to what has the best metric with the wanted share of misses, if anything has.
  void choose(double wanted);
  [[nodiscard]] Choice best_at_price(double price) const;
  [[nodiscard]] double misses_of(const Choice& choice) const;
  /// Exchanges allowances of choice_ for better ones that miss so much more in all.
  void spend(double misses);

  std::array<Record, kStates> records_;
  MissControl control_;
  double weight_ = 1;  // of the next inference

  Choice choice_{};
  bool has_choice_ = false;
  double chosen_for_ = 0;     // share of misses
  int64_t since_choice_ = 0;  // inferences

  // The inference at hand.
  std::vector<Step> steps_;
  std::vector<double> finish_ns_;  // if the route falls to the sparsest level before step i
  size_t most_steps_;
  bool complete_ = false;  // every step is in steps_
  int highest_ = 0;
  double begin_ns_ = 0;
  double deadline_ns_ = 0;
};

}  // namespace strata::route
