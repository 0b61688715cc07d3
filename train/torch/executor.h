// Executes a graph::Graph with libtorch's operators by ONNX semantics, with gradients, each node at
// the level that a route gives it. The one internal header that shows libtorch; it knows nothing of
// masks or training.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "graph/graph.h"

namespace strata::train {

/// One tensor per parameter at one level, indexed as graph::Model::parameters.
using LevelTensors = std::vector<at::Tensor>;

/// The level of every node, indexed as graph::Graph::nodes.
using Route = std::vector<uint8_t>;

/// How one forward pass treats normalisation.
struct Pass {
  bool training = false;           ///< normalise by the batch's statistics, not the running ones
  bool update_statistics = false;  ///< let the running statistics follow the batch's
  /// In training: the output that the running statistics give, with the gradients of the batch's
  /// (batch renormalisation: Ioffe 2017).
  bool imitate_inference = false;
  double momentum = 0.1;  ///< weight of the batch in the running statistics
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

  /// inputs[i] is the graph's input i; returns the graph's outputs. Running statistics in `levels`
  /// are changed in place where `pass` says so.
  [[nodiscard]] std::vector<at::Tensor> forward(std::span<const at::Tensor> inputs,
                                                std::span<const LevelTensors> levels,
                                                const Route& route, const Pass& pass) const;

 private:
  using Arguments = std::vector<at::Tensor>;
  using Kernel = std::function<at::Tensor(Arguments&, const Pass&)>;

  /// Where an argument comes from: a value slot, a parameter, or nowhere (omitted).
  struct Source {
    enum class Kind : uint8_t { kNone, kValue, kParameter } kind = Kind::kNone;
    size_t index = 0;
    bool last_use = false;  ///< of a value slot that is no graph output
  };
  struct Operation {
    Kernel kernel;
    std::vector<Source> inputs;
    size_t output = 0;  ///< value slot
  };

  static Kernel make_kernel(const graph::Node& node);

  const graph::Graph* graph_;
  std::vector<Operation> operations_;
  std::vector<size_t> output_slots_;
  std::vector<size_t> weight_nodes_;
  std::vector<size_t> leader_;  ///< [node] whose level this node takes; itself unless normalisation
  size_t slot_count_ = 0;
};

}  // namespace strata::train
