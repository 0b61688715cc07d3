// Density accounting against a count by hand, element by element and position by position.
#include "sparse/accounting.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "small_model.h"
#include "sparse/random.h"

namespace strata::sparse {
namespace {

RC_GTEST_PROP(Accounting, EqualsACountByHand, ()) {
  const auto density = *rc::gen::inRange(78, 100);
  const std::vector<LevelBudget> levels{{.weights = 0.01 * density, .flops = {}},
                                        {.weights = 0.01 * (density + 1), .flops = {}}};
  const Result<NestedModel> nested = random_nested_model(
      small_model(), levels, AllocationMethod::kErdosRenyiKernel, *rc::gen::arbitrary<uint64_t>());
  RC_ASSERT(nested.ok());
  const Result<DensityReport> report = account(nested.value());
  RC_ASSERT(report.ok());

  // Each weight is applied once per output position: 4x4 in both convolutions, once in the last.
  struct Layer {
    std::string name;
    int64_t elements;
    int64_t positions;
    bool prunable;
  };
  const std::vector<Layer> layers{{"conv1.weight", int64_t{4} * 3 * 3 * 3, 16, false},
                                  {"conv2.weight", int64_t{6} * 4, 16, true},
                                  {"fc.weight", int64_t{5} * 6, 1, true}};
  RC_ASSERT(report->weights == 108 + 24 + 30);
  RC_ASSERT(report->weights_prunable == 24 + 30);
  RC_ASSERT(report->dense_macs == 108 * 16 + 24 * 16 + 30);
  RC_ASSERT(report->tensors.size() == layers.size());
  for (int level = 0; level < 2; ++level) {
    int64_t nonzeros = 0;
    int64_t prunable = 0;
    int64_t macs = 0;
    for (size_t i = 0; i < layers.size(); ++i) {
      int64_t count = 0;
      for (const float value : densify(nested->weights.at(layers[i].name), level)) {
        if (value != 0.0F) ++count;
      }
      const TensorDensity& tensor = report->tensors[i];
      RC_ASSERT(tensor.name == layers[i].name);
      RC_ASSERT(tensor.elements == layers[i].elements);
      RC_ASSERT(tensor.prunable == layers[i].prunable);
      RC_ASSERT(tensor.dense_macs == layers[i].elements * layers[i].positions);
      RC_ASSERT(tensor.nonzeros[static_cast<size_t>(level)] == count);
      nonzeros += count;
      macs += count * layers[i].positions;
      if (layers[i].prunable) prunable += count;
    }
    const LevelDensity& total = report->levels[static_cast<size_t>(level)];
    RC_ASSERT(total.level == level);
    RC_ASSERT(total.nonzeros == nonzeros);
    RC_ASSERT(total.macs == macs);
    RC_ASSERT(total.weights_pct == 100.0 * static_cast<double>(nonzeros) / 162.0);
    RC_ASSERT(total.weights_pct_prunable == 100.0 * static_cast<double>(prunable) / 54.0);
    RC_ASSERT(total.flops_pct == 100.0 * static_cast<double>(macs) / 2142.0);
  }
}

Result<NestedModel> dense_small() {
  return random_nested_model(small_model(), std::vector<LevelBudget>{{.weights = 1.0, .flops = {}}},
                             AllocationMethod::kUniform, 7);
}

TEST(Accounting, ADenseLevelIsAHundredPercent) {
  const Result<NestedModel> nested = dense_small();
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  const Result<DensityReport> report = account(nested.value());
  ASSERT_TRUE(report.ok());
  EXPECT_DOUBLE_EQ(report->levels[0].weights_pct, 100.0);
  EXPECT_DOUBLE_EQ(report->levels[0].weights_pct_prunable, 100.0);
  EXPECT_DOUBLE_EQ(report->levels[0].flops_pct, 100.0);
}

TEST(Accounting, BindingsAndSharedWeightsMultiplyTheCost) {
  Result<NestedModel> nested = dense_small();
  ASSERT_TRUE(nested.ok());
  EXPECT_EQ(account(nested.value(), {{"batch", 3}})->dense_macs, 3 * 2142);
  nested->model.graphs.push_back(nested->model.graphs[0]);
  nested->model.graphs[1].name = "again";
  const Result<DensityReport> twice = account(nested.value());
  ASSERT_TRUE(twice.ok()) << twice.status().message();
  EXPECT_EQ(twice->dense_macs, 2 * 2142);
  EXPECT_EQ(twice->weights, 162);
}

TEST(Accounting, AModelWithoutPrunableWeightsHasAShareOfNothing) {
  Result<NestedModel> nested = dense_small();
  ASSERT_TRUE(nested.ok());
  for (graph::Parameter& parameter : nested->model.parameters) parameter.prunable = false;
  const Result<DensityReport> report = account(nested.value());
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->weights_prunable, 0);
  EXPECT_EQ(report->levels[0].weights_pct_prunable, 0.0);
}

TEST(Accounting, RefusesAModelThatIsNotWhole) {
  Result<NestedModel> missing = dense_small();
  ASSERT_TRUE(missing.ok());
  missing->weights.erase("fc.weight");
  EXPECT_NE(account(missing.value()).status().message().find("'fc.weight'"), std::string::npos);

  Result<NestedModel> short_of_levels = dense_small();
  ASSERT_TRUE(short_of_levels.ok());
  short_of_levels->level_count = 2;
  EXPECT_FALSE(account(short_of_levels.value()).ok());

  Result<NestedModel> no_shape = dense_small();
  ASSERT_TRUE(no_shape.ok());
  no_shape->model.graphs[0].inputs[0].shape[2] = graph::Dim();
  EXPECT_FALSE(account(no_shape.value()).ok());
}

}  // namespace
}  // namespace strata::sparse
