// Our operators over points in space, written with ONNX's own. What is chosen is the same, point
// for point: distances are computed in the same order of operations.
#pragma once

#include <set>
#include <string>

#include <onnx/onnx_pb.h>

#include "graph/graph.h"

namespace strata::interop {

/// One of those below.
bool is_point_set_operator(const graph::Node& node);

/// Appends nodes of opset 13 that compute the outputs of `node`; what lies between them gets names
/// that are not in `names`, and joins them. False, and nothing done: not
/// is_point_set_operator().
/// - FarthestPointSampling: a Loop, each turn of which takes the ArgMax of the distances so far;
/// - BallQuery: all distances, then TopK of the indices of those within the radius;
/// - GatherPoints and GroupPoints: GatherND.
bool add_point_set_nodes(const graph::Node& node, onnx::GraphProto& graph,
                         std::set<std::string>& names);

}  // namespace strata::interop
