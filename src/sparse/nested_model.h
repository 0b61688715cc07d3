// A whole nested model in memory: the graphs, every weight tensor nested, and the per-level
// vectors (bias, normalisation). What training makes, what a file stores, what the runtime loads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"
#include "sparse/nested.h"

namespace strata::sparse {

using VectorTable = std::map<std::string, std::vector<float>, std::less<>>;

struct NestedModel {
  graph::Model model;
  int level_count = 0;
  /// Every kWeight parameter of the model, by name.
  std::map<std::string, NestedTensor, std::less<>> weights;
  /// [level][parameter]: every other parameter of the model.
  std::vector<VectorTable> vectors;
  /// How it was made, a JSON object (recipe, seed, metrics); empty if unknown.
  std::string record;
  bool operator==(const NestedModel&) const = default;
};

/// Checks that parameters, shapes, levels and nesting agree with the graphs. Errors name the
/// parameter, the level and the reason.
Status check(const NestedModel& nested);

/// Folds the statistics of every BatchNormalization into its scale and shift, level by level:
/// scale' = scale / sqrt(variance + epsilon), shift' = shift - mean * scale'; afterwards mean is 0,
/// variance is 1 and the node's epsilon is 0, so that the graph computes the same function.
Status fold_normalisation(NestedModel& nested);

/// One level as a model of its own, with a single level: its non-zeros in one increment and its own
/// vectors. What storing that level apart would hold, to compare the nested model with.
/// Precondition: check(nested) passes. Errors: a level outside 0..level_count-1.
Result<NestedModel> level_alone(const NestedModel& nested, int level);

}  // namespace strata::sparse
