// Point clouds as a classifier of them takes them.
#pragma once

#include <cstdint>

#include "format/reader.h"
#include "graph/graph.h"

namespace strata::cli {

/// Whether the model classifies point clouds, by its metadata.
bool classifies_points(const graph::Model& model);

/// What a model takes and answers with.
struct PointInput {
  int64_t points = 0;  ///< of a cloud; what it was trained with
  bool normals = false;
  bool turned = false;  ///< by any angle about the up axis, in training
  int64_t classes = 0;
};

/// Throws Error: a model with other inputs or outputs than models::pointnet() gives it.
PointInput point_input(const format::Reader& reader);

}  // namespace strata::cli
