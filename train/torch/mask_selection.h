// Which weights a level keeps: counts per layer from the budgets, then the largest scores of every
// layer. Levels nest because all of them cut the same order of scores. Needs no libtorch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sparse/allocation.h"
#include "train/recipe.h"

namespace strata::train {

/// The recipe's levels as shares; one level that keeps everything for AlgorithmKind::kDense.
std::vector<sparse::LevelBudget> level_budgets(const Recipe& recipe);

/// `target` loosened towards dense: at `progress` 0 everything is kept, at 1 the target, between
/// them along the cubic of Zhu and Gupta 2017.
sparse::LevelBudget scheduled_budget(const sparse::LevelBudget& target, double progress);

/// counts[level][layer], never falling from level to level. Throws Error if a budget cannot be met.
std::vector<std::vector<int64_t>> nested_counts(sparse::AllocationMethod method,
                                                std::vector<sparse::LayerBudget> layers,
                                                std::span<const sparse::LevelBudget> budgets,
                                                std::span<const std::span<const float>> magnitudes);

/// masks[level][element] of one layer: the counts[level] largest scores; of equal scores the first
/// in memory. Precondition: counts ascend and do not exceed scores.size().
std::vector<std::vector<uint8_t>> largest(std::span<const float> scores,
                                          std::span<const int64_t> counts);

}  // namespace strata::train
