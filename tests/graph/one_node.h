// A model of one graph with one node "n", for tests: inputs are graph inputs i0, i1, … unless a
// name is given; the output is "y".
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace strata::graph {

using Attributes = std::map<std::string, Attribute, std::less<>>;
using Ints = std::vector<int64_t>;

inline Model one_node(std::string op_type, const std::vector<Shape>& inputs,
                      Attributes attributes = {}) {
  Model model;
  Graph graph;
  graph.name = "main";
  Node node{"n", std::move(op_type), "", {}, {"y"}, std::move(attributes)};
  for (const Shape& shape : inputs) {
    const std::string name = "i" + std::to_string(graph.inputs.size());
    graph.inputs.push_back({name, DataType::kFloat32, shape});
    node.inputs.push_back(name);
  }
  graph.nodes.push_back(std::move(node));
  model.graphs.push_back(std::move(graph));
  return model;
}

/// The inferred shape of "y" as text, or the error's message.
inline std::string inferred(const Model& model, const Bindings& bindings = {}) {
  const Result<ValueTable> table = infer_shapes(model, model.graphs.front(), bindings);
  return table.ok() ? to_string(table->at("y").shape) : table.status().message();
}

inline std::string inferred(std::string op_type, const std::vector<Shape>& inputs,
                            Attributes attributes = {}, const Bindings& bindings = {}) {
  return inferred(one_node(std::move(op_type), inputs, std::move(attributes)), bindings);
}

/// An input of an operator of our own domain.
struct Input {
  Shape shape;
  DataType type = DataType::kFloat32;
};

/// The same model with a node of domain ai.strata.
inline Model ours(const std::string& op, const std::vector<Input>& inputs,
                  Attributes attributes = {}) {
  std::vector<Shape> shapes;
  shapes.reserve(inputs.size());
  for (const Input& input : inputs) shapes.push_back(input.shape);
  Model model = one_node(op, shapes, std::move(attributes));
  model.graphs[0].nodes[0].domain = kStrataDomain;
  for (size_t i = 0; i < inputs.size(); ++i) model.graphs[0].inputs[i].type = inputs[i].type;
  return model;
}

/// What inference says of a node that it refuses.
inline std::string refusal(const std::string& op, const std::string& reason) {
  return "graph 'main': node 'n' (" + op + "): " + reason;
}

}  // namespace strata::graph
