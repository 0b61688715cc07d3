// Nodes of one graph and their labels, for graph attention networks: every pass sees the whole
// graph, the splits say whose labels are learned, choose the best epoch, and are tested
// (transductive learning).
#pragma once

#include <memory>

#include "train/torch/task.h"

namespace strata::train {

std::unique_ptr<Task> make_node_classification(const Recipe& recipe, const TaskContext& context);

}  // namespace strata::train
