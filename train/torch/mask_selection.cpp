// Budgets to counts to masks, in plain C++.
#include "train/torch/mask_selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "train/error.h"

namespace strata::train {

std::vector<sparse::LevelBudget> level_budgets(const Recipe& recipe) {
  if (recipe.algorithm.kind == AlgorithmKind::kDense) return {sparse::LevelBudget{}};
  std::vector<sparse::LevelBudget> budgets;
  for (size_t k = 0; k < recipe.levels.weights.size(); ++k) {
    sparse::LevelBudget budget;
    budget.weights = recipe.levels.weights[k] / 100;
    if (!recipe.levels.flops.empty()) budget.flops = recipe.levels.flops[k] / 100;
    budgets.push_back(budget);
  }
  return budgets;
}

sparse::LevelBudget scheduled_budget(const sparse::LevelBudget& target, double progress) {
  const double remaining = std::pow(1 - std::clamp(progress, 0.0, 1.0), 3);
  sparse::LevelBudget budget = target;
  budget.weights += (1 - target.weights) * remaining;
  if (target.flops) budget.flops = *target.flops + (1 - *target.flops) * remaining;
  return budget;
}

std::vector<std::vector<int64_t>> nested_counts(
    sparse::AllocationMethod method, std::vector<sparse::LayerBudget> layers,
    std::span<const sparse::LevelBudget> budgets,
    std::span<const std::span<const float>> magnitudes) {
  std::vector<std::vector<int64_t>> counts;
  for (size_t level = 0; level < budgets.size(); ++level) {
    auto result = sparse::allocate(method, layers, budgets[level], magnitudes);
    if (!result.ok()) {
      throw Error("level " + std::to_string(level) + " of the recipe (levels.weights) cannot be " +
                  "met: " + result.status().message());
    }
    counts.push_back(std::move(result).value());
    for (size_t i = 0; i < layers.size(); ++i) layers[i].at_least = counts.back()[i];
  }
  return counts;
}

std::vector<std::vector<uint8_t>> largest(std::span<const float> scores,
                                          std::span<const int64_t> counts) {
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto before = [&](uint32_t a, uint32_t b) {
    return scores[a] > scores[b] || (scores[a] == scores[b] && a < b);
  };
  std::vector<std::vector<uint8_t>> masks(counts.size());
  auto end = order.end();  // each level selects inside what the level above it took
  for (size_t level = counts.size(); level-- > 0;) {
    const auto cut = order.begin() + counts[level];
    if (cut != end) std::nth_element(order.begin(), cut, end, before);
    end = cut;
    masks[level].assign(scores.size(), 0);
    for (auto it = order.begin(); it != end; ++it) masks[level][*it] = 1;
  }
  return masks;
}

}  // namespace strata::train
