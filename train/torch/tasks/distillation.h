// Any network that somebody has trained, learning from itself as it was: its nested levels are
// taught by the dense original, and by labels where there are.
#pragma once

#include <memory>

#include "sparse/nested_model.h"
#include "train/data/samples.h"
#include "train/torch/task.h"

namespace strata::train {

/// `dense` has one level and one graph; it and `samples` must outlive the task. Part of the samples
/// is held out, to tell how the levels do. Throws Error: labels that the output has no room for.
std::unique_ptr<Task> make_distillation(const Recipe& recipe, const sparse::NestedModel& dense,
                                        const data::Samples& samples, int threads);

}  // namespace strata::train
