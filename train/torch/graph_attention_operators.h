// Dropout, and our operators over graphs in compressed rows with their gradients.
#pragma once

#include <span>

#include "graph/graph.h"
#include "train/torch/executor.h"

namespace strata::train {

using OperatorConstants = std::span<const graph::Constant* const>;

OperatorKernel make_dropout(const graph::Node& node, OperatorConstants constants);

/// These run on the CPU only and throw Error elsewhere.
OperatorKernel make_edge_softmax(const graph::Node& node, OperatorConstants constants);
OperatorKernel make_edge_sum(const graph::Node& node, OperatorConstants constants);
OperatorKernel make_head_scores(const graph::Node& node, OperatorConstants constants);
OperatorKernel make_sparse_product(const graph::Node& node, OperatorConstants constants);

}  // namespace strata::train
