// A graph as a graph attention network's inputs, in the order that models::gat() gives them.
#pragma once

#include <array>
#include <string>

#include "format/reader.h"
#include "graph/graph.h"
#include "runtime/session.h"
#include "train/data/node_graph.h"

namespace strata::cli {

/// Whether the model classifies nodes, by its metadata.
bool classifies_nodes(const graph::Model& model);

class NodeInputs {
 public:
  /// Throws Error: a graph that has other features or more classes than the model, or a model with
  /// other inputs.
  NodeInputs(data::NodeGraph graph, const format::Reader& reader);
  /// Reads the graph in `path` first. Throws Error also: a file that cannot be read.
  NodeInputs(const std::string& path, const format::Reader& reader)
      : NodeInputs(data::load_node_graph(path), reader) {}

  [[nodiscard]] const data::NodeGraph& graph() const { return graph_; }
  /// Sizes for the session.
  [[nodiscard]] graph::Bindings bindings() const;
  /// They point into this object.
  [[nodiscard]] std::array<runtime::InputView, 5> views() const;

 private:
  data::NodeGraph graph_;
};

}  // namespace strata::cli
