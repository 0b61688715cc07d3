// Walks a graph once, in its order, and infers shape and type of every value; counts the
// multiply-adds from those shapes.
#include <string>
#include <utility>

#include "graph/graph.h"
#include "graph/operators.h"

namespace strata::graph {
namespace {

Status bind(Shape& shape, const Bindings& bindings) {
  for (Dim& dim : shape) {
    if (dim.value() < -1) return invalid_argument("a dimension is negative");
    if (dim.symbol().empty()) continue;
    if (const auto found = bindings.find(dim.symbol()); found != bindings.end()) {
      dim = Dim(found->second);
    }
  }
  return element_count(shape).status();
}

Status binding_error(const Graph& graph, const std::string& symbol, int64_t size) {
  return invalid_argument("graph '" + graph.name + "': symbol '" + symbol + "' is bound to " +
                          std::to_string(size) + ", allowed are 0 to " +
                          std::to_string(kMaxDimension));
}

Status check_types(const Operator& op, const std::vector<const ValueInfo*>& inputs) {
  if (op.types == TypeRule::kAny) return {};
  const DataType type = inputs[0]->type;
  for (const ValueInfo* input : inputs) {
    if (input != nullptr && input->type != type) {
      return invalid_argument("its inputs differ in element type");
    }
  }
  if (op.types == TypeRule::kFloat && type != DataType::kFloat32 && type != DataType::kFloat16) {
    return invalid_argument("its inputs must be floating-point numbers");
  }
  return {};
}

/// Looks up what a node reads.
Result<NodeInputs> inputs_of(const Model& model, const Node& node, const ValueTable& table) {
  NodeInputs inputs{node, {}, {}};
  for (const std::string& name : node.inputs) {
    const auto found = table.find(name);
    if (found == table.end() && !name.empty()) {
      return invalid_argument("its input '" + name + "' is not defined before it");
    }
    inputs.values.push_back(name.empty() ? nullptr : &found->second);
    inputs.constants.push_back(name.empty() ? nullptr : model.find_constant(name));
  }
  return inputs;
}

Result<std::vector<ValueInfo>> infer_node(const Model& model, const Node& node,
                                          const ValueTable& table) {
  STRATA_RETURN_IF_ERROR(check_node(node));
  const Operator& op = *find_operator(node.domain, node.op_type);
  STRATA_ASSIGN_OR_RETURN(const NodeInputs inputs, inputs_of(model, node, table));
  STRATA_RETURN_IF_ERROR(check_types(op, inputs.values));
  STRATA_ASSIGN_OR_RETURN(std::vector<TensorType> types, op.infer(inputs));
  if (types.size() < node.outputs.size()) {
    return invalid_argument("it has " + std::to_string(node.outputs.size()) +
                            " outputs, these inputs make " + std::to_string(types.size()));
  }
  std::vector<ValueInfo> values;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    STRATA_RETURN_IF_ERROR(element_count(types[i].shape).status());
    values.push_back({node.outputs[i], types[i].type, std::move(types[i].shape)});
  }
  return values;
}

/// Compares a declared output with the inferred one and fills what inference left open.
Status merge_declared(const Graph& graph, const ValueInfo& declared, ValueTable& table,
                      const Bindings& bindings) {
  const std::string where = "graph '" + graph.name + "': output '" + declared.name + "': ";
  const auto found = table.find(declared.name);
  if (found == table.end()) return invalid_argument(where + "it is not produced by any node");
  Shape expected = declared.shape;
  if (const Status bad = bind(expected, bindings); !bad.ok()) {
    return invalid_argument(where + bad.message());
  }
  Shape& inferred = found->second.shape;
  bool agrees = expected.size() == inferred.size() && declared.type == found->second.type;
  for (size_t i = 0; agrees && i < expected.size(); ++i) {
    agrees = !expected[i].known() || !inferred[i].known() || expected[i] == inferred[i];
  }
  if (!agrees) {
    return invalid_argument(where + "it is declared as " + to_string(expected) +
                            ", but its nodes make " + to_string(inferred) +
                            (declared.type == found->second.type ? "" : " of another type"));
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    const bool open = !inferred[i].known() && inferred[i].symbol().empty();
    if (open || (expected[i].known() && !inferred[i].known())) inferred[i] = expected[i];
  }
  return {};
}

/// The multiply-adds of one weight of a node. Errors hold only the reason.
Result<NodeCost> cost_of(const Parameter& weight, size_t node, int64_t uses) {
  if (uses < 0) {
    return invalid_argument(
        "how often it applies its weight depends on a size that is not known; bind every symbol");
  }
  NodeCost cost{node, weight.name, 0, uses};
  if (__builtin_mul_overflow(uses, weight.element_count(), &cost.dense_macs)) {
    return invalid_argument("its multiply-adds overflow 64 bits");
  }
  return cost;
}

}  // namespace

