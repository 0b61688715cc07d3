// What the rewritings of ONNX operators share, and the sets that make up their table. One function
// per operator says a node of any opset in the operators that strata knows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "interop/onnx_scope.h"

namespace strata::interop {

/// Errors hold only the reason: the caller knows the node.
using Rewriting = Status (*)(Scope&, const OnnxNode&);
using Rewritings = std::map<std::string_view, Rewriting>;
using Attributes = std::map<std::string, graph::Attribute, std::less<>>;

/// What changes nothing but shapes or places of elements.
const Rewritings& shape_rewritings();
/// Element by element, reductions, and what does nothing.
const Rewritings& elementwise_rewritings();
/// Layers: products, convolutions, pools, normalisations.
const Rewritings& layer_rewritings();
/// Recurrent layers.
const Rewritings& recurrent_rewritings();

/// The node with only its first `inputs` inputs and first output.
graph::Node trimmed(const OnnxNode& node, size_t inputs);

/// Errors: one of the first `least` inputs, or the first output, is missing.
Status require_inputs(const OnnxNode& node, size_t least);
/// Errors: another output than the first is used.
Status require_one_output(const OnnxNode& node);

/// The node as it is.
Status pass(Scope& scope, const OnnxNode& node);
/// Makes the output another name of the input.
Status drop(Scope& scope, const OnnxNode& node);

/// Emits a node of its own and returns what it makes; `base` and `suffix` make up its name.
Result<std::string> emit_step(Scope& scope, const std::string& base, std::string_view suffix,
                              std::string op_type, std::vector<std::string> inputs,
                              Attributes attributes = {});

/// Input `index` as a node of strata's can read it: a value as it is; a constant as a constant of
/// the model if it holds one number or integers, else as a parameter of role `role`.
Result<std::string> operand(Scope& scope, const OnnxNode& node, size_t index,
                            graph::ParameterRole role);

/// Makes outputs[0] of `node` its inputs[0] in the shape `target`, row-major order kept.
Status emit_reshape(Scope& scope, const graph::Node& node, const graph::Shape& target);

}  // namespace strata::interop
