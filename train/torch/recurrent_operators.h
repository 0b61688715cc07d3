// LSTM and GRU by ONNX semantics, with gradients.
#pragma once

#include <span>

#include "graph/graph.h"
#include "train/torch/executor.h"

namespace strata::train {

/// Lengths of sequences outside 1..time throw Error, naming the node.
OperatorKernel make_gru(const graph::Node& node, std::span<const graph::Constant* const> constants);
OperatorKernel make_lstm(const graph::Node& node,
                         std::span<const graph::Constant* const> constants);

}  // namespace strata::train
