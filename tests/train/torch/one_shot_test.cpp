// Compressing whole networks in one shot: what it gives nests, meets its budgets, and answers much
// more like the dense network than magnitude alone does.
#include "train/torch/one_shot.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "memory_samples.h"
#include "session_fixture.h"
#include "sparse/accounting.h"
#include "sparse/random.h"
#include "train/error.h"
#include "train/torch/dense_runner.h"
#include "train/torch/level_normalisation.h"

namespace strata::train {
namespace {

using testing::all_of;
using testing::compress;
using testing::counts_for;
using testing::random_inputs;

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

/// As `compress` takes it in: with a normalisation for every convolution.
sparse::NestedModel normalised(sparse::NestedModel nested) {
  add_level_normalisation(nested);
  return nested;
}

class OneShotOrder : public ::testing::TestWithParam<NestingOrder> {};

TEST_P(OneShotOrder, NestsAndMeetsItsBudgets) {
  const OneShotResult result =
      compress(dense_resnet(), random_inputs({3, 16, 16}, 32), {0.3, 0.5}, GetParam());
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
    const testing::MemorySamples data = random_inputs(shape, 64);
    const auto distance = [&, &network = dense](NestingOrder order) {
      return compress(normalised(network), data, {0.5}, order).output_distance.at(0);
    };
    EXPECT_LT(distance(NestingOrder::kTogether), 0.9 * distance(NestingOrder::kMagnitude))
        << dense.model.name;
  }
}

TEST(OneShot, TheDistanceIsThatOfTheFile) {
  const sparse::NestedModel dense = biased_network();
  const testing::MemorySamples data = random_inputs({3, 12, 12}, 16);
  const OneShotResult result = compress(normalised(dense), data, {0.4});
  std::vector<float> expected(size_t{16} * 5);
  std::vector<float> actual(size_t{16} * 5);
  TorchModel(dense).run(data.values(), 16, expected);
  TorchModel(result.nested).run(data.values(), 16, actual);
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
  const testing::MemorySamples data = random_inputs({3, 12, 12}, 2);
  std::vector<float> expected(size_t{2} * 5);
  std::vector<float> actual(size_t{2} * 5);
  TorchModel(before).run(data.values(), 2, expected);
  TorchModel(after).run(data.values(), 2, actual);
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6F);
  sparse::NestedModel again = after;
  add_level_normalisation(again);
  EXPECT_EQ(again, after);
}

TEST(OneShot, AllWeightsKeptGiveTheSameNetwork) {
  const OneShotResult result = compress(dense_resnet(), random_inputs({3, 16, 16}, 16), {1.0});
  EXPECT_LT(result.output_distance[0], 1e-4);
}

TEST(OneShot, FlopsCanBeTheBudget) {
  const sparse::NestedModel dense = dense_resnet();
  const testing::MemorySamples data = random_inputs({3, 16, 16}, 32);
  const Calibration calibration = all_of(data);
  const OneShotResult result =
      compress_one_shot(dense, calibration, counts_for(dense, calibration, {0.4}, true));
  EXPECT_NEAR(sparse::account(result.nested)->levels[0].flops_pct, 40, 1);
}

TEST(OneShot, WithoutDataMagnitudeDecides) {
  const sparse::NestedModel dense = dense_resnet();
  const auto layers = sparse::layer_budgets(dense.model);
  std::vector<int64_t> counts;
  for (const sparse::LayerBudget& layer : *layers) {
    counts.push_back(layer.elements * 3 / 10);
  }
  const OneShotResult result = compress_one_shot(dense, {}, {{counts}});
  EXPECT_TRUE(result.output_distance.empty());
  EXPECT_NEAR(sparse::account(result.nested)->levels[0].weights_pct, 30, 1);
}

