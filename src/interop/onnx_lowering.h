// Says what operators of our own domain do in ONNX's words, so that any engine can run an export.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::interop {

struct LoweredGraph {
  graph::Graph graph;
  std::vector<graph::Constant> constants;  ///< that its new nodes read, besides the model's
};

/// `graph` with every node of domain ai.strata expressed by nodes of ONNX's own domain, of opset 13
/// and not necessarily ones that graph/operators.h knows; but those over points in space, which
/// take a loop, are left for onnx_point_sets.h. `names` are those that values and nodes have
/// already; new ones join them.
///
/// Rows of a sparse matrix are padded to the longest one, so a row of d entries among rows of at
/// most m costs as much as one of m: good for checking, not for speed.
///
/// Errors, naming the node: an operator that ONNX has no words for, a size that is not known.
Result<LoweredGraph> lower_to_onnx(const graph::Model& model, const graph::Graph& graph,
                                   std::set<std::string>& names);

}  // namespace strata::interop
