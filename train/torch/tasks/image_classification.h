// Images and their labels, for residual networks.
#pragma once

#include <memory>

#include "train/torch/task.h"

namespace strata::train {

std::unique_ptr<Task> make_image_classification(const Recipe& recipe, const TaskContext& context);

}  // namespace strata::train