Result<ValueTable> infer_shapes(const Model& model, const Graph& graph, const Bindings& bindings) {
  const std::string where = "graph '" + graph.name + "': ";
  for (const auto& [symbol, size] : bindings) {
    if (size < 0 || size > kMaxDimension) return binding_error(graph, symbol, size);
  }
  ValueTable table;
  for (const Parameter& parameter : model.parameters) {
    ValueInfo value{parameter.name, DataType::kFloat32, {}};
    for (const int64_t size : parameter.shape) value.shape.emplace_back(size);
    if (const Status bad = bind(value.shape, {}); !bad.ok() || parameter.element_count() < 1) {
      return invalid_argument("parameter '" + parameter.name + "': its shape " +
                              to_string(value.shape) + " is not possible");
    }
    table.insert_or_assign(parameter.name, std::move(value));
  }
  for (const Constant& constant : model.constants) {
    ValueInfo value{constant.name, constant.type, {}};
    for (const int64_t size : constant.shape) value.shape.emplace_back(size);
    table.insert_or_assign(constant.name, std::move(value));
  }
  for (const ValueInfo& input : graph.inputs) {
    ValueInfo value = input;
    if (const Status bad = bind(value.shape, bindings); !bad.ok()) {
      return invalid_argument(where + "input '" + input.name + "': " + bad.message());
    }
    table.insert_or_assign(input.name, std::move(value));
  }
  for (const Node& node : graph.nodes) {
    Result<std::vector<ValueInfo>> outputs = infer_node(model, node, table);
    if (!outputs.ok()) return node_error(graph, node, outputs.status());
    for (ValueInfo& output : *outputs) {
      if (!output.name.empty()) table.insert_or_assign(output.name, std::move(output));
    }
  }
  for (const ValueInfo& output : graph.outputs) {
    STRATA_RETURN_IF_ERROR(merge_declared(graph, output, table, bindings));
  }
  return table;
}

Result<std::vector<NodeCost>> count_macs(const Model& model, const Graph& graph,
                                         const Bindings& bindings) {
  STRATA_ASSIGN_OR_RETURN(const ValueTable table, infer_shapes(model, graph, bindings));
  std::vector<NodeCost> costs;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const Operator& op = *find_operator(node.domain, node.op_type);
    if (op.uses == nullptr) continue;
    STRATA_ASSIGN_OR_RETURN(const NodeInputs inputs, inputs_of(model, node, table));
    std::vector<TensorType> outputs;
    for (const std::string& name : node.outputs) {
      const auto value = table.find(name);
      outputs.push_back(value == table.end() ? TensorType()
                                             : TensorType{value->second.type, value->second.shape});
    }
    for (size_t index = 0; index < node.inputs.size(); ++index) {
      const Parameter* weight = model.find_parameter(node.inputs[index]);
      if (weight == nullptr || weight->role != ParameterRole::kWeight) continue;
      Result<NodeCost> cost = cost_of(*weight, i, op.uses(inputs, outputs, index));
      if (!cost.ok()) return node_error(graph, node, cost.status());
      costs.push_back(std::move(cost).value());
    }
  }
  return costs;
}

}  // namespace strata::graph
