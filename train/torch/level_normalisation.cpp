// See level_normalisation.h.
#include "train/torch/level_normalisation.h"

#include <algorithm>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace strata::train {
namespace {

using graph::ParameterRole;

/// Keeps channels that never change from being divided by zero once the network is trained.
constexpr float kEpsilon = 1e-5F;

bool is_normalised(const graph::Graph& graph, const graph::Node& conv) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const graph::Node& node) {
    return node.op_type == "BatchNormalization" && node.inputs[0] == conv.outputs[0];
  });
}

std::set<std::string> names_of(const graph::Model& model) {
  std::set<std::string> names;
  for (const graph::Parameter& parameter : model.parameters) names.insert(parameter.name);
  for (const graph::Constant& constant : model.constants) names.insert(constant.name);
  for (const graph::Graph& graph : model.graphs) {
    for (const graph::ValueInfo& input : graph.inputs) names.insert(input.name);
    for (const graph::Node& node : graph.nodes) {
      names.insert(node.name);
      names.insert(node.outputs.begin(), node.outputs.end());
    }
  }
  return names;
}

}  // namespace

void add_level_normalisation(sparse::NestedModel& nested) {
  std::set<std::string> names = names_of(nested.model);
  const auto unused = [&](std::string name) {
    while (!names.insert(name).second) name += '_';
    return name;
  };
  for (graph::Graph& graph : nested.model.graphs) {
    std::vector<graph::Node> nodes;
    for (graph::Node& node : graph.nodes) {
      const graph::Parameter* weight =
          node.op_type == "Conv" ? nested.model.find_parameter(node.inputs[1]) : nullptr;
      if (weight == nullptr || is_normalised(graph, node)) {
        nodes.push_back(node);  // a copy: later nodes still look for readers in the old list
        continue;
      }
      const int64_t channels = weight->shape[0];
      const std::string name = unused(node.name + ".level");
      graph::Node norm{name,         "BatchNormalization",   "", {unused(node.name + ".raw")},
                       node.outputs, {{"epsilon", kEpsilon}}};
      for (const auto& [suffix, role, value] :
           {std::tuple(".scale", ParameterRole::kScale, 1.0F),
            std::tuple(".shift", ParameterRole::kShift, 0.0F),
            std::tuple(".mean", ParameterRole::kMean, 0.0F),
            std::tuple(".variance", ParameterRole::kVariance, 1.0F - kEpsilon)}) {
        graph::Parameter parameter{
            .name = unused(name + suffix), .shape = {channels}, .role = role, .prunable = false};
        for (sparse::VectorTable& level : nested.vectors) {
          level.emplace(parameter.name, std::vector<float>(static_cast<size_t>(channels), value));
        }
        norm.inputs.push_back(parameter.name);
        nested.model.parameters.push_back(std::move(parameter));
      }
      nodes.push_back(node);
      nodes.back().outputs[0] = norm.inputs[0];
      nodes.push_back(std::move(norm));
    }
    graph.nodes = std::move(nodes);
  }
}

}  // namespace strata::train
