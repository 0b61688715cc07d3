// The C++20 interface of strata: owning handles over strata.h. Header only. Failures are thrown as
// strata::api::Error; code without exceptions uses strata.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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
};

/// Runs one graph. One caller at a time; sessions run in parallel with each other.
class Session {
 public:
  explicit Session(const Model& model, const SessionOptions& options = {}) {
    strata_session* made = nullptr;
    check(strata_session_create(model.get(),
                                options.graph.empty() ? nullptr : options.graph.c_str(),
                                options.threads, options.batch, options.max_level, &made));
    handle_.reset(made);
  }

  [[nodiscard]] int level_count() const { return strata_session_level_count(handle_.get()); }
  [[nodiscard]] size_t step_count() const { return strata_session_step_count(handle_.get()); }
  /// float32 elements of an input or output.
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
