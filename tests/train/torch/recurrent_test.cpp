// Recurrent layers in both executors: the runtime against libtorch at every level, gradients
// against a loop over single steps, and what is said of impossible lengths.
#include <cmath>
#include <random>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "graph/builder.h"
#include "session_fixture.h"
#include "small_training.h"
#include "train/error.h"
#include "train/torch/executor.h"
#include "train/torch/recurrent_operators.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

using testing::error_of;

/// A recurrent layer with everything that is optional or nothing of it.
struct Layer {
  std::string type = "LSTM";
  std::string direction = "forward";
  int64_t time = 4;
  int64_t batch = 2;
  int64_t features = 5;
  int64_t hidden = 6;
  bool optional = true;
  bool linear_before_reset = false;

  [[nodiscard]] bool lstm() const { return type == "LSTM"; }
  [[nodiscard]] int64_t directions() const { return direction == "bidirectional" ? 2 : 1; }
  [[nodiscard]] int64_t gates() const { return lstm() ? 4 : 3; }

  [[nodiscard]] graph::Model model() const {
    using graph::ParameterRole;
    graph::Model model;
    graph::GraphBuilder builder(model, "main");
    const int64_t d = directions();
    const graph::Shape state = {d, batch, hidden};
    builder.input("x", {time, batch, features});
    std::vector<std::string> inputs = {"x"};
    inputs.push_back(
        builder.parameter("w", {d, gates() * hidden, features}, ParameterRole::kWeight));
    inputs.push_back(builder.parameter("r", {d, gates() * hidden, hidden}, ParameterRole::kWeight));
    if (optional) {
      inputs.push_back(builder.parameter("b", {d, 2 * gates() * hidden}, ParameterRole::kBias));
      inputs.push_back(builder.input("lengths", {batch}, graph::DataType::kInt32));
      inputs.push_back(builder.input("h0", state));
      if (lstm()) inputs.push_back(builder.input("c0", state));
    }
    std::map<std::string, graph::Attribute, std::less<>> attributes = {{"direction", direction},
                                                                       {"hidden_size", hidden}};
    if (!lstm()) attributes["linear_before_reset"] = int64_t{linear_before_reset};
    builder.node("n", type, inputs, attributes);
    builder.finish();
    graph::Graph& graph = model.graphs[0];
    graph.nodes[0].outputs = {"y", "h"};
    graph.outputs = {{"y", graph::DataType::kFloat32, {time, d, batch, hidden}},
                     {"h", graph::DataType::kFloat32, state}};
    if (lstm()) {
      graph.nodes[0].outputs.emplace_back("c");
      graph.outputs.push_back({"c", graph::DataType::kFloat32, state});
    }
    return model;
  }
};

/// The same random inputs for both executors.
struct Inputs {
  std::vector<std::vector<float>> floats;
  std::vector<int32_t> lengths;
  std::vector<runtime::InputView> views;
  std::vector<at::Tensor> tensors;

  Inputs(const graph::Model& model, const Layer& layer, uint32_t seed) {
    std::mt19937 random(seed);
    for (int64_t i = 0; i < layer.batch; ++i) {
      lengths.push_back(1 + static_cast<int32_t>(random() % static_cast<uint32_t>(layer.time)));
    }
    floats.reserve(model.graphs[0].inputs.size());
    for (const graph::ValueInfo& info : model.graphs[0].inputs) {
      std::vector<int64_t> shape;
      for (const graph::Dim& dim : info.shape) shape.push_back(dim.value());
      if (info.type == graph::DataType::kInt32) {
        views.push_back({lengths});
        tensors.push_back(at::tensor(lengths, at::kInt));
        continue;
      }
      floats.push_back(
          testing::random_values(static_cast<size_t>(testing::elements(info)), seed++));
      views.push_back({floats.back()});
      tensors.push_back(tensor_of(floats.back(), shape));
    }
  }
};

