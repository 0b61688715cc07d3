// Leads the inferences of a session, or the translations of a translator, to their deadlines: keeps
// profile, slowdown belief and policy, and is asked before each step which level it runs at. Reads
// no clock and runs no step itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/status.h"
#include "route/allowance_learner.h"
#include "route/policy.h"
#include "route/profile.h"
#include "route/slowdown_belief.h"
#include "runtime/profile_refresh.h"
#include "runtime/run_options.h"

namespace strata::runtime {

/// Of an inference: begin(); then per step choose(), and after_step() if that said kRun; finish()
/// when all steps ran or one was not to be run. `now_ns` is a reading of one clock; should it go
/// back, no time has passed. Only set_profile() and errors allocate.
class Router {
 public:
  /// `step_count`: how many steps an inference has; at most, where begin_work() is called.
  explicit Router(size_t step_count) : learner_(step_count), records_(step_count) {}
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  /// Takes the times on, and forgets what was believed of the machine. Errors: a table that is not
  /// one of a graph with that many steps, or has fewer levels than `level_count`; the old profile
  /// stays then.
  Status set_profile(const route::ProfileTable& table, int level_count);
  /// Before begin(), where every inference does other work: these are its steps from now on. What
  /// was believed of the machine stays. Errors: fewer levels than `level_count`, more steps than
  /// the router has room for; nothing changes then.
  Status begin_work(route::Profile profile, int level_count);
  /// The same if nobody knows how long the work takes: there can be no deadline then.
  void begin_unknown_work() { profile_.reset(); }
  /// Refreshed by every inference unless begin_work() was called; null: none yet.
  [[nodiscard]] const route::Profile* profile() const { return profile_ ? &*profile_ : nullptr; }

  /// Levels 0..level_count-1 are loaded. Errors: NaN as deadline, invalid policy, a level that is
  /// not loaded, a deadline without a profile.
  Status begin(const RunOptions& options, int level_count, int64_t now_ns);

  enum class Next : uint8_t { kRun, kGiveUp, kCancel };
  /// What is to be done with step `step`; its level is level().
  Next choose(size_t step) { return choose(step, step); }
  /// The same where the number of steps is an estimate: what is to be done is step `place` of the
  /// profile and all that follow it there.
  Next choose(size_t step, size_t place);
  [[nodiscard]] int level() const { return level_; }
  void after_step(size_t step, int64_t now_ns);

  /// OK, kDeadlineExceeded or kCancelled. The messages are so short that no memory is allocated for
  /// them: missing a deadline is a part of normal operation.
  Status finish(Next end, int64_t now_ns);

  [[nodiscard]] const RunReport& report() const { return report_; }

 private:
  [[nodiscard]] Status choose_policy(const route::PolicyOptions& options);
  [[nodiscard]] Status check_levels(const route::PolicyOptions& options, int level_count,
                                    bool has_deadline) const;
  /// What the policy needs to know of the belief. Margins are the costly part and change slowly:
  /// they are looked up anew only when a sixty-fourth of their residuals may be new, which their
  /// guarantee does not mind, for it holds for any set of earlier inferences.
  void refresh_estimate(const route::PolicyOptions& options);
  /// Of the inference at hand, before the belief does.
  void learn();
  /// Lets time pass and returns how much did.
  double advance(int64_t now_ns);

  std::optional<route::Profile> profile_;
  std::optional<route::SlowdownBelief> belief_;  ///< both of them, or none
  route::AllowanceLearner learner_;              ///< for adaptive policies
  std::optional<ProfileRefresh> refresh_;        ///< none where begin_work() was called
  // Making a policy takes microseconds, so each kind keeps its last one. Level and reserve, which
  // may differ from run to run, are left to the route point.
  std::array<std::optional<route::Policy>, 5> policies_;  ///< [kind]

  route::Margins margins_;
  double margins_probability_ = 0;  ///< that they are for; 0: none yet
  route::MachineState margins_state_ = route::MachineState::kCalm;
  int64_t margins_inferences_ = 0;  ///< that the belief had seen

  // The inference at hand.
  const route::Policy* policy_ = nullptr;  ///< one of policies_
  const Cancellation* cancellation_ = nullptr;
  route::Estimate estimate_;
  route::Slowdowns slowdowns_{};  ///< before the step at hand
  int level_ = 0;
  int place_ = 0;  ///< in the profile, of the step at hand
  int64_t now_ns_ = 0;
  double elapsed_ns_ = 0;
  bool learning_ = false;  ///< learner_ watches it
  double busyness_ = 0;    ///< of the machine before it
  double reserve_ns_ = 0;
  std::vector<StepRecord> records_;
  RunReport report_;
};

}  // namespace strata::runtime
