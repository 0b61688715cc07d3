// The table of rewritings, and what they share.
#include "interop/onnx_rewriting.h"

#include <algorithm>
#include <utility>

namespace strata::interop {
namespace {

const Rewriting* find(const OnnxNode& node) {
  if (!node.node.domain.empty()) return nullptr;
  for (const Rewritings* set : {&elementwise_rewritings(), &layer_rewritings(),
                                &recurrent_rewritings(), &shape_rewritings()}) {
    if (const auto found = set->find(node.node.op_type); found != set->end()) return &found->second;
  }
  return nullptr;
}

}  // namespace

/// The node with only its first `inputs` inputs and first output.
graph::Node trimmed(const OnnxNode& node, size_t inputs) {
  graph::Node trimmed = node.node;
  trimmed.inputs.resize(std::min(inputs, trimmed.inputs.size()));
  trimmed.outputs.resize(1);
  return trimmed;
}

Status require_inputs(const OnnxNode& node, size_t least) {
  for (size_t i = 0; i < least; ++i) {
    if (!node.has_input(i)) {
      return invalid_argument("its input " + std::to_string(i) + " is missing");
    }
  }
  if (node.node.outputs.empty() || node.node.outputs[0].empty()) {
    return invalid_argument("it has no output");
  }
  return {};
}

Status require_one_output(const OnnxNode& node) {
  for (size_t i = 1; i < node.node.outputs.size(); ++i) {
    if (!node.node.outputs[i].empty()) {
      return unsupported("its output " + std::to_string(i) + " is not supported");
    }
  }
  return {};
}

Status pass(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_one_output(node));
  return scope.emit(node.node);
}

Status drop(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  scope.alias(node.node.outputs[0], node.node.inputs[0]);
  return {};
}

Result<std::string> emit_step(Scope& scope, const std::string& base, std::string_view suffix,
                              std::string op_type, std::vector<std::string> inputs,
                              Attributes attributes) {
  const std::string name = scope.unused_name(base + std::string(suffix));
  STRATA_RETURN_IF_ERROR(
      scope.emit({name, std::move(op_type), "", std::move(inputs), {name}, std::move(attributes)}));
  return name;
}

Result<std::string> operand(Scope& scope, const OnnxNode& node, size_t index,
                            graph::ParameterRole role) {
  const std::string& name = node.node.inputs[index];
  STRATA_ASSIGN_OR_RETURN(const Constant* constant, scope.constant(name));
  if (constant == nullptr) return name;
  if (constant->floating() && constant->element_count() != 1) {
    return scope.parameter(name, *constant, role);
  }
  return scope.model_constant(name, *constant);
}

Status rewrite(Scope& scope, const OnnxNode& node) {
  if (!node.node.domain.empty()) {
    return unsupported("the operator domain '" + node.node.domain + "' is not known");
  }
  const Rewriting* found = find(node);
  if (found == nullptr) return unsupported("the operator is not supported");
  return (*found)(scope, node);
}

bool knows(const OnnxNode& node) {
  return find(node) != nullptr || (node.node.domain.empty() && folds(node.node.op_type));
}

}  // namespace strata::interop