/// Two inputs of any rank, which meet in the middle.
TEST(OneShot, SeveralInputsOfAnyRank) {
  graph::Model model;
  model.name = "two";
  graph::GraphBuilder builder(model, "main");
  const std::string a = builder.input("a", {"batch", 12});
  const std::string b = builder.input("b", {"batch", 3, 6});
  const std::string flat = builder.flatten("flat", b);
  const std::string left = builder.gemm("left", a, 12, 16);
  const std::string right = builder.gemm("right", flat, 18, 16);
  const std::string sum = builder.relu("relu", builder.add("sum", left, right));
  builder.output(builder.gemm("out", sum, 16, 4), "y", {"batch", 4});
  builder.finish();
  const std::vector<sparse::LevelBudget> all = {{.weights = 1.0, .flops = {}}};
  const auto dense =
      *sparse::random_nested_model(model, all, sparse::AllocationMethod::kUniform, 2);
  testing::MemorySamples data(64);
  data.add("a", {12}, testing::random_floats(int64_t{64} * 12, 3));
  data.add("b", {3, 6}, testing::random_floats(int64_t{64} * 18, 4));
  const OneShotResult result = compress(dense, data, {0.4, 0.8});
  ASSERT_EQ(result.output_distance.size(), 2U);
  EXPECT_LT(result.output_distance[1], result.output_distance[0]);
  EXPECT_LT(result.output_distance[0], 0.8);
}

class OneShotRecurrent : public ::testing::TestWithParam<const char*> {};

/// A layer that reads both ways, and one that reads its outputs backwards; what they make at every
/// step decides.
sparse::NestedModel recurrent_network(const std::string& type) {
  const int64_t gates = type == "LSTM" ? 4 : 3;
  graph::Model model;
  model.name = type;
  graph::GraphBuilder builder(model, "main");
  const std::vector<int64_t> by_time = {1, 0, 2};
  std::string x = builder.node("by_time", "Transpose", {builder.input("x", {"batch", 6, 10})},
                               {{"perm", by_time}});
  const auto layer = [&](const std::string& name, int64_t features, int64_t hidden,
                         const std::string& direction) {
    const int64_t directions = direction == "bidirectional" ? 2 : 1;
    const std::vector<std::string> inputs = {
        x,
        builder.parameter(name + ".w", {directions, gates * hidden, features},
                          graph::ParameterRole::kWeight),
        builder.parameter(name + ".r", {directions, gates * hidden, hidden},
                          graph::ParameterRole::kWeight),
        builder.parameter(name + ".b", {directions, 2 * gates * hidden},
                          graph::ParameterRole::kBias)};
    std::string y = builder.node(name, type, inputs, {{"direction", direction}});
    y = builder.node(name + ".side_by_side", "Transpose", {y},
                     {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    x = builder.reshape(name + ".sequence", y, {0, 0, directions * hidden});
  };
  layer("first", 10, 16, "bidirectional");
  layer("second", 32, 16, "reverse");
  x = builder.node("by_sentence", "Transpose", {x}, {{"perm", by_time}});
  builder.output(builder.gemm("fc", builder.flatten("flat", x), 96, 5), "y", {"batch", 5});
  builder.finish();
  const std::vector<sparse::LevelBudget> all = {{.weights = 1.0, .flops = {}}};
  return *sparse::random_nested_model(model, all, sparse::AllocationMethod::kUniform, 2);
}

TEST_P(OneShotRecurrent, ItsMatricesNestLikeOthersAndBeatMagnitude) {
  const sparse::NestedModel dense = recurrent_network(GetParam());
  testing::MemorySamples data = random_inputs({6, 10}, 128);
  const OneShotResult fitted = compress(dense, data, {0.3, 0.6});
  ASSERT_TRUE(sparse::check(fitted.nested).ok());
  const auto density = sparse::account(fitted.nested);
  EXPECT_NEAR(density->levels[0].weights_pct, 30, 1);
  EXPECT_NEAR(density->levels[1].weights_pct, 60, 1);
  for (const LayerOutcome& layer : fitted.layers) {
    EXPECT_LT(layer.nonzeros[0], layer.elements) << layer.weight;
    ASSERT_EQ(layer.error.size(), 2U) << layer.weight;
    EXPECT_LT(layer.error[1], layer.error[0]) << layer.weight;
  }
  const OneShotResult largest = compress(dense, data, {0.3, 0.6}, NestingOrder::kMagnitude);
  EXPECT_LT(fitted.output_distance[0], 0.7 * largest.output_distance[0]);
  EXPECT_LT(fitted.output_distance[1], 0.7 * largest.output_distance[1]);
}

INSTANTIATE_TEST_SUITE_P(All, OneShotRecurrent, ::testing::Values("LSTM", "GRU"));

/// One weight that two products apply: nothing can be fitted to both, but the size that was asked
/// for is met.
TEST(OneShot, AWeightThatCannotBeSeenThroughIsCutByMagnitude) {
  graph::Model model;
  model.name = "shared";
  graph::GraphBuilder builder(model, "main");
  const std::string shared = builder.parameter("shared", {12, 12}, graph::ParameterRole::kWeight);
  std::string x = builder.input("x", {"batch", 12});
  x = builder.relu("relu", builder.node("once", "MatMul", {x, shared}));
  x = builder.node("twice", "MatMul", {x, shared});
  builder.output(builder.gemm("fc", x, 12, 4), "y", {"batch", 4});
  builder.finish();
  const std::vector<sparse::LevelBudget> all = {{.weights = 1.0, .flops = {}}};
  const auto dense =
      *sparse::random_nested_model(model, all, sparse::AllocationMethod::kUniform, 2);
  const OneShotResult result = compress(dense, random_inputs({12}, 64), {0.3, 0.6});
  EXPECT_NEAR(sparse::account(result.nested)->levels[0].weights_pct, 30, 1);
  const auto kept = sparse::densify(result.nested.weights.at("shared"), 0);
  const auto before = sparse::densify(dense.weights.at("shared"), 0);
  float largest_lost = 0;
  float smallest_kept = 1e9F;
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 0) {
      largest_lost = std::max(largest_lost, std::abs(before[i]));
    } else {
      EXPECT_EQ(kept[i], before[i]);
      smallest_kept = std::min(smallest_kept, std::abs(kept[i]));
    }
  }
  EXPECT_LE(largest_lost, smallest_kept);
  EXPECT_GT(largest_lost, 0);
}

