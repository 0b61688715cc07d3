// See output_channels.h.
#include "graph/output_channels.h"

#include <algorithm>
#include <cstddef>

namespace strata::graph {
namespace {

/// Channels that dimensions begin..end-1 count together.
OutputChannels channels_of(const Parameter& weight, size_t begin, size_t end) {
  OutputChannels channels;
  for (size_t axis = begin; axis < weight.shape.size(); ++axis) {
    (axis < end ? channels.count : channels.stride) *= weight.shape[axis];
  }
  return channels;
}

/// Those of a weight that is input `index` of the node.
OutputChannels channels_of(const Parameter& weight, const Node& node, size_t index) {
  const size_t rank = weight.shape.size();
  const auto is = [&](std::string_view domain, std::string_view op_type) {
    return node.domain == domain && node.op_type == op_type;
  };
  if ((is("", "LSTM") || is("", "GRU")) && rank == 3) return channels_of(weight, 0, 2);
  if (rank < 2) return leading_channels(weight);
  const size_t last = rank - 1;
  if (is("", "MatMul") && index < 2)
    return channels_of(weight, last - (1 - index), rank - (1 - index));
  if (is("", "Gemm") && index < 2) {
    const bool transposed = node.attribute_int(index == 0 ? "transA" : "transB", 0) != 0;
    const size_t axis = (index == 1) != transposed ? 1 : 0;
    return channels_of(weight, axis, axis + 1);
  }
  if (is(kStrataDomain, "SparseProduct")) return channels_of(weight, last, rank);
  return leading_channels(weight);
}

}  // namespace

OutputChannels leading_channels(const Parameter& weight) { return channels_of(weight, 0, 1); }

OutputChannels output_channels(const Model& model, const Parameter& weight) {
  for (const Graph& graph : model.graphs) {
    for (const Node& node : graph.nodes) {
      const auto input = std::find(node.inputs.begin(), node.inputs.end(), weight.name);
      if (input == node.inputs.end()) continue;
      return channels_of(weight, node, static_cast<size_t>(input - node.inputs.begin()));
    }
  }
  return leading_channels(weight);
}

}  // namespace strata::graph
