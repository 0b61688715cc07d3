// Which weights levels keep: nested by construction, exact in number, the largest first.
#include "train/torch/mask_selection.h"

#include <algorithm>
#include <numeric>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "small_training.h"

namespace strata::train {
namespace {

sparse::LevelBudget weights_budget(double share) {
  sparse::LevelBudget budget;
  budget.weights = share;
  return budget;
}

RC_GTEST_PROP(Largest, KeepsTheLargestScoresAndNests, ()) {
  // Few different scores, so that ties are common.
  const auto steps =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5)));
  const std::vector<float> scores(steps.begin(), steps.end());
  auto counts = *rc::gen::container<std::vector<int64_t>>(
      3, rc::gen::inRange<int64_t>(0, static_cast<int64_t>(scores.size()) + 1));
  std::sort(counts.begin(), counts.end());
  const auto masks = largest(scores, counts);
  for (size_t level = 0; level < counts.size(); ++level) {
    RC_ASSERT(std::accumulate(masks[level].begin(), masks[level].end(), int64_t{0}) ==
              counts[level]);
    for (size_t i = 0; i < scores.size(); ++i) {
      if (level > 0) RC_ASSERT(masks[level - 1][i] <= masks[level][i]);
      for (size_t j = 0; j < scores.size(); ++j) {
        const bool before = scores[i] > scores[j] || (scores[i] == scores[j] && i < j);
        if (before) RC_ASSERT(masks[level][i] >= masks[level][j]);
      }
    }
  }
}

TEST(ScheduledBudget, GoesFromDenseToTheTargetAlongACubic) {
  const sparse::LevelBudget target{.weights = 0.2, .flops = 0.4};
  EXPECT_DOUBLE_EQ(scheduled_budget(target, 0).weights, 1);
  EXPECT_DOUBLE_EQ(*scheduled_budget(target, 0).flops, 1);
  EXPECT_DOUBLE_EQ(scheduled_budget(target, 0.5).weights, 0.2 + 0.8 / 8);
  EXPECT_DOUBLE_EQ(*scheduled_budget(target, 0.5).flops, 0.4 + 0.6 / 8);
  EXPECT_DOUBLE_EQ(scheduled_budget(target, 1).weights, 0.2);
  EXPECT_DOUBLE_EQ(scheduled_budget(target, 7).weights, 0.2);
}

TEST(NestedCounts, GiveEveryLayerAtLeastWhatTheLevelBelowHas) {
  // Uniform shares for a tensor that must stay dense and two that need not.
  std::vector<sparse::LayerBudget> layers(3);
  for (size_t i = 0; i < layers.size(); ++i) {
    layers[i].name = "layer" + std::to_string(i);
    layers[i].elements = 100 * (static_cast<int64_t>(i) + 1);
    layers[i].shape = {layers[i].elements};
  }
  layers[0].prunable = false;
  const std::vector<sparse::LevelBudget> budgets = {weights_budget(0.25), weights_budget(0.5)};
  const auto counts = nested_counts(sparse::AllocationMethod::kUniform, layers, budgets, {});
  ASSERT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts[0], (std::vector<int64_t>{100, 20, 30}));
  EXPECT_EQ(counts[1], (std::vector<int64_t>{100, 80, 120}));
}

TEST(NestedCounts, SayWhichLevelCannotBeMet) {
  std::vector<sparse::LayerBudget> layers(1);
  layers[0] = {.name = "stem",
               .shape = {10},
               .elements = 10,
               .macs_per_nonzero = 1,
               .prunable = false,
               .at_least = 0};
  const std::vector<sparse::LevelBudget> budgets = {weights_budget(0.5)};
  const std::string message = testing::error_of(
      [&] { (void)nested_counts(sparse::AllocationMethod::kUniform, layers, budgets, {}); });
  EXPECT_NE(message.find("level 0 of the recipe (levels.weights)"), std::string::npos) << message;
}

}  // namespace
}  // namespace strata::train
