// What a session is timed on: the graph that a network of graphs needs, else random numbers, since
// times do not depend on them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/reader.h"
#include "runtime/random_tensors.h"
#include "runtime/session.h"
#include "tools/strata/node_inputs.h"

namespace strata::cli {

/// Sizes come first, since a session is made with them; then its tensors.
class TimedInputs {
 public:
  /// `data`: for a network of graphs an .npz file, or a folder of graphs whose first test graph is
  /// taken; else empty. Throws Error: a graph that is missing, not wanted, or not the model's.
  TimedInputs(const format::Reader& reader, const std::string& data);

  /// Sizes for the session that only the graph knows; empty for other networks.
  [[nodiscard]] graph::Bindings bindings() const;

  /// Inputs and room for the outputs of one session. Inputs of a graph point into the TimedInputs.
  class Tensors {
   public:
    [[nodiscard]] std::span<const runtime::InputView> inputs() const {
      return given_.empty() ? random_.inputs() : given_;
    }
    [[nodiscard]] std::span<const runtime::OutputView> outputs() const { return random_.outputs(); }

   private:
    friend class TimedInputs;
    explicit Tensors(const runtime::Session& session) : random_(session) {}
    runtime::RandomTensors random_;
    std::vector<int32_t> lengths_;
    std::vector<runtime::InputView> given_;
  };
  [[nodiscard]] Tensors tensors(const runtime::Session& session) const;

 private:
  bool reads_sentences_ = false;
  std::optional<NodeInputs> graph_;
};

}  // namespace strata::cli
