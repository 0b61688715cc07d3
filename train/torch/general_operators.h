// Operators that libtorch executes as they are, by ONNX semantics: element by element, reductions,
// selections. Layers with windows, products and normalisation over channels are in executor.cpp.
#pragma once

#include <map>
#include <span>
#include <string>

#include "graph/graph.h"
#include "train/torch/executor.h"

namespace strata::train {

/// Reads a node's attributes and constants once; constants[i] is null unless input i is one.
/// Throws Error for what it cannot execute, naming the node.
using OperatorFactory = OperatorKernel (*)(const graph::Node& node,
                                           std::span<const graph::Constant* const> constants);

/// By the name of the operator, of ONNX's domain.
const std::map<std::string, OperatorFactory, std::less<>>& general_operators();

}  // namespace strata::train
