// Checks what must hold in a model whatever the shapes are: names, definitions, operators.
#include <set>
#include <string>

#include "graph/graph.h"
#include "graph/operators.h"

namespace strata::graph {
namespace {

using Names = std::set<std::string_view>;

Status check_parameters(const Model& model) {
  Names names;
  for (const Parameter& parameter : model.parameters) {
    if (parameter.name.empty()) return invalid_argument("a parameter has no name");
    const std::string where = "parameter '" + parameter.name + "': ";
    if (!names.insert(parameter.name).second) {
      return invalid_argument(where + "the name is used twice");
    }
    if (parameter.role > ParameterRole::kVariance) {
      return invalid_argument(where + "its role is not known");
    }
    Shape shape;
    for (const int64_t size : parameter.shape) {
      if (size < 1) {
        return invalid_argument(where + "a dimension has size " + std::to_string(size) +
                                ", it must be at least 1");
      }
      shape.emplace_back(size);
    }
    if (const Status large = element_count(shape).status(); !large.ok()) {
      return invalid_argument(where + large.message());
    }
  }
  return {};
}

Status check_constants(const Model& model) {
  Names names;
  for (const Parameter& parameter : model.parameters) names.insert(parameter.name);
  for (const Constant& constant : model.constants) {
    if (constant.name.empty()) return invalid_argument("a constant has no name");
    const std::string where = "constant '" + constant.name + "': ";
    if (!names.insert(constant.name).second) {
      return invalid_argument(where + "the name is used twice");
    }
    const size_t size = element_size(constant.type);
    if (size == 0) return unsupported(where + "its element type is not known");
    Shape shape(constant.shape.begin(), constant.shape.end());
    STRATA_ASSIGN_OR_RETURN(const int64_t elements, element_count(shape));
    if (elements < 0 || static_cast<uint64_t>(elements) != constant.data.size() / size ||
        constant.data.size() % size != 0) {
      return invalid_argument(where + "its shape " + to_string(shape) + " does not fit its " +
                              std::to_string(constant.data.size()) + " bytes");
    }
  }
  return {};
}

Status check_value_info(const Graph& graph, const ValueInfo& value, std::string_view what) {
  const std::string where =
      "graph '" + graph.name + "': " + std::string(what) + " '" + value.name + "': ";
  if (value.name.empty()) return invalid_argument(where + "it has no name");
  for (const Dim& dim : value.shape) {
    if (dim.value() < -1 || (dim.known() && !dim.symbol().empty())) {
      return invalid_argument(where + "a dimension is negative");
    }
  }
  if (const Status large = element_count(value.shape).status(); !large.ok()) {
    return invalid_argument(where + large.message());
  }
  switch (value.type) {
    case DataType::kFloat32:
    case DataType::kUint8:
    case DataType::kInt8:
    case DataType::kInt32:
    case DataType::kInt64:
    case DataType::kBool:
    case DataType::kFloat16:
      return {};
  }
  return unsupported(where + "its element type is not known");
}

Status check_graph(const Model& model, const Graph& graph) {
  const std::string where = "graph '" + graph.name + "': ";
  Names defined;
  for (const Parameter& parameter : model.parameters) defined.insert(parameter.name);
  for (const Constant& constant : model.constants) defined.insert(constant.name);
  Names produced;
  for (const ValueInfo& input : graph.inputs) {
    STRATA_RETURN_IF_ERROR(check_value_info(graph, input, "input"));
    if (!defined.insert(input.name).second) {
      return invalid_argument(where + "input '" + input.name +
                              "' has the name of another input, of a parameter or of a constant");
    }
    produced.insert(input.name);
  }
  Names nodes;
  for (const Node& node : graph.nodes) {
    if (node.name.empty()) {
      return invalid_argument(where + "a node (" + node.op_type + ") has no name");
    }
    if (!nodes.insert(node.name).second) {
      return invalid_argument(where + "two nodes are named '" + node.name + "'");
    }
    if (const Status bad = check_node(node); !bad.ok()) return node_error(graph, node, bad);
    for (const std::string& input : node.inputs) {
      if (!input.empty() && !defined.contains(input)) {
        return node_error(graph, node,
                          invalid_argument("its input '" + input +
                                           "' is neither a graph input, nor a parameter, nor a "
                                           "constant, nor the output of an earlier node"));
      }
    }
    for (const std::string& output : node.outputs) {
      if (output.empty()) continue;
      if (!defined.insert(output).second) {
        return node_error(graph, node,
                          invalid_argument("its output '" + output + "' is defined a second time"));
      }
      produced.insert(output);
    }
  }
  if (graph.outputs.empty()) return invalid_argument(where + "it declares no output");
  Names declared;
  for (const ValueInfo& output : graph.outputs) {
    STRATA_RETURN_IF_ERROR(check_value_info(graph, output, "output"));
    if (!declared.insert(output.name).second) {
      return invalid_argument(where + "output '" + output.name + "' is declared twice");
    }
    if (!produced.contains(output.name)) {
      return invalid_argument(where + "output '" + output.name + "' is not produced by any node");
    }
  }
  return {};
}

}  // namespace

Status validate(const Model& model) {
  STRATA_RETURN_IF_ERROR(check_parameters(model));
  STRATA_RETURN_IF_ERROR(check_constants(model));
  Names names;
  for (const Graph& graph : model.graphs) {
    if (graph.name.empty()) return invalid_argument("a graph has no name");
    if (!names.insert(graph.name).second) {
      return invalid_argument("two graphs are named '" + graph.name + "'");
    }
    STRATA_RETURN_IF_ERROR(check_graph(model, graph));
  }
  if (model.graphs.empty()) return invalid_argument("the model holds no graph");
  return {};
}

}  // namespace strata::graph
