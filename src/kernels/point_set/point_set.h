// Sampling, neighbourhoods and grouping of points in space (Qi et al. 2017, PointNet++). Distances
// are (dx * dx + dy * dy) + dz * dz in float, each operation rounded by itself, so that every
// target and every executor chooses the same points.
#pragma once

#include <cstdint>

#include "kernels/plane_layout.h"
#include "kernels/target.h"

namespace strata::kernels {

/// Coordinates lie in three planes, each of a whole number of blocks, so that vectors need no tail.
constexpr int64_t coordinate_stride(int64_t points) { return round_up(points, kPixelBlock); }

/// Splits `points` [count, 3] into planes [3, coordinate_stride(count)]; what pads them is so far
/// away that nothing is near it.
void split_coordinates(const float* points, int64_t count, float* planes);

/// `wanted` points of one cloud: point 0, then always the one that is farthest from those chosen so
/// far, the first of equals. Where all are chosen or doubles of chosen ones, point 0 again.
struct FarthestPointsArguments {
  const float* planes = nullptr;  ///< [3, coordinate_stride(points)]
  int64_t points = 0;
  int64_t wanted = 0;          ///< 1..points
  float* distances = nullptr;  ///< [coordinate_stride(points)], scratch
  int32_t* output = nullptr;   ///< [wanted]
};

/// For every centre the first `neighbours` points, in their order, that are nearer than `radius`;
/// where there are fewer, the first of them fills the rest; where there is none, point 0 does.
struct BallQueryArguments {
  const float* planes = nullptr;  ///< [3, coordinate_stride(points)]
  int64_t points = 0;
  const float* centres = nullptr;  ///< [centre, 3]
  float radius = 0;
  int64_t neighbours = 0;
  int32_t* output = nullptr;  ///< [centre, neighbours]
};

/// Channel c of neighbour k of centre m: its position from the centre, then its features.
struct GroupPointsArguments {
  const float* planes = nullptr;         ///< [3, coordinate_stride(points)]
  const float* centre_planes = nullptr;  ///< [3, coordinate_stride(centres)]
  const float* features = nullptr;       ///< [channel - 3, points]
  const int32_t* indices = nullptr;      ///< [neighbour, centre], each in 0..points-1
  int64_t points = 0;
  int64_t centres = 0;
  int64_t neighbours = 0;
  float* output = nullptr;  ///< [channel, neighbour, centre]
};

struct PointSetKernel {
  void (*farthest_points)(const FarthestPointsArguments& arguments);
  /// Of centres begin..end-1.
  void (*ball_query)(const BallQueryArguments& arguments, int64_t begin, int64_t end);
  /// Of channels begin..end-1.
  void (*group_points)(const GroupPointsArguments& arguments, int64_t begin, int64_t end);
};

/// The kernel for one target, which must be among supported_targets(); kScalar is the oracle.
PointSetKernel point_set_kernel(Target target);

}  // namespace strata::kernels
