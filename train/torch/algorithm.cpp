// What the algorithms share, and the choice among them.
#include "train/torch/algorithm.h"

#include <cmath>

#include "train/error.h"
#include "train/torch/mask_selection.h"

namespace strata::train {

WeightScores::WeightScores(Network& network)
    : layers(value_or_throw(sparse::layer_budgets(network.model()))) {
  for (const size_t p : network.weights()) {
    std::vector<float>& magnitudes = values.emplace_back(network.weight_values(p));
    for (float& value : magnitudes) value = std::fabs(value);
  }
  for (const std::vector<float>& magnitudes : values) views.emplace_back(magnitudes);
}

std::unique_ptr<NestingAlgorithm> make_algorithm(const Recipe& recipe, Network& network,
                                                 const Task& task) {
  // A budget that cannot be met is better known now than when pruning reaches it.
  const WeightScores scores(network);
  (void)nested_counts(recipe.levels.allocation, scores.layers, level_budgets(recipe), scores.views);
  if (recipe.algorithm.kind == AlgorithmKind::kGrow) {
    return make_grow(recipe, network, task);
  }
  return make_joint(recipe, network, task);
}

}  // namespace strata::train
