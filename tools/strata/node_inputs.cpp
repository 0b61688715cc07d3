#include "tools/strata/node_inputs.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "train/error.h"

namespace strata::cli {
namespace {

/// Columns of features that the model's first product takes.
int64_t feature_count(const graph::Model& model) {
  for (const graph::Node& node : model.graphs.front().nodes) {
    if (node.op_type != "SparseProduct" || node.domain != graph::kStrataDomain) continue;
    const graph::Parameter* weight = model.find_parameter(node.inputs[3]);
    if (weight != nullptr) return weight->shape[0];
  }
  return -1;
}

}  // namespace

bool classifies_nodes(const graph::Model& model) {
  const auto family = model.metadata.find("family");
  return family != model.metadata.end() && family->second == "node-classification";
}

NodeInputs::NodeInputs(data::NodeGraph graph, const format::Reader& reader)
    : graph_(std::move(graph)) {
  constexpr std::array<std::string_view, 5> kNames = {
      "feature_rows", "feature_columns", "feature_values", "neighbour_rows", "neighbours"};
  const graph::Model& model = reader.model();
  const std::vector<graph::ValueInfo>& inputs = model.graphs.front().inputs;
  const bool known = std::equal(
      inputs.begin(), inputs.end(), kNames.begin(), kNames.end(),
      [](const graph::ValueInfo& input, std::string_view name) { return input.name == name; });
  const auto& outputs = model.graphs.front().outputs;
  if (!known || outputs.size() != 1 || outputs[0].shape.size() != 2) {
    throw Error("'" + reader.path() + "' is no graph attention network as strata trains them");
  }
  if (graph_.features != feature_count(model)) {
    throw Error("'" + graph_.name + "' has " + std::to_string(graph_.features) +
                " features, but '" + reader.path() + "' takes " +
                std::to_string(feature_count(model)) +
                "; use it with graphs like those that it was made for");
  }
  if (graph_.classes > outputs[0].shape[1].value()) {
    throw Error("'" + graph_.name + "' has " + std::to_string(graph_.classes) + " classes, but '" +
                reader.path() + "' tells " + std::to_string(outputs[0].shape[1].value()) +
                " apart; use it with graphs like those that it was made for");
  }
}

graph::Bindings NodeInputs::bindings() const {
  return {{"nodes", graph_.nodes},
          {"nodes+1", graph_.nodes + 1},
          {"entries", static_cast<int64_t>(graph_.feature_values.size())},
          {"edges", static_cast<int64_t>(graph_.neighbours.columns.size())}};
}

std::array<runtime::InputView, 5> NodeInputs::views() const {
  return {graph_.feature_places.row_begins, graph_.feature_places.columns, graph_.feature_values,
          graph_.neighbours.row_begins, graph_.neighbours.columns};
}

}  // namespace strata::cli