TEST(OneShot, BadInputIsRefused) {
  const sparse::NestedModel dense = dense_resnet();
  const testing::MemorySamples data = random_inputs({3, 16, 16}, 4);
  EXPECT_THROW(static_cast<void>(compress(dense, data, {})), Error);
  EXPECT_THROW(static_cast<void>(compress(dense, data, {0.0001})), Error);
  EXPECT_THROW(static_cast<void>(compress(dense, random_inputs({3, 16}, 4), {0.5})), Error);
  EXPECT_THROW(static_cast<void>(compress_one_shot(dense, all_of(data), {{{1, 2, 3}}})), Error);
}

TEST(OneShot, ItCanBeStopped) {
  struct Stop {};
  const sparse::NestedModel dense = dense_resnet();
  const testing::MemorySamples data = random_inputs({3, 16, 16}, 4);
  const auto stop = [](int64_t done, int64_t, const std::string&) {
    if (done == 3) throw Stop();
  };
  EXPECT_THROW(static_cast<void>(measure_sensitivity(dense, all_of(data), stop)), Stop);
  const auto counts = counts_for(dense, all_of(data), {0.5});
  EXPECT_THROW(
      static_cast<void>(compress_one_shot(dense, all_of(data), counts,
                                          {.order = NestingOrder::kTogether, .progress = stop})),
      Stop);
}

}  // namespace
}  // namespace strata::train
