// libtorch's execution of a graph against the naive executor, which follows the ONNX definitions
// loop by loop.
#include "train/torch/dense_runner.h"

#include <random>

#include <gtest/gtest.h>

#include "session_fixture.h"
#include "small_training.h"

namespace strata::train {
namespace {

using Layout = TorchModelOptions::Layout;

struct Case {
  graph::Node node;
  std::vector<graph::Parameter> parameters;
  graph::Shape input;
};

graph::Model model_of(const Case& example) {
  graph::Model model;
  model.name = "one";
  model.parameters = example.parameters;
  graph::Graph graph;
  graph.name = "main";
  graph.inputs = {{"x", graph::DataType::kFloat32, example.input}};
  graph.nodes = {example.node};
  graph.outputs = {{"y", graph::DataType::kFloat32, {}}};
  model.graphs = {graph};
  return model;
}

std::vector<float> run_torch(const sparse::NestedModel& nested, const std::vector<float>& input,
                             int64_t batch, size_t outputs, const TorchModelOptions& options) {
  TorchModel model(nested, options);
  std::vector<float> output(outputs);
  model.run(input, batch, output);
  return output;
}

/// Both executors on random data, at every level.
void expect_like_naive(const graph::Model& model, int64_t batch, TorchModelOptions options,
                       uint32_t seed) {
  const sparse::NestedModel nested = testing::random_nested(model, {0.3, 1.0}, seed);
  testing::NaiveTensor input;
  int64_t count = batch;
  input.shape = {batch};
  const graph::Shape& shape = model.graphs[0].inputs[0].shape;
  for (size_t i = 1; i < shape.size(); ++i) {
    input.shape.push_back(shape[i].value());
    count *= shape[i].value();
  }
  const std::vector<float> values = testing::random_values(static_cast<size_t>(count), seed + 1);
  input.data.assign(values.begin(), values.end());
  for (int level = 0; level < nested.level_count; ++level) {
    const auto expected =
        testing::run_naively(nested, model.graphs[0], {{model.graphs[0].inputs[0].name, input}},
                             [=](const graph::Node&) { return level; })
            .at(model.graphs[0].outputs[0].name);
    options.level = level;
    const auto output = run_torch(nested, values, batch, expected.data.size(), options);
    for (size_t i = 0; i < output.size(); ++i) {
      ASSERT_NEAR(output[i], expected.data[i], 1e-4 * std::max(1.0, std::fabs(expected.data[i])))
          << model.graphs[0].nodes[0].op_type << " level " << level << " [" << i << "]";
    }
  }
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t operator()(int64_t first, int64_t last) {
    return std::uniform_int_distribution<int64_t>(first, last)(engine_);
  }
  std::vector<int64_t> list(size_t count, int64_t first, int64_t last) {
    std::vector<int64_t> values(count);
    for (int64_t& value : values) value = (*this)(first, last);
    return values;
  }

 private:
  std::mt19937 engine_;
};

TEST(TorchModel, ConvolvesWithGroupsDilationStridesAndUnequalPads) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const int64_t group = random(1, 3);
    const int64_t in = group * random(1, 3);
    const int64_t out = group * random(1, 3);
    const auto kernel = random.list(2, 1, 3);
    Case example;
    example.input = {"batch", in, random(7, 11), random(7, 11)};
    example.node = {.name = "conv",
                    .op_type = "Conv",
                    .domain = "",
                    .inputs = {"x", "w", "b"},
                    .outputs = {"y"},
                    .attributes = {}};
    example.node.attributes["group"] = group;
    example.node.attributes["strides"] = random.list(2, 1, 3);
    example.node.attributes["dilations"] = random.list(2, 1, 2);
    example.node.attributes["pads"] = random.list(4, 0, 2);
    if (random(0, 1) == 1) example.node.attributes["kernel_shape"] = kernel;
    example.parameters = {
        {"w", {out, in / group, kernel[0], kernel[1]}, graph::ParameterRole::kWeight, true},
        {"b", {out}, graph::ParameterRole::kBias, true}};
    TorchModelOptions options;
    options.layout = random(0, 1) == 1 ? Layout::kPlain : Layout::kChannelsLast;
    expect_like_naive(model_of(example), random(1, 3), options, seed);
  }
}

