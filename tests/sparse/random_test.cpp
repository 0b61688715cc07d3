// Random nested models: the asked densities, nesting, distribution, and the same bytes every time.
#include "sparse/random.h"

#include <cmath>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

#include "models/resnet.h"
#include "small_model.h"
#include "sparse/accounting.h"

namespace strata::sparse {
namespace {

graph::Model resnet(const std::string& name, bool all_prunable) {
  const auto config = models::resnet_config(name);
  EXPECT_TRUE(config.ok());
  auto model = models::resnet(config.value());
  EXPECT_TRUE(model.ok()) << model.status().message();
  if (all_prunable) {
    for (graph::Parameter& parameter : model->parameters) parameter.prunable = true;
  }
  return std::move(model).value();
}

/// The densities that were published for a nested ResNet-50.
const std::vector<LevelBudget> published{{.weights = 0.0538, .flops = 0.0447},
                                         {.weights = 0.1338, .flops = 0.1497}};

class PublishedBudgets : public testing::TestWithParam<AllocationMethod> {};

TEST_P(PublishedBudgets, ResNet50MeetsWeightsAndFlopsOfBothLevels) {
  const auto nested = random_nested_model(resnet("resnet50", true), published, GetParam(), 1);
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  const auto report = account(nested.value());
  ASSERT_TRUE(report.ok()) << report.status().message();
  for (size_t level = 0; level < published.size(); ++level) {
    EXPECT_NEAR(report->levels[level].weights_pct, 100.0 * published[level].weights,
                0.1 * published[level].weights);
    EXPECT_NEAR(report->levels[level].flops_pct, 100.0 * *published[level].flops,
                0.1 * *published[level].flops);
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, PublishedBudgets,
                         testing::Values(AllocationMethod::kUniform,
                                         AllocationMethod::kErdosRenyiKernel,
                                         AllocationMethod::kGlobalMagnitude),
                         [](const auto& instance) { return to_string(instance.param); });

TEST(RandomModel, IsWholeAndNamesItsSeed) {
  const auto nested =
      random_nested_model(small_model(), std::vector<LevelBudget>{{.weights = 0.8, .flops = {}}},
                          AllocationMethod::kErdosRenyiKernel, 42);
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  EXPECT_TRUE(check(nested.value()).ok());
  EXPECT_EQ(nested->level_count, 1);
  EXPECT_EQ(nested->record, R"({"initialisation":"random","allocation":"erk","seed":42})");
}

TEST(RandomModel, KeepsTensorsDenseThatAreNotPrunable) {
  const auto nested = random_nested_model(
      small_model(),
      std::vector<LevelBudget>{{.weights = 0.75, .flops = {}}, {.weights = 0.85, .flops = {}}},
      AllocationMethod::kUniform, 3);
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  EXPECT_EQ(nested->weights.at("conv1.weight").nonzeros(0), 108);
  EXPECT_TRUE(nested->weights.at("conv1.weight").increments[1].positions.empty());
  EXPECT_GT(nested->weights.at("conv2.weight").increments[1].positions.size(), 0U);
}

TEST(RandomModel, WeightsHaveTheVarianceOfTheirConnectionsAndPlacesAreEven) {
  const auto nested = random_nested_model(resnet("resnet20", true),
                                          std::vector<LevelBudget>{{.weights = 0.25, .flops = {}}},
                                          AllocationMethod::kUniform, 5);
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  const NestedTensor* largest = nullptr;
  for (const auto& [name, tensor] : nested->weights) {
    if (largest == nullptr || tensor.element_count() > largest->element_count()) largest = &tensor;
  }
  ASSERT_EQ(largest->shape, (std::vector<int64_t>{64, 64, 3, 3}));
  const Increment& increment = largest->increments[0];
  double mean = 0;
  double square = 0;
  double first_half = 0;
  for (size_t i = 0; i < increment.values.size(); ++i) {
    const auto value = static_cast<double>(increment.values[i]);
    mean += value;
    square += value * value;
    if (increment.positions[i] < 64 * 64 * 9 / 2) first_half += 1;
  }
  const auto count = static_cast<double>(increment.values.size());
  const double expected_variance = 2.0 / (64 * 9 * 0.25);
  EXPECT_NEAR(count, 64 * 64 * 9 * 0.25, 2.0);
  EXPECT_NEAR(mean / count, 0.0, 4.0 * std::sqrt(expected_variance / count));
  EXPECT_NEAR(square / count, expected_variance, 0.06 * expected_variance);
  EXPECT_NEAR(first_half / count, 0.5, 2.0 / std::sqrt(count));
}

TEST(RandomModel, NormalisationDiffersFromLevelToLevelButIsNearTheIdentity) {
  const auto nested = random_nested_model(
      small_model(),
      std::vector<LevelBudget>{{.weights = 0.8, .flops = {}}, {.weights = 0.9, .flops = {}}},
      AllocationMethod::kUniform, 1);
  ASSERT_TRUE(nested.ok());
  for (const graph::Parameter& parameter : nested->model.parameters) {
    if (parameter.role == graph::ParameterRole::kWeight) continue;
    const bool around_one = parameter.role == graph::ParameterRole::kScale ||
                            parameter.role == graph::ParameterRole::kVariance;
    EXPECT_NE(nested->vectors[0].at(parameter.name), nested->vectors[1].at(parameter.name));
    for (const float value : nested->vectors[0].at(parameter.name)) {
      EXPECT_NEAR(value, around_one ? 1.0F : 0.0F, 0.2F) << parameter.name;
    }
  }
}

/// FNV-1a over every byte of positions, values and vectors.
uint64_t digest(const NestedModel& nested) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](const auto& values) {
    for (const auto value : values) {
      uint32_t bits = 0;
      std::memcpy(&bits, &value, sizeof bits);
      for (int shift = 0; shift < 32; shift += 8) {  // whatever the byte order
        hash = (hash ^ ((bits >> shift) & 0xff)) * 0x100000001b3;
      }
    }
  };
  for (const auto& [name, tensor] : nested.weights) {
    for (const Increment& increment : tensor.increments) {
      add(increment.positions);
      add(increment.values);
    }
  }
  for (const VectorTable& level : nested.vectors) {
    for (const auto& [name, values] : level) add(values);
  }
  return hash;
}

TEST(RandomModel, TheSameSeedGivesTheSameBytesOnEveryPlatform) {
  const std::vector<LevelBudget> levels{{.weights = 0.8, .flops = {}},
                                        {.weights = 0.9, .flops = {}}};
  const auto make = [&](uint64_t seed) {
    return random_nested_model(small_model(), levels, AllocationMethod::kUniform, seed);
  };
  const auto nested = make(1);
  ASSERT_TRUE(nested.ok());
  EXPECT_EQ(nested.value(), make(1).value());
  EXPECT_NE(nested->weights, make(2)->weights);
  EXPECT_EQ(digest(nested.value()), 4299265934443885134U);
}

TEST(RandomModel, RefusesLevelsThatDoNotFit) {
  const auto refused = [](std::vector<LevelBudget> levels) {
    return random_nested_model(small_model(), levels, AllocationMethod::kUniform, 1)
        .status()
        .message();
  };
  EXPECT_FALSE(refused({}).empty());
  EXPECT_NE(refused({{.weights = 0.1, .flops = {}}}).find("level 0"), std::string::npos);
  EXPECT_NE(refused({{.weights = 0.9, .flops = {}}, {.weights = 0.8, .flops = {}}}).find("level 1"),
            std::string::npos);
}

}  // namespace
}  // namespace strata::sparse
