// What pruning each layer costs the network's output, measured on the dense network: from these
// curves follow the densities that hurt the output least within a budget. Needs libtorch to link,
// but shows nothing of it.
#pragma once

#include <string>
#include <vector>

#include "sparse/nested_model.h"
#include "train/torch/calibration.h"
#include "train/torch/density_curves.h"

namespace strata::train {

struct LayerSensitivity {
  std::string weight;
  DensityCurve curve;      ///< of cost 1 per weight
  double sensitivity = 0;  ///< distance of the network's output per relative error of this layer
};

/// One entry per weight, in the order of sparse::layer_budgets(). `dense` has one level and one
/// graph. Throws Error: as compress_one_shot().
std::vector<LayerSensitivity> measure_sensitivity(const sparse::NestedModel& dense,
                                                  const Calibration& data,
                                                  const CompressionProgress& progress = {});

}  // namespace strata::train
