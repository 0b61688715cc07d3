// Labelled point clouds, for PointNet++ and PointNet.
#pragma once

#include <memory>

#include "train/torch/task.h"

namespace strata::train {

std::unique_ptr<Task> make_point_classification(const Recipe& recipe, const TaskContext& context);

}  // namespace strata::train
