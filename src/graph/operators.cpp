// The table of operators, and what a node says by itself.
#include "graph/operators.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

const std::vector<Operator>& operators() {
  static const std::vector<Operator> all = [] {
    std::vector<Operator> table;
    for (auto set : {arithmetic_operators(), elementwise_operators(), graph_attention_operators(),
                     layout_operators(), matrix_operators(), normalisation_operators(),
                     point_set_operators(), recurrent_operators(), reduction_operators(),
                     selection_operators(), window_operators()}) {
      std::move(set.begin(), set.end(), std::back_inserter(table));
    }
    return table;
  }();
  return all;
}

Status check_attributes(const Node& node, const Operator& op) {
  constexpr std::array<std::string_view, 5> kKindNames = {
      "an integer", "a number", "a string", "a list of integers", "a list of numbers"};
  for (const auto& [name, value] : node.attributes) {
    const auto rule = std::find_if(op.attributes.begin(), op.attributes.end(),
                                   [&key = name](const AttributeRule& r) { return r.name == key; });
    if (rule == op.attributes.end()) {
      return unsupported("attribute " + quoted(name) + " is not known for this operator");
    }
    const auto expected = static_cast<size_t>(rule->kind);
    if (value.index() != expected) {
      return invalid_argument("attribute " + quoted(name) + " must be " +
                              std::string(kKindNames[expected]));
    }
  }
  return {};
}

}  // namespace

const Operator* find_operator(std::string_view domain, std::string_view op_type) {
  for (const Operator& op : operators()) {
    if (op.domain == domain && op.op_type == op_type) return &op;
  }
  return nullptr;
}

Status check_node(const Node& node) {
  const Operator* op = find_operator(node.domain, node.op_type);
  if (op == nullptr) {
    return unsupported("the operator is not known" +
                       (node.domain.empty() ? "" : " in domain " + quoted(node.domain)));
  }
  const size_t count = node.inputs.size();
  if (count < op->required_inputs || count > op->max_inputs) {
    return invalid_argument("it has " + std::to_string(count) + " inputs, the operator takes " +
                            std::to_string(op->required_inputs) +
                            (op->max_inputs == op->required_inputs ? ""
                             : op->max_inputs == kVariadic
                                 ? " or more"
                                 : " to " + std::to_string(op->max_inputs)));
  }
  const size_t needed = op->max_inputs == kVariadic ? count : op->required_inputs;
  for (size_t i = 0; i < needed; ++i) {
    if (node.inputs[i].empty()) {
      return invalid_argument("input " + std::to_string(i) + " must not be omitted");
    }
  }
  if (node.outputs.empty() || node.outputs.size() > op->max_outputs) {
    return unsupported("it has " + std::to_string(node.outputs.size()) +
                       " outputs, the operator makes " +
                       (op->max_outputs == 1 ? "1" : "1 to " + std::to_string(op->max_outputs)));
  }
  const auto unnamed = [](const std::string& output) { return output.empty(); };
  if (std::all_of(node.outputs.begin(), node.outputs.end(), unnamed)) {
    return invalid_argument("none of its outputs has a name");
  }
  return check_attributes(node, *op);
}

Status node_error(const Graph& graph, const Node& node, const Status& reason) {
  return {reason.code(), "graph " + quoted(graph.name) + ": node " + quoted(node.name) + " (" +
                             node.op_type + "): " + reason.message()};
}

Result<int64_t> element_count(const Shape& shape) {
  int64_t count = 1;
  bool all_known = true;
  for (const Dim& dim : shape) {
    if (!dim.known()) {
      all_known = false;
      continue;
    }
    if (dim.value() > kMaxDimension || __builtin_mul_overflow(count, dim.value(), &count) ||
        count > kMaxElements) {
      return invalid_argument("shape " + to_string(shape) + " is too large");
    }
  }
  return all_known ? count : -1;
}

}  // namespace strata::graph
