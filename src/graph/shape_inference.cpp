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
  const DataType type = inputs[0]->type;
  for (const ValueInfo* input : inputs) {
    if (input != nullptr && input->type != type) {
      return invalid_argument("its inputs differ in element type");
    }
  }
  if (op.floating_point && type != DataType::kFloat32 && type != DataType::kFloat16) {
    return invalid_argument("its inputs must be floating-point numbers");
  }
  return {};
}

Result<ValueInfo> infer_node(const Node& node, const ValueTable& table) {
  STRATA_RETURN_IF_ERROR(check_node(node));
  const Operator& op = *find_operator(node.domain, node.op_type);
  std::vector<const ValueInfo*> inputs;
  NodeShapes shapes{node, {}};
  for (const std::string& name : node.inputs) {
    const auto found = table.find(name);
    if (found == table.end() && !name.empty()) {
      return invalid_argument("its input '" + name + "' is not defined before it");
    }
    inputs.push_back(name.empty() ? nullptr : &found->second);
    shapes.inputs.push_back(name.empty() ? nullptr : &found->second.shape);
  }
  STRATA_RETURN_IF_ERROR(check_types(op, inputs));
  STRATA_ASSIGN_OR_RETURN(Shape shape, op.infer(shapes));
  STRATA_RETURN_IF_ERROR(element_count(shape).status());
  return ValueInfo{node.outputs[0], inputs[0]->type, std::move(shape)};
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

/// The parameter with role kWeight that a node applies, or null.
const Parameter* applied_weight(const Model& model, const Node& node) {
  for (const size_t index : {size_t{1}, size_t{0}}) {
    const Parameter* parameter = model.find_parameter(node.inputs[index]);
    if (parameter != nullptr && parameter->role == ParameterRole::kWeight) return parameter;
  }
  return nullptr;
}

/// Terms that are summed for one element of the output.
int64_t summed_terms(const Node& node, const ValueTable& table) {
  const Shape& a = table.at(node.inputs[0]).shape;
  const Shape& b = table.at(node.inputs[1]).shape;
  if (node.op_type == "Conv") {
    int64_t terms = 1;
    for (size_t i = 1; i < b.size(); ++i) terms *= b[i].value();
    return terms;
  }
  const bool transposed = node.op_type == "Gemm" && node.attribute_int("transA", 0) != 0;
  return a[transposed ? 0 : a.size() - 1].value();
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
  for (const ValueInfo& input : graph.inputs) {
    ValueInfo value = input;
    if (const Status bad = bind(value.shape, bindings); !bad.ok()) {
      return invalid_argument(where + "input '" + input.name + "': " + bad.message());
    }
    table.insert_or_assign(input.name, std::move(value));
  }
  for (const Node& node : graph.nodes) {
    Result<ValueInfo> output = infer_node(node, table);
    if (!output.ok()) return node_error(graph, node, output.status());
    const std::string name = output->name;
    table.insert_or_assign(name, std::move(output).value());
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
    if (node.op_type != "Conv" && node.op_type != "Gemm" && node.op_type != "MatMul") continue;
    const Parameter* weight = applied_weight(model, node);
    if (weight == nullptr) continue;
    const Shape& output = table.at(node.outputs[0]).shape;
    STRATA_ASSIGN_OR_RETURN(const int64_t outputs, element_count(output));
    const int64_t terms = summed_terms(node, table);
    NodeCost cost{i, weight->name, 0, 0};
    if (outputs < 0 || terms < 0) {
      return node_error(graph, node,
                        invalid_argument("its output " + to_string(output) +
                                         " has a size that is not known; bind every symbol"));
    }
    if (__builtin_mul_overflow(outputs, terms, &cost.dense_macs)) {
      return node_error(graph, node, invalid_argument("its multiply-adds overflow 64 bits"));
    }
    if (weight->element_count() > 0) {
      cost.macs_per_nonzero = cost.dense_macs / weight->element_count();
    }
    costs.push_back(std::move(cost));
  }
  return costs;
}

}  // namespace strata::graph
