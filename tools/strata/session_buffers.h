// A session with memory for its inputs and outputs, of whatever number and type they are.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/session.h"

namespace strata::cli {

class SessionBuffers {
 public:
  explicit SessionBuffers(std::unique_ptr<runtime::Session> session);

  [[nodiscard]] runtime::Session& session() { return *session_; }
  /// Memory of an input, zero at first.
  [[nodiscard]] void* input(size_t index) { return inputs_[index].data(); }
  /// What run() made of a floating-point output; empty for one of another type.
  [[nodiscard]] std::span<const float> output(size_t index) const;
  [[nodiscard]] size_t output_count() const { return outputs_.size(); }

  /// Throws Error.
  void run(int level);
  /// The same with a level per step.
  void run_route(std::span<const uint8_t> levels);
  /// The same; returns the duration of each step in nanoseconds.
  std::vector<int64_t> run_timed(int level);

 private:
  std::unique_ptr<runtime::Session> session_;
  std::vector<std::vector<uint8_t>> inputs_, outputs_;
  std::vector<runtime::InputView> input_views_;
  std::vector<runtime::OutputView> output_views_;
};

}  // namespace strata::cli
