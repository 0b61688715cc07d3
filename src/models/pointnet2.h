// Classifiers of point clouds: PointNet++ (Qi et al. 2017b) with single-scale or multi-scale
// grouping, and PointNet (Qi et al. 2017a) without its transforms, which is PointNet++ without
// neighbourhoods.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::models {

/// One neighbourhood size of a set abstraction, and the shared layers that see it.
struct GroupingScale {
  double radius = 0;
  int64_t neighbours = 0;
  std::vector<int64_t> widths;
};

/// Points that stand for all (by farthest-point sampling), and what is seen around each.
struct SetAbstraction {
  int64_t centres = 0;
  std::vector<GroupingScale> scales;  ///< one: single-scale grouping; their outputs are joined
};

/// What scales with the clouds is published for ModelNet40: points in the unit ball.
struct PointNetConfig {
  std::string name = "pointnet";
  bool normals = false;   ///< a point is x, y, z and its normal instead of x, y, z alone
  int64_t points = 1024;  ///< usual number; a cloud may have any from the first stage's centres on
  int64_t classes = 40;
  int64_t width = 64;  ///< 64 as published; every layer's width is scaled by width / 64
  std::vector<SetAbstraction> stages;
  std::vector<int64_t> global_widths;  ///< shared layers over all points that are left, then max
  std::vector<int64_t> hidden;         ///< fully connected
  float dropout = 0.5F;                ///< of each hidden layer's output
  bool keep_ends_dense = true;         ///< the first layer of each scale, and the classifier
};

/// One graph "main" with input "points" [batch, points, 3 or 6] and output "logits" [batch,
/// classes]. Every layer but the last is normalised by batch, so it has no bias. The metadata say
/// family and usual number of points. Errors: a size out of range, more centres than points.
Result<graph::Model> pointnet(const PointNetConfig& config);

/// The configuration of a named architecture: pointnet, pointnet2-ssg, pointnet2-msg (all as
/// published), or pointnet2-ssg-small (512 points; 128 and 32 centres of 16 neighbours). Errors:
/// another name.
Result<PointNetConfig> pointnet_config(const std::string& name);

/// The names that pointnet_config() knows.
std::vector<std::string> pointnet_names();

/// Whether pointnet_config() knows the name.
bool is_pointnet(const std::string& name);

}  // namespace strata::models
