// What a caller asks of one inference (deadline, level or policy, cancellation), and the account of
// it afterwards: the route that it took, with estimate and time of every step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "core/cancellation.h"
#include "route/policy.h"

namespace strata::runtime {

/// As RunOptions::deadline_ns: never.
inline constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

/// The default is: best route, no deadline, therefore as accurate as the model can be.
struct RunOptions {
  /// When the answer is needed, as a reading of the session's clock (core/clock.h): the time that a
  /// request waited before run() counts. Any value is valid; what is past is missed already.
  int64_t deadline_ns = kNoDeadline;
  /// The same as a duration from the call of run(). Zero and below are missed already, +infinity is
  /// no deadline, NaN is an error. The earlier of both holds.
  double within_ns = std::numeric_limits<double>::infinity();

  /// Which policy, at most which level, the wanted probability of a miss, what to do when even the
  /// sparsest level is too slow. With kGiveUp, OK means in time: an inference that cannot make it
  /// any more ends at once, and one that ends late nevertheless is reported as missed too.
  /// kOracle is not for sessions.
  route::PolicyOptions policy = {};

  /// Looked at before each step; null: cannot be cancelled. It stays requested until its owner
  /// resets it.
  const Cancellation* cancellation = nullptr;

  [[nodiscard]] bool has_deadline() const {
    return deadline_ns != kNoDeadline || within_ns < std::numeric_limits<double>::infinity();
  }
};

/// One executed step.
struct StepRecord {
  int level = 0;
  double expected_ns = 0;  ///< estimated just before the step; 0 without a profile
  double observed_ns = 0;
};

/// What became of one inference with RunOptions. Times in nanoseconds since the call of run().
struct RunReport {
  std::span<const StepRecord> steps;  ///< those that ran; valid until the next run of the session
  bool completed = false;             ///< every step ran: the outputs are whole
  bool met = false;                   ///< completed, and not after the deadline
  int reroutes = 0;                   ///< changes of level between two steps
  double deadline_ns = std::numeric_limits<double>::infinity();
  double expected_ns = 0;  ///< when the route planned at the start should end; 0 without a profile
  double total_ns = 0;     ///< until run() was done
  double slowdown = 1;     ///< believed afterwards: observed time / profiled time
};

}  // namespace strata::runtime
