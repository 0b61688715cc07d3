// Executes a graph::Graph with libtorch's operators by ONNX semantics, with gradients, each node at
// the level that a route gives it. The one internal header that shows libtorch; it knows nothing of
// masks or training.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "graph/graph.h"

namespace strata::train {

/// One tensor per parameter at one level, indexed as graph::Model::parameters.
using LevelTensors = std::vector<at::Tensor>;

/// The level of every node, indexed as graph::Graph::nodes.
using Route = std::vector<uint8_t>;

/// A channel whose running variance is below this is constant: what varies is rounding. Divided by
/// epsilon's root, which makes it hundreds of times as large, whatever else reaches such a channel
/// would drown all others. So it says nothing but its shift.
inline constexpr double kConstantVariance = 1e-8;

/// How one forward pass treats normalisation.
struct Pass {
  bool training = false;           ///< normalise by the batch's statistics, not the running ones
  bool update_statistics = false;  ///< let the running statistics follow the batch's
  /// In training: the output that the running statistics give, with the gradients of the batch's
  /// (batch renormalisation: Ioffe 2017).
  bool imitate_inference = false;
  /// At inference: running statistics become the batch's, and scale and shift change along, so that
  /// outputs stay as they are. For what was folded, whose scale and shift mean something else once
  /// the batch's statistics divide.
  bool adopt_statistics = false;
  double momentum = 0.1;  ///< weight of the batch in the running statistics
  /// What dropout draws from in training, on the CPU: equal generators make equal passes.
  c10::optional<at::Generator> generator = {};
};

/// What an operator does to its arguments (undefined where omitted). It may overwrite them.
class OperatorKernel {
 public:
  using Arguments = std::vector<at::Tensor>;

  OperatorKernel() = default;
  /// From a function of (Arguments&, const Pass&) that returns one tensor, or all outputs.
  template <typename F>
  OperatorKernel(F function) {  // NOLINT(google-explicit-constructor)
    if constexpr (std::is_same_v<std::invoke_result_t<F, Arguments&, const Pass&>, at::Tensor>) {
      function_ = [function = std::move(function)](Arguments& in, const Pass& pass) {
        std::vector<at::Tensor> outputs;
        outputs.push_back(function(in, pass));
        return outputs;
      };
    } else {
      function_ = std::move(function);
    }
  }

  std::vector<at::Tensor> operator()(Arguments& in, const Pass& pass) const {
    return function_(in, pass);
  }

 private:
  std::function<std::vector<at::Tensor>(Arguments&, const Pass&)> function_;
};

/// Immutable after construction. `model` and `graph` must outlive it. Throws Error for an operator
/// or an attribute that it cannot execute, naming the node.
class Executor {
 public:
  Executor(const graph::Model& model, const graph::Graph& graph);

  /// Nodes that apply a weight, in graph order: the places where a route may change its level.
  [[nodiscard]] const std::vector<size_t>& weight_nodes() const { return weight_nodes_; }
  [[nodiscard]] const graph::Graph& graph() const { return *graph_; }

  [[nodiscard]] Route fixed_route(int level) const;
  /// Nodes before weight_nodes()[point] run at level `from`, the rest at `to`; a normalisation
  /// keeps the level of the node that feeds it.
  [[nodiscard]] Route switched_route(size_t point, int from, int to) const;

  /// The values of one inference while it goes node by node.
  struct Values {
    std::vector<at::Tensor> slots;
    at::Device device = at::kCPU;  ///< where constants are wanted
  };

  /// For callers that go node by node: begin(), then run() for every node in graph order.
  [[nodiscard]] Values begin(std::span<const at::Tensor> inputs) const;
  /// What `node` reads, in its order; undefined where an input is omitted.
  [[nodiscard]] std::vector<at::Tensor> arguments(size_t node, const Values& values,
                                                  const LevelTensors& level) const;
  /// Runs one node; values that no later node reads are freed.
  void run(size_t node, Values& values, const LevelTensors& level, const Pass& pass) const;
  /// What `node` has made first.
  [[nodiscard]] at::Tensor& output(size_t node, Values& values) const {
    return values.slots[operations_[node].first_output];
  }
  [[nodiscard]] std::vector<at::Tensor> outputs(const Values& values) const;

  /// inputs[i] is the graph's input i; returns the graph's outputs. Running statistics in `levels`
  /// are changed in place where `pass` says so.
  [[nodiscard]] std::vector<at::Tensor> forward(std::span<const at::Tensor> inputs,
                                                std::span<const LevelTensors> levels,
                                                const Route& route, const Pass& pass) const;

 private:
  using Arguments = OperatorKernel::Arguments;

  /// Where an argument comes from: a value slot, a parameter, a constant, or nowhere (omitted).
  struct Source {
    enum class Kind : uint8_t { kNone, kValue, kParameter, kConstant } kind = Kind::kNone;
    size_t index = 0;
    bool last_use = false;  ///< of a value slot that is no graph output
  };
  struct Operation {
    OperatorKernel kernel;
    std::vector<Source> inputs;
    size_t first_output = 0;  ///< value slot; the other outputs follow
    size_t output_count = 0;
  };

  const graph::Graph* graph_;
  std::vector<Operation> operations_;
  std::vector<at::Tensor> constants_;  ///< as Model::constants, in main memory
  std::vector<size_t> output_slots_;
  std::vector<size_t> weight_nodes_;
  std::vector<size_t> leader_;  ///< [node] whose level this node takes; itself unless normalisation
  size_t slot_count_ = 0;
};

}  // namespace strata::train
