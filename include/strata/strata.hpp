// The C++20 interface of strata: owning handles over strata.h. Header only. Failures are thrown as
// strata::api::Error; code without exceptions uses strata.h.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "strata/strata.h"

namespace strata::api {

/// One sentence that says what went wrong, and the kind of failure.
class Error : public std::runtime_error {
 public:
  Error(strata_status status, const char* message) : std::runtime_error(message), status_(status) {}
  [[nodiscard]] strata_status status() const { return status_; }

 private:
  strata_status status_;
};

inline void check(strata_status status) {
  if (status != STRATA_OK) throw Error(status, strata_last_error());
}

/// An opened .strata file. Thread-safe.
class Model {
 public:
  /// Errors: missing, foreign, damaged or truncated file, newer format.
  explicit Model(const std::string& path) {
    strata_model* opened = nullptr;
    check(strata_model_open(path.c_str(), &opened));
    handle_.reset(opened);
  }
  /// From the bytes of a file, which are copied.
  explicit Model(std::span<const uint8_t> bytes) {
    strata_model* opened = nullptr;
    check(strata_model_open_bytes(bytes.data(), bytes.size(), &opened));
    handle_.reset(opened);
  }
  /// Levels present, at least 1; level 0 is the sparsest.
  [[nodiscard]] int level_count() const { return strata_model_level_count(handle_.get()); }
  [[nodiscard]] const strata_model* get() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(strata_model* model) const { strata_model_close(model); }
  };
  std::unique_ptr<strata_model, Close> handle_;
};

struct SessionOptions {
  int threads = 1;         ///< 1..64, the calling thread included
  int64_t batch = 1;       ///< size of every symbolic dimension
  int max_level = -1;      ///< load levels 0..max_level; -1 = all
  std::string graph = {};  ///< empty = the only one
  std::string tuning =
      {};  ///< file of `strata tune`, or "off"; empty = $STRATA_TUNING, or FILE.tuning
};

/// Lets one thread stop the inferences of others between two steps. Must outlive the runs that use
/// it.
class Cancellation {
 public:
  Cancellation() {
    strata_cancellation* made = nullptr;
    check(strata_cancellation_create(&made));
    handle_.reset(made);
  }
  /// Runs that use it, now and later, end with STRATA_CANCELLED until reset(). From any thread.
  void request() { strata_cancellation_request(handle_.get()); }
  void reset() { strata_cancellation_reset(handle_.get()); }
  [[nodiscard]] const strata_cancellation* get() const { return handle_.get(); }

 private:
  struct Destroy {
    void operator()(strata_cancellation* cancellation) const {
      strata_cancellation_destroy(cancellation);
    }
  };
  std::unique_ptr<strata_cancellation, Destroy> handle_;
};

/// What one inference by a deadline may and must do. See strata_run_options.
struct RunOptions {
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> deadline = {};       ///< when the answer is needed
  std::optional<std::chrono::nanoseconds> within = {};  ///< the same as a duration from the call;
                                                        ///< the earlier of both holds
  strata_policy policy = STRATA_POLICY_BEST_ROUTE;
  strata_when_late when_late = STRATA_ANSWER_LATE;
  int level = -1;    ///< fixed policy: the level; else the highest one allowed; -1: what is loaded
  double nines = 3;  ///< wanted: a miss probability of 10^-nines
  std::chrono::nanoseconds reserve = {};       ///< kept free before the deadline
  const Cancellation* cancellation = nullptr;  ///< null: cannot be cancelled
  bool adaptive = false;                       ///< learns from its misses how cautious to be
};

struct StepReport {
  int level = 0;
  std::chrono::duration<double, std::nano> expected = {};  ///< 0 without a profile
  std::chrono::duration<double, std::nano> observed = {};
};

/// How an inference ended, and the route that it took. Durations count from the call.
struct RunReport {
  strata_status status = STRATA_OK;  ///< or STRATA_DEADLINE_EXCEEDED, STRATA_CANCELLED
  bool met = false;                  ///< the outputs are whole and were there in time
  int reroutes = 0;                  ///< changes of level between two steps
  std::chrono::duration<double, std::nano> expected = {};  ///< as estimated at the start
  std::chrono::duration<double, std::nano> total = {};
  double slowdown = 1;  ///< believed afterwards: observed time / profiled time
  [[nodiscard]] bool ok() const { return status == STRATA_OK; }
};

/// Runs one graph. One caller at a time; sessions run in parallel with each other.
class Session {
 public:
  explicit Session(const Model& model, const SessionOptions& options = {}) {
    strata_session* made = nullptr;
    check(strata_session_create_tuned(
        model.get(), options.graph.empty() ? nullptr : options.graph.c_str(), options.threads,
        options.batch, options.max_level, options.tuning.empty() ? nullptr : options.tuning.c_str(),
        &made));
    handle_.reset(made);
  }

  [[nodiscard]] int level_count() const { return strata_session_level_count(handle_.get()); }
  [[nodiscard]] strata_session* get() const { return handle_.get(); }
  [[nodiscard]] size_t step_count() const { return strata_session_step_count(handle_.get()); }
  /// Elements of an input or output.
  [[nodiscard]] size_t input_size(size_t index = 0) const {
    return strata_session_input_size(handle_.get(), index);
  }
  [[nodiscard]] size_t output_size(size_t index = 0) const {
    return strata_session_output_size(handle_.get(), index);
  }
  /// Bytes that weights and activations hold.
  [[nodiscard]] size_t memory_bytes() const { return strata_session_memory_bytes(handle_.get()); }