TEST(TorchModel, PoolsWithUnequalPadsAndCeiling) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const bool maximum = random(0, 1) == 1;
    const auto kernel = random.list(2, 2, 4);
    std::vector<int64_t> pads;
    for (size_t i = 0; i < 4; ++i) pads.push_back(random(0, kernel[i % 2] - 1));
    Case example;
    example.input = {"batch", random(1, 3), random(8, 12), random(8, 12)};
    example.node = {.name = "pool",
                    .op_type = maximum ? "MaxPool" : "AveragePool",
                    .domain = "",
                    .inputs = {"x"},
                    .outputs = {"y"},
                    .attributes = {}};
    example.node.attributes["kernel_shape"] = kernel;
    example.node.attributes["strides"] = random.list(2, 1, 3);
    example.node.attributes["pads"] = pads;
    example.node.attributes["ceil_mode"] = random(0, 1);
    if (!maximum) {
      example.node.attributes["count_include_pad"] = random(0, 1);
    }
    expect_like_naive(model_of(example), 2, {.layout = Layout::kPlain}, seed);
  }
}

TEST(TorchModel, MultipliesMatricesWithScalesAndTransposes) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const int64_t in = random(1, 9);
    const int64_t out = random(1, 9);
    const bool transposed = random(0, 1) == 1;
    const bool biased = random(0, 1) == 1;
    Case example;
    example.input = {"batch", in};
    example.node = {.name = "fc",
                    .op_type = "Gemm",
                    .domain = "",
                    .inputs = {"x", "w"},
                    .outputs = {"y"},
                    .attributes = {}};
    example.node.attributes["transB"] = int64_t{transposed};
    example.node.attributes["alpha"] = 0.5F;
    example.node.attributes["beta"] = 2.0F;
    example.parameters = {
        {"w", transposed ? std::vector<int64_t>{out, in} : std::vector<int64_t>{in, out},
         graph::ParameterRole::kWeight, true}};
    if (biased) {
      example.node.inputs.emplace_back("b");
      example.parameters.push_back({"b", {out}, graph::ParameterRole::kBias, true});
    }
    expect_like_naive(model_of(example), random(1, 4), {.layout = Layout::kPlain}, seed);
  }
}

TEST(TorchModel, AddsAValueToItself) {
  Case example;
  example.input = {"batch", 3};
  example.node = {.name = "add",
                  .op_type = "Add",
                  .domain = "",
                  .inputs = {"x", "x"},
                  .outputs = {"y"},
                  .attributes = {}};
  expect_like_naive(model_of(example), 2, {.layout = Layout::kPlain}, 1);
}

TEST(TorchModel, RunsResidualNetworksInEveryLayoutFoldedOrNot) {
  const graph::Model identity = testing::resnet("resnet8", 11, 13, 4);  // shortcuts that pad
  const graph::Model projection = testing::resnet("resnet18-small", 9, 12, 4);
  for (const bool fold : {false, true}) {
    for (const Layout layout : {Layout::kPlain, Layout::kChannelsLast, Layout::kFastest}) {
      expect_like_naive(identity, 2, {.fold = fold, .layout = layout}, 5);
      expect_like_naive(projection, 1, {.fold = fold, .layout = layout}, 6);
    }
    expect_like_naive(projection, 2, {.fold = fold, .layout = Layout::kBlocked}, 7);
  }
}

TEST(TorchModel, NamesWhatItCannotExecute) {
  Case example;
  example.input = {"batch", 3};
  example.node = {.name = "odd",
                  .op_type = "Einsum",
                  .domain = "",
                  .inputs = {"x"},
                  .outputs = {"y"},
                  .attributes = {}};
  const sparse::NestedModel nested = testing::random_nested(model_of(example), {1.0}, 1);
  EXPECT_EQ(testing::error_of([&] { const TorchModel model(nested); }),
            "node 'odd' (Einsum) cannot be trained: the operator is not known to training");
}

TEST(TorchModel, RefusesLevelsAndSizesThatDoNotExist) {
  const sparse::NestedModel nested =
      testing::random_nested(testing::resnet("resnet8", 8, 8, 2), {0.5, 1.0}, 1);
  EXPECT_EQ(testing::error_of([&] { const TorchModel model(nested, {.level = 2}); }),
            "level 2 does not exist; the model has levels 0 to 1");
  TorchModel model(nested, {.layout = Layout::kPlain});
  std::vector<float> in(3 * 8 * 8 - 1);
  std::vector<float> out(10);
  EXPECT_EQ(testing::error_of([&] { model.run(in, 1, out); }),
            "the input has 191 values, 1 of them need 192");
  in.resize(192);
  out.resize(9);
  EXPECT_EQ(testing::error_of([&] { model.run(in, 1, out); }),
            "the output has 10 values, but there is room for 9");
}

}  // namespace
}  // namespace strata::train
