// What the algorithms share, and the choice among them.
#include "train/torch/algorithm.h"

#include <cmath>

#include <ATen/CPUGeneratorImpl.h>

#include "train/data/augment.h"
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

at::Generator pass_generator(const Recipe& recipe, int64_t step, int64_t pass) {
  // Sets these draws apart from those of shuffling, augmentation and routes.
  constexpr uint64_t kDropoutSalt = 0x64726f706f7574ULL;
  const data::RandomKey key{static_cast<uint64_t>(recipe.seed) ^ kDropoutSalt,
                            static_cast<uint64_t>(step)};
  return at::detail::createCPUGenerator(data::random_bits(key, static_cast<uint64_t>(pass), 0));
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