void expect_parity(const Layer& layer, int threads, uint32_t seed) {
  const sparse::NestedModel nested =
      testing::random_nested(layer.model(), {0.05, 0.134, 0.5, 1.0}, seed);
  runtime::SessionOptions options;
  options.threads = threads;
  const auto session = testing::open(nested, options);
  ASSERT_NE(session, nullptr);
  const Inputs inputs(nested.model, layer, seed);
  const Executor executor(nested.model, nested.model.graphs[0]);
  std::vector<std::vector<float>> outputs;
  outputs.reserve(session->outputs().size());
  std::vector<runtime::OutputView> views;
  for (const graph::ValueInfo& info : session->outputs()) {
    outputs.emplace_back(static_cast<size_t>(testing::elements(info)), std::nanf(""));
    views.push_back({outputs.back()});
  }
  const at::NoGradGuard no_grad;
  for (int level = 0; level < nested.level_count; ++level) {
    const Status status = session->run(inputs.views, views, level);
    ASSERT_TRUE(status.ok()) << status.message();
    const std::vector<LevelTensors> levels = {level_tensors(nested, level)};
    const std::vector<at::Tensor> expected =
        executor.forward(inputs.tensors, levels, executor.fixed_route(0), Pass{});
    ASSERT_EQ(expected.size(), outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      const at::Tensor wanted = expected[i].contiguous();
      ASSERT_EQ(wanted.numel(), static_cast<int64_t>(outputs[i].size()));
      for (size_t j = 0; j < outputs[i].size(); ++j) {
        ASSERT_NEAR(outputs[i][j], wanted.data_ptr<float>()[j], 1e-4)
            << layer.type << ' ' << layer.direction << ", level " << level << ", output " << i
            << ", at " << j;
      }
    }
  }
}

TEST(RecurrentParity, TheRuntimeEqualsLibtorchAtEveryLevel) {
  uint32_t seed = 1;
  for (const char* const type : {"LSTM", "GRU"}) {
    for (const char* const direction : {"forward", "reverse", "bidirectional"}) {
      for (const bool optional : {false, true}) {
        for (const bool linear : {false, true}) {
          const Layer layer{.type = type,
                            .direction = direction,
                            .time = 7,
                            .batch = 3,
                            .features = 50,
                            .hidden = 40,
                            .optional = optional,
                            .linear_before_reset = linear};
          expect_parity(layer, 1 + static_cast<int>(seed % 2), seed);
          ++seed;
        }
      }
    }
  }
}

TEST(RecurrentParity, HoldsForALayerOfUsualSize) {
  expect_parity({.time = 3, .batch = 9, .features = 300, .hidden = 256}, 2, 5);
  expect_parity({.time = 1, .batch = 1, .features = 256, .hidden = 256, .optional = false}, 2, 6);
}

RC_GTEST_PROP(RecurrentParity, HoldsForAnySize, ()) {
  const auto pick = [](int64_t least, int64_t most) { return *rc::gen::inRange(least, most + 1); };
  Layer layer;
  layer.type = pick(0, 1) == 0 ? "LSTM" : "GRU";
  layer.direction = *rc::gen::element<std::string>("forward", "reverse", "bidirectional");
  layer.time = pick(1, 6);
  layer.batch = pick(1, 10);
  layer.features = pick(1, 70);
  layer.hidden = pick(1, 70);
  layer.optional = pick(0, 1) == 0;
  layer.linear_before_reset = pick(0, 1) == 0;
  expect_parity(layer, static_cast<int>(pick(1, 2)), static_cast<uint32_t>(pick(0, 1000)));
  RC_ASSERT(!::testing::Test::HasFailure());
}

at::Tensor draw(std::vector<int64_t> shape, uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return at::empty(shape, at::kFloat).normal_(0, 0.5, generator).requires_grad_();
}

/// One sequence of an LSTM by ONNX's formulas, step after step, backwards if `reverse`.
std::vector<at::Tensor> one_lstm(const std::vector<at::Tensor>& in, int64_t direction,
                                 int64_t sequence, int64_t length, bool reverse) {
  const int64_t hidden = in[2].size(2);
  at::Tensor h = in[5][direction][sequence];
  at::Tensor c = in[6][direction][sequence];
  const at::Tensor bias =
      in[3][direction].slice(0, 0, 4 * hidden) + in[3][direction].slice(0, 4 * hidden);
  std::vector<at::Tensor> y(static_cast<size_t>(in[0].size(0)), at::zeros({hidden}));
  for (int64_t s = 0; s < length; ++s) {
    const int64_t t = reverse ? length - 1 - s : s;
    const at::Tensor gates =
        at::mv(in[1][direction], in[0][t][sequence]) + at::mv(in[2][direction], h) + bias;
    const auto gate = [&](int64_t i) { return gates.slice(0, i * hidden, (i + 1) * hidden); };
    c = at::sigmoid(gate(2)) * c + at::sigmoid(gate(0)) * at::tanh(gate(3));
    h = at::sigmoid(gate(1)) * at::tanh(c);
    y[static_cast<size_t>(t)] = h;
  }
  return {at::stack(y, 0), h, c};
}

