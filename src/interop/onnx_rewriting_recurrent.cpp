// Rewritings of recurrent layers. What says only what is always so is left out, and what stores the
// batch first (layout 1) is transposed around the layer.
#include <algorithm>
#include <utility>

#include "interop/onnx_rewriting.h"

namespace strata::interop {
namespace {

using graph::ParameterRole;
using Ints = std::vector<int64_t>;
using Names = std::vector<std::string>;

enum Input : size_t { kX, kW, kR, kB, kSequenceLens, kInitialH, kInitialC, kPeepholes };

bool all_zero(const Constant& constant) {
  return std::all_of(constant.floats.begin(), constant.floats.end(),
                     [](float value) { return value == 0.0F; });
}

/// Errors: activations other than the operator's own.
Status check_activations(const OnnxNode& node, const Names& usual) {
  const auto found = node.strings.find("activations");
  if (found == node.strings.end()) return {};
  for (size_t i = 0; i < found->second.size(); ++i) {
    if (found->second[i] != usual[i % usual.size()]) {
      return unsupported("its activation '" + found->second[i] + "' is not supported, only '" +
                         usual[i % usual.size()] + "' is in that place");
    }
  }
  return {};
}

/// Removes an attribute that must be 0. Errors: it is not.
Status drop_zero(graph::Node& node, const std::string& attribute) {
  if (node.attribute_int(attribute, 0) != 0) {
    return unsupported("attribute '" + attribute + "' must be 0");
  }
  node.attributes.erase(attribute);
  return {};
}

/// A weight or bias: constant, and so a parameter.
Result<std::string> parameter_input(Scope& scope, const OnnxNode& node, size_t index,
                                    std::string_view what, ParameterRole role) {
  STRATA_ASSIGN_OR_RETURN(const Constant* constant, constant_input(scope, node, index, what));
  return scope.parameter(node.node.inputs[index], *constant, role);
}

/// Swaps time and batch, or directions and batch.
Result<std::string> swapped(Scope& scope, const graph::Node& node, std::string_view suffix,
                            const std::string& value) {
  return emit_step(scope, node.name, suffix, "Transpose", {value}, {{"perm", Ints{1, 0, 2}}});
}

/// An initial state; empty where it is omitted or zero.
Result<std::string> state_input(Scope& scope, const OnnxNode& node, size_t index,
                                bool batch_first) {
  if (!node.has_input(index)) return std::string();
  STRATA_ASSIGN_OR_RETURN(const Constant* constant, scope.constant(node.node.inputs[index]));
  if (constant != nullptr && constant->floating() && constant->known() && all_zero(*constant)) {
    return std::string();
  }
  if (constant != nullptr) {
    if (batch_first) return unsupported("its initial state is constant and stores the batch first");
    return scope.parameter(node.node.inputs[index], *constant, ParameterRole::kBias);
  }
  if (!batch_first) return node.node.inputs[index];
  return swapped(scope, node.node, ".state", node.node.inputs[index]);
}

Status rewrite_recurrent(Scope& scope, const OnnxNode& node, const Names& activations) {
  for (const size_t i : {kX, kW, kR}) {
    if (!node.has_input(i)) {
      return invalid_argument("its input " + std::to_string(i) + " is missing");
    }
  }
  STRATA_RETURN_IF_ERROR(check_activations(node, activations));
  graph::Node layer = node.node;
  STRATA_RETURN_IF_ERROR(drop_zero(layer, "input_forget"));
  for (const char* const list : {"activation_alpha", "activation_beta"}) {
    layer.attributes.erase(list);  // the usual activations have no parameters
  }
  const bool batch_first = layer.attribute_int("layout", 0) != 0;
  layer.attributes.erase("layout");

  if (node.has_input(kPeepholes)) {
    STRATA_ASSIGN_OR_RETURN(const Constant* peepholes,
                            scope.constant(node.node.inputs[kPeepholes]));
    if (peepholes == nullptr || !all_zero(*peepholes)) {
      return unsupported("its peepholes (input 7) are not supported");
    }
  }
  Names inputs(kInitialC + 1);
  inputs[kX] = node.node.inputs[kX];
  if (batch_first) {
    STRATA_ASSIGN_OR_RETURN(inputs[kX], swapped(scope, layer, ".input", inputs[kX]));
  }
  STRATA_ASSIGN_OR_RETURN(inputs[kW],
                          parameter_input(scope, node, kW, "its weight W", ParameterRole::kWeight));
  STRATA_ASSIGN_OR_RETURN(inputs[kR],
                          parameter_input(scope, node, kR, "its weight R", ParameterRole::kWeight));
  if (node.has_input(kB)) {
    STRATA_ASSIGN_OR_RETURN(inputs[kB],
                            parameter_input(scope, node, kB, "its bias", ParameterRole::kBias));
  }
  if (node.has_input(kSequenceLens)) {
    STRATA_ASSIGN_OR_RETURN(inputs[kSequenceLens],
                            operand(scope, node, kSequenceLens, ParameterRole::kBias));
  }
  for (const size_t i : {kInitialH, kInitialC}) {
    STRATA_ASSIGN_OR_RETURN(inputs[i], state_input(scope, node, i, batch_first));
  }
  while (inputs.back().empty()) inputs.pop_back();
  layer.inputs = std::move(inputs);
  if (!batch_first) return scope.emit(std::move(layer));

  const Names wanted = layer.outputs;
  for (std::string& output : layer.outputs) {
    if (!output.empty()) output = scope.unused_name(std::string(output).append(".time_first"));
  }
  const Names made = layer.outputs;
  const std::string name = layer.name;
  STRATA_RETURN_IF_ERROR(scope.emit(std::move(layer)));
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].empty()) continue;
    // [time, directions, batch, hidden] of all outputs, [directions, batch, hidden] of the last.
    const Ints order = i == 0 ? Ints{2, 0, 1, 3} : Ints{1, 0, 2};
    STRATA_RETURN_IF_ERROR(scope.emit({scope.unused_name(name + ".batch_first"),
                                       "Transpose",
                                       "",
                                       {made[i]},
                                       {wanted[i]},
                                       {{"perm", order}}}));
  }
  return {};
}

Status rewrite_lstm(Scope& scope, const OnnxNode& node) {
  return rewrite_recurrent(scope, node, {"Sigmoid", "Tanh", "Tanh"});
}

Status rewrite_gru(Scope& scope, const OnnxNode& node) {
  return rewrite_recurrent(scope, node, {"Sigmoid", "Tanh"});
}

}  // namespace

const Rewritings& recurrent_rewritings() {
  static const Rewritings table = {{"GRU", rewrite_gru}, {"LSTM", rewrite_lstm}};
  return table;
}

}  // namespace strata::interop
