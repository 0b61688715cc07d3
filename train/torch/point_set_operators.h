// Our operators over sets of points. What chooses points has no gradient and runs on the CPU, by
// the runtime's kernels; what moves values has libtorch's gradients on any device.
// docs/point-clouds.md has the semantics.
#pragma once

#include <span>

#include "graph/graph.h"
#include "train/torch/executor.h"

namespace strata::train {

OperatorKernel make_ball_query(const graph::Node& node,
                               std::span<const graph::Constant* const> constants);
OperatorKernel make_farthest_point_sampling(const graph::Node& node,
                                            std::span<const graph::Constant* const> constants);
OperatorKernel make_gather_points(const graph::Node& node,
                                  std::span<const graph::Constant* const> constants);
OperatorKernel make_group_points(const graph::Node& node,
                                 std::span<const graph::Constant* const> constants);

}  // namespace strata::train
