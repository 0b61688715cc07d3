// Random inputs and room for the outputs of one session, for verbs that time it.
#pragma once

#include <span>
#include <vector>

#include "runtime/session.h"

namespace strata::cli {

class RandomInputs {
 public:
  /// Uniform in -1..1, the same for the same shapes.
  explicit RandomInputs(const runtime::Session& session);
  RandomInputs(RandomInputs&&) = default;
  RandomInputs& operator=(RandomInputs&&) = default;
  RandomInputs(const RandomInputs&) = delete;
  RandomInputs& operator=(const RandomInputs&) = delete;

  [[nodiscard]] std::span<const runtime::InputView> inputs() const { return inputs_; }
  [[nodiscard]] std::span<const runtime::OutputView> outputs() const { return outputs_; }

 private:
  // Views point into the data, which stays where it is when this is moved.
  std::vector<std::vector<float>> input_data_;
  std::vector<std::vector<float>> output_data_;
  std::vector<runtime::InputView> inputs_;
  std::vector<runtime::OutputView> outputs_;
};

}  // namespace strata::cli