TEST(RecurrentGradients, AnLstmIsTheLoopOverItsSteps) {
  const std::vector<int32_t> lengths = {3, 5, 1};
  for (const char* const direction : {"forward", "reverse", "bidirectional"}) {
    const int64_t directions = std::string(direction) == "bidirectional" ? 2 : 1;
    const std::vector<at::Tensor> in = {
        draw({5, 3, 4}, 1),         draw({directions, 8, 4}, 2),   draw({directions, 8, 2}, 3),
        draw({directions, 16}, 4),  at::tensor(lengths, at::kInt), draw({directions, 3, 2}, 5),
        draw({directions, 3, 2}, 6)};
    const auto gradients = [&](const std::vector<at::Tensor>& outputs) {
      at::Tensor sum = at::zeros({});
      for (size_t i = 0; i < outputs.size(); ++i) {
        sum = sum + (outputs[i] * draw(outputs[i].sizes().vec(), 90 + i).detach()).sum();
      }
      for (at::Tensor tensor : in) tensor.mutable_grad() = at::Tensor();
      sum.backward();
      std::vector<at::Tensor> result;
      for (const at::Tensor& tensor : in) {
        if (tensor.requires_grad()) result.push_back(tensor.grad().clone());
      }
      return result;
    };
    graph::Node node{"n", "LSTM", "", {}, {"y"}, {{"direction", std::string(direction)}}};
    std::vector<at::Tensor> given = in;
    const std::vector<at::Tensor> actual = make_lstm(node, {})(given, Pass{.training = true});
    std::vector<at::Tensor> y;
    std::vector<at::Tensor> h;
    std::vector<at::Tensor> c;
    for (int64_t d = 0; d < directions; ++d) {
      std::vector<std::vector<at::Tensor>> parts(3);
      for (int64_t b = 0; b < 3; ++b) {
        const auto one = one_lstm(in, d, b, lengths[static_cast<size_t>(b)],
                                  d == 1 || std::string(direction) == "reverse");
        for (size_t i = 0; i < 3; ++i) parts[i].push_back(one[i]);
      }
      y.push_back(at::stack(parts[0], 1));
      h.push_back(at::stack(parts[1], 0));
      c.push_back(at::stack(parts[2], 0));
    }
    const std::vector<at::Tensor> wanted = {at::stack(y, 1), at::stack(h, 0), at::stack(c, 0)};
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(at::allclose(actual[i], wanted[i], 1e-4, 1e-5)) << direction << ' ' << i;
    }
    const auto actual_gradients = gradients(actual);
    const auto wanted_gradients = gradients(wanted);
    for (size_t i = 0; i < actual_gradients.size(); ++i) {
      EXPECT_TRUE(at::allclose(actual_gradients[i], wanted_gradients[i], 1e-4, 1e-5))
          << direction << ' ' << i;
    }
  }
}

TEST(RecurrentData, LengthsThatCannotBeAreErrorsInBothExecutors) {
  Layer layer;
  const sparse::NestedModel nested = testing::random_nested(layer.model(), {1.0}, 1);
  const auto session = testing::open(nested, {});
  ASSERT_NE(session, nullptr);
  Inputs inputs(nested.model, layer, 1);
  std::vector<std::vector<float>> outputs;
  std::vector<runtime::OutputView> views;
  for (const graph::ValueInfo& info : session->outputs()) {
    outputs.emplace_back(static_cast<size_t>(testing::elements(info)));
  }
  for (auto& output : outputs) views.push_back({output});
  for (const int32_t bad : {0, -1, 5}) {
    inputs.lengths[1] = bad;
    const std::string reason =
        "node 'n': sequence 1 has length " + std::to_string(bad) + ", allowed are 1 to 4";
    EXPECT_EQ(session->run(inputs.views, views, 0).message(), reason);
    inputs.tensors[1] = at::tensor(inputs.lengths, at::kInt);
    const Executor executor(nested.model, nested.model.graphs[0]);
    const std::vector<LevelTensors> levels = {level_tensors(nested, 0)};
    EXPECT_EQ(error_of([&] {
                static_cast<void>(
                    executor.forward(inputs.tensors, levels, executor.fixed_route(0), Pass{}));
              }),
              reason);
  }
}

}  // namespace
}  // namespace strata::train
