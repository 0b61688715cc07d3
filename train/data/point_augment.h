// What may happen to a point cloud in training, and the views of it that vote at evaluation. Every
// choice is a pure function of key and sample, like those of augment.h.
#pragma once

#include <cstdint>

#include "train/data/augment.h"

namespace strata::data {

/// As published for PointNet++ (Qi et al. 2017b), in this order. Zero and false: nothing.
struct PointAugmentation {
  double point_dropout = 0;  ///< up to this share of the points becomes the first point
  bool rotate = false;       ///< by any angle about the up axis, y
  double scale = 0;          ///< by a factor from 1 - scale to 1 / (1 - scale)
  double shift = 0;          ///< along each axis by -shift .. shift
  double jitter = 0;  ///< standard deviation of what moves each coordinate, cut off at five of them
};

/// Writes the points of `cloud` [points, width] in random order, augmented, into `out`. Width is 3,
/// or 6 with normals, which turn with the cloud.
void augment_cloud(const float* cloud, int64_t points, int64_t width,
                   const PointAugmentation& augmentation, const RandomKey& key, int64_t sample,
                   float* out);

/// View `vote` of `votes` of a cloud, whose answers are added up: view 0 is the cloud itself, the
/// others have their points in another order, so that sampling begins elsewhere, and are turned
/// about the up axis by vote / votes of a turn if `rotate`.
void view_of_cloud(const float* cloud, int64_t points, int64_t width, int64_t vote, int64_t votes,
                   bool rotate, float* out);

}  // namespace strata::data