  /// One inference of a graph with one input and one output. Errors: sizes, an absent level.
  void run(std::span<const float> input, std::span<float> output, int level) {
    check_sizes(input, output);
    const float* in = input.data();
    float* out = output.data();
    check(strata_session_run(handle_.get(), &in, &out, level));
  }
  /// The same with a level per step (step_count() of them).
  void run_route(std::span<const float> input, std::span<float> output,
                 std::span<const uint8_t> levels) {
    check_sizes(input, output);
    if (levels.size() != step_count()) {
      throw Error(STRATA_INVALID_ARGUMENT, "a route needs one level per step");
    }
    const float* in = input.data();
    float* out = output.data();
    check(strata_session_run_route(handle_.get(), &in, &out, levels.data()));
  }

  /// Lets `strata top` on this machine watch the inferences by deadline, under this name; none:
  /// stops it. Errors: the operating system gives no memory to share.
  void publish(const std::optional<std::string>& name) {
    check(strata_session_publish(handle_.get(), name ? name->c_str() : nullptr));
  }

  /// One inference of a graph with one input and one output by a deadline. That it gave up or was
  /// cancelled is in the report and not thrown: it is a part of normal operation. The outputs are
  /// whole if the report is ok(). Errors: as of run(); a deadline without a profile.
  RunReport run(std::span<const float> input, std::span<float> output, const RunOptions& options) {
    check_sizes(input, output);
    strata_run_options plain;
    strata_run_options_init(&plain);
    if (options.deadline) {
      plain.deadline_ns =
          std::chrono::duration_cast<std::chrono::nanoseconds>(options.deadline->time_since_epoch())
              .count();
    }
    if (options.within) plain.within_ns = static_cast<double>(options.within->count());
    plain.policy = options.policy;
    plain.when_late = options.when_late;
    plain.level = options.level;
    plain.nines = options.nines;
    plain.reserve_ns = static_cast<double>(options.reserve.count());
    plain.adaptive = options.adaptive ? 1 : 0;
    if (options.cancellation != nullptr) plain.cancellation = options.cancellation->get();
    const float* in = input.data();
    float* out = output.data();
    const strata_status status = strata_session_run_by(handle_.get(), &in, &out, &plain);
    if (status != STRATA_DEADLINE_EXCEEDED && status != STRATA_CANCELLED) check(status);
    strata_run_report report;
    check(strata_session_last_run(handle_.get(), &report));
    using Nanoseconds = std::chrono::duration<double, std::nano>;
    return {status,
            report.met != 0,
            report.reroutes,
            Nanoseconds(report.expected_ns),
            Nanoseconds(report.total_ns),
            report.slowdown};
  }
  /// The steps of the last run by a deadline; fewer than step_count() if it did not complete.
  [[nodiscard]] std::vector<StepReport> last_route() const {
    strata_run_report report;
    check(strata_session_last_run(handle_.get(), &report));
    std::vector<StepReport> steps(report.steps_run);
    for (size_t i = 0; i < steps.size(); ++i) {
      strata_step_report step;
      check(strata_session_last_step(handle_.get(), i, &step));
      steps[i].level = step.level;
      steps[i].expected = std::chrono::duration<double, std::nano>(step.expected_ns);
      steps[i].observed = std::chrono::duration<double, std::nano>(step.observed_ns);
    }
    return steps;
  }

  /// Measures how long each step takes at each level on this machine, which should be idle, and
  /// uses it. `runs` inferences per level; 0: as many as fit into three seconds.
  void measure_profile(int64_t runs = 0) {
    check(strata_session_measure_profile(handle_.get(), runs));
  }
  /// Uses a stored profile; empty: FILE.profile beside the model. Errors: there is none
  /// (STRATA_NOT_FOUND), or it was measured with something else (STRATA_FAILED_PRECONDITION).
  void load_profile(const std::string& path = {}) {
    check(strata_session_load_profile(handle_.get(), path.empty() ? nullptr : path.c_str()));
  }
  /// Stores the profile as refreshed since.
  void save_profile(const std::string& path = {}) const {
    check(strata_session_save_profile(handle_.get(), path.empty() ? nullptr : path.c_str()));
  }
  [[nodiscard]] bool has_profile() const { return strata_session_has_profile(handle_.get()) != 0; }

  void drop_levels_above(int level) {
    check(strata_session_drop_levels_above(handle_.get(), level));
  }
  void reload_levels() { check(strata_session_reload_levels(handle_.get())); }

 private:
  void check_sizes(std::span<const float> input, std::span<float> output) const {
    if (strata_session_input_count(handle_.get()) != 1 ||
        strata_session_output_count(handle_.get()) != 1) {
      throw Error(STRATA_UNSUPPORTED,
                  "the graph has several inputs or outputs; use strata_session_run()");
    }
    if (input.size() != input_size() || output.size() != output_size()) {
      const std::string message = "the graph takes " + std::to_string(input_size()) +
                                  " and gives " + std::to_string(output_size()) +
                                  " values; the call has " + std::to_string(input.size()) +
                                  " and " + std::to_string(output.size());
      throw Error(STRATA_INVALID_ARGUMENT, message.c_str());
    }
  }
  struct Destroy {
    void operator()(strata_session* session) const { strata_session_destroy(session); }
  };
  std::unique_ptr<strata_session, Destroy> handle_;
};

}  // namespace strata::api
