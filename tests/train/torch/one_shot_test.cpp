// Compressing whole networks in one shot: what it gives nests, meets its budgets, and answers much
// more like the dense network than magnitude alone does.
#include "train/torch/one_shot.h"

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "session_fixture.h"
#include "sparse/accounting.h"
#include "sparse/random.h"
#include "train/error.h"
#include "train/torch/dense_runner.h"
#include "train/torch/level_normalisation.h"

namespace strata::train {
namespace {

sparse::NestedModel dense_resnet() {
  return testing::random_nested(testing::resnet("resnet8", 16, 16, 8), {1.0}, 5);
}

/// Without normalisation: a bias per layer, a depthwise convolution, odd padding.
sparse::NestedModel biased_network() {
  graph::Model model;
  model.name = "biased";
  graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("x", {"batch", 3, 12, 12});
  value = builder.relu("relu1", builder.conv("conv1", value,
                                             {.in_channels = 3,
                                              .out_channels = 8,
                                              .kernel = 3,
                                              .stride = 2,
                                              .padding = 1,
                                              .bias = true}));
  value = builder.relu("relu2", builder.conv("depthwise", value,
                                             {.in_channels = 8,
                                              .out_channels = 8,
                                              .kernel = 3,
                                              .padding = 1,
                                              .group = 8,
                                              .bias = true}));
  value = builder.flatten("flatten", builder.global_average_pool("pool", value));
  builder.output(builder.gemm("fc", value, 8, 5), "y", {"batch", 5});
  builder.finish();
  const std::vector<sparse::LevelBudget> all = {{.weights = 1.0, .flops = {}}};
  return *sparse::random_nested_model(model, all, sparse::AllocationMethod::kUniform, 2);
}

CalibrationData random_inputs(const std::vector<int64_t>& shape, int64_t count) {
  CalibrationData data;
  data.shape = shape;
  data.count = count;
  int64_t elements = count;
  for (const int64_t size : shape) elements *= size;
  uint32_t state = 7;
  for (int64_t i = 0; i < elements; ++i) {
    state = state * 1664525U + 1013904223U;
    data.inputs.push_back(static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5F);
  }
  return data;
}

OneShotOptions options_with(std::vector<double> levels, NestingOrder order) {
  OneShotOptions options;
  options.levels = std::move(levels);
  options.order = order;
  return options;
}

class OneShotOrder : public ::testing::TestWithParam<NestingOrder> {};

TEST_P(OneShotOrder, NestsAndMeetsItsBudgets) {
  const OneShotResult result = compress_one_shot(dense_resnet(), random_inputs({3, 16, 16}, 32),
                                                 options_with({0.3, 0.5}, GetParam()));
  const Status sound = sparse::check(result.nested);
  ASSERT_TRUE(sound.ok()) << sound.message();
  const auto density = sparse::account(result.nested);
  ASSERT_TRUE(density.ok());
  EXPECT_NEAR(density->levels[0].weights_pct, 30, 1);
  EXPECT_NEAR(density->levels[1].weights_pct, 50, 1);
  ASSERT_EQ(result.output_distance.size(), 2U);
  EXPECT_LT(result.output_distance[1], result.output_distance[0] + 0.05);
}

INSTANTIATE_TEST_SUITE_P(All, OneShotOrder,
                         ::testing::Values(NestingOrder::kOutwards, NestingOrder::kInwards,
                                           NestingOrder::kTogether, NestingOrder::kMagnitude));

TEST(OneShot, ItComesCloserThanMagnitude) {
  for (const auto& [dense, shape] :
       {std::pair(dense_resnet(), std::vector<int64_t>{3, 16, 16}),
        std::pair(biased_network(), std::vector<int64_t>{3, 12, 12})}) {
    const CalibrationData data = random_inputs(shape, 64);
    const auto distance = [&, &network = dense](NestingOrder order) {
      return compress_one_shot(network, data, options_with({0.5}, order)).output_distance.at(0);
    };
    EXPECT_LT(distance(NestingOrder::kTogether), 0.9 * distance(NestingOrder::kMagnitude))
        << dense.model.name;
  }
}

TEST(OneShot, TheDistanceIsThatOfTheFile) {
  const sparse::NestedModel dense = biased_network();
  const CalibrationData data = random_inputs({3, 12, 12}, 16);
  const OneShotResult result =
      compress_one_shot(dense, data, options_with({0.4}, NestingOrder::kTogether));
  std::vector<float> expected(16 * 5);
  std::vector<float> actual(16 * 5);
  TorchModel(dense).run(data.inputs, 16, expected);
  TorchModel(result.nested).run(data.inputs, 16, actual);
  double sum = 0;
  for (size_t i = 0; i < 16; ++i) {
    double difference = 0;
    double reference = 0;
    for (size_t c = 0; c < 5; ++c) {
      const double a = expected[i * 5 + c];
      difference += (a - actual[i * 5 + c]) * (a - actual[i * 5 + c]);
      reference += a * a;
    }
    sum += difference / reference;
  }
  EXPECT_NEAR(sum / 16, result.output_distance[0], 1e-3 * result.output_distance[0] + 1e-6);
}

TEST(OneShot, ANormalisationThatIsAddedDoesNothingByItself) {
  const sparse::NestedModel before = biased_network();
  sparse::NestedModel after = before;
  add_level_normalisation(after);
  const Status sound = sparse::check(after);
  ASSERT_TRUE(sound.ok()) << sound.message();
  EXPECT_EQ(after.model.graphs[0].nodes.size(), before.model.graphs[0].nodes.size() + 2);
  const CalibrationData data = random_inputs({3, 12, 12}, 2);
  std::vector<float> expected(2 * 5);
  std::vector<float> actual(2 * 5);
  TorchModel(before).run(data.inputs, 2, expected);
  TorchModel(after).run(data.inputs, 2, actual);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6F);
  sparse::NestedModel again = after;
  add_level_normalisation(again);
  EXPECT_EQ(again, after);
}

TEST(OneShot, AllWeightsKeptGiveTheSameNetwork) {
  const OneShotResult result = compress_one_shot(dense_resnet(), random_inputs({3, 16, 16}, 16),
                                                 options_with({1.0}, NestingOrder::kTogether));
  EXPECT_LT(result.output_distance[0], 1e-4);
}

TEST(OneShot, FlopsCanBeTheBudget) {
  OneShotOptions options = options_with({0.4}, NestingOrder::kTogether);
  options.budget = CompressionBudget::kFlops;
  const OneShotResult result =
      compress_one_shot(dense_resnet(), random_inputs({3, 16, 16}, 32), options);
  const auto density = sparse::account(result.nested);
  EXPECT_NEAR(density->levels[0].flops_pct, 40, 1);
}

TEST(OneShot, WithoutDataMagnitudeDecides) {
  const OneShotResult result =
      compress_one_shot(dense_resnet(), {}, options_with({0.3}, NestingOrder::kMagnitude));
  EXPECT_TRUE(result.output_distance.empty());
  EXPECT_NEAR(sparse::account(result.nested)->levels[0].weights_pct, 30, 1);
}

TEST(OneShot, BadInputIsRefused) {
  const sparse::NestedModel dense = dense_resnet();
  const CalibrationData data = random_inputs({3, 16, 16}, 4);
  const auto compress = [&](const CalibrationData& inputs, std::vector<double> levels) {
    static_cast<void>(
        compress_one_shot(dense, inputs, options_with(std::move(levels), NestingOrder::kTogether)));
  };
  EXPECT_THROW(compress(data, {}), Error);
  EXPECT_THROW(compress(data, {0.5, 0.3}), Error);
  EXPECT_THROW(compress(data, {0.5, 1.2}), Error);
  EXPECT_THROW(compress(random_inputs({3, 16}, 4), {0.5}), Error);
  CalibrationData odd = data;
  odd.inputs.pop_back();
  EXPECT_THROW(compress(odd, {0.5}), Error);
}

TEST(OneShot, ItCanBeStopped) {
  struct Stop {};
  OneShotOptions options = options_with({0.5}, NestingOrder::kTogether);
  options.progress = [](int64_t done, int64_t, const std::string&) {
    if (done == 3) throw Stop();
  };
  EXPECT_THROW(
      static_cast<void>(compress_one_shot(dense_resnet(), random_inputs({3, 16, 16}, 4), options)),
      Stop);
}

}  // namespace
}  // namespace strata::train
