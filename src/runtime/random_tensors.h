// Random inputs and room for the outputs of one session, for whoever times it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/session.h"

namespace strata::runtime {

class RandomTensors {
 public:
  /// Floats are uniform in -1..1, the same for the same shapes; integers, which may be indices, 0.
  explicit RandomTensors(const Session& session);
  RandomTensors(RandomTensors&&) = default;
  RandomTensors& operator=(RandomTensors&&) = default;
  RandomTensors(const RandomTensors&) = delete;
  RandomTensors& operator=(const RandomTensors&) = delete;

  [[nodiscard]] std::span<const InputView> inputs() const { return inputs_; }
  [[nodiscard]] std::span<const OutputView> outputs() const { return outputs_; }

 private:
  // Views point into the data, which stays where it is when this is moved.
  std::vector<std::vector<std::byte>> data_;
  std::vector<InputView> inputs_;
  std::vector<OutputView> outputs_;
};

}  // namespace strata::runtime
