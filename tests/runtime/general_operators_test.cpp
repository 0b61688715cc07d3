// Operators over tensors of any rank and type, behind and before convolutions, with parameters of
// every role and constants, against the naive executor.
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "graph/builder.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

using graph::GraphBuilder;
using graph::ParameterRole;

int64_t pick(int64_t least, int64_t most) { return *rc::gen::inRange(least, most + 1); }

void run_and_compare(const graph::Model& model, int threads, int64_t batch) {
  const auto nested = random_nested(model, {0.3, 0.8}, 5);
  runtime::SessionOptions options;
  options.threads = threads;
  options.bindings["batch"] = batch;
  const auto session = open(nested, options);
  ASSERT_NE(session, nullptr);
  for (const uint8_t level : {0, 1}) {
    SessionData data(*session);
    const std::vector<uint8_t> levels(session->steps().size(), level);
    const Status status = session->run_route(data.input_views, data.output_views, levels);
    ASSERT_TRUE(status.ok()) << status.message();
    expect_like_naive(nested, *session, data, levels);
  }
}

/// A convolution's planes as a list of places, through self-attention, and back to planes.
graph::Model attention(int64_t channels, int64_t size, int64_t width) {
  graph::Model model;
  GraphBuilder builder(model, "main");
  std::string x = builder.input("x", {"batch", 3, size, size});
  x = builder.conv("conv", x,
                   {.in_channels = 3, .out_channels = channels, .kernel = 3, .padding = 1});
  x = builder.reshape("places", x, {0, channels, -1});
  x = builder.node("rows", "Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
  const auto project = [&](const std::string& name) {
    builder.parameter(name + ".weight", {channels, width}, ParameterRole::kWeight);
    builder.parameter(name + ".bias", {width}, ParameterRole::kBias);
    const std::string product = builder.node(name, "MatMul", {x, name + ".weight"});
    return builder.add(name + ".add", product, name + ".bias");
  };
  const std::string query = project("query");
  const std::string key = builder.node("key.t", "Transpose", {project("key")},
                                       {{"perm", std::vector<int64_t>{0, 2, 1}}});
  std::string scores = builder.node("scores", "MatMul", {query, key});
  builder.parameter("temperature", {1}, ParameterRole::kScale);
  scores = builder.node("scaled", "Mul", {"temperature", scores});
  scores = builder.node("softmax", "Softmax", {scores}, {{"axis", int64_t{-1}}});
  std::string mixed = builder.node("mixed", "MatMul", {scores, project("value")});
  mixed = builder.node("joined", "Concat", {mixed, x}, {{"axis", int64_t{2}}});
  mixed = builder.node("back", "Transpose", {mixed}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
  mixed = builder.reshape("planes", mixed, {0, width + channels, size, size});
  mixed = builder.conv("last", mixed, {.in_channels = width + channels, .out_channels = 4});
  mixed = builder.relu("relu", mixed);
  builder.output(mixed, "y", {"batch", 4, size, size});
  builder.finish();
  return model;
}

RC_GTEST_PROP(GeneralOperators, AttentionBetweenConvolutionsEqualsTheNaiveExecutor, ()) {
  const graph::Model model = attention(pick(1, 9), pick(1, 7), pick(1, 8));
  run_and_compare(model, static_cast<int>(pick(1, 2)), pick(1, 3));
  RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(GeneralOperators, BroadcastingEqualsTheNaiveExecutor, ()) {
  const auto rank = static_cast<size_t>(pick(1, 5));
  std::vector<int64_t> a(rank);
  std::vector<int64_t> b(static_cast<size_t>(pick(1, static_cast<int64_t>(rank))));
  for (size_t i = 0; i < rank; ++i) {
    const int64_t size = pick(1, 4);
    a[rank - 1 - i] = pick(0, 3) == 0 ? 1 : size;
    if (i < b.size()) b[b.size() - 1 - i] = pick(0, 2) == 0 ? 1 : size;
  }
  graph::Model model;
  GraphBuilder builder(model, "main");
  builder.input("a", graph::Shape(a.begin(), a.end()));
  builder.input("b", graph::Shape(b.begin(), b.end()));
  std::string sum = builder.add("sum", "a", "b");
  sum = builder.node("product", "Mul", {"b", sum});
  const auto shape = graph::infer_shapes(model,
                                         [&] {
                                           builder.finish();
                                           return model.graphs.back();
                                         }())
                         .value()
                         .at(sum)
                         .shape;
  model.graphs.back().outputs.push_back({sum, graph::DataType::kFloat32, shape});
  run_and_compare(model, 1, 1);
  RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(GeneralOperators, NormalisesTensorsOfThreeDimensions) {
  graph::Model model;
  GraphBuilder builder(model, "main");
  std::string x = builder.input("x", {"batch", 5, 7});
  x = builder.batch_norm("norm", x, 5);
  builder.output(builder.relu("relu", x), "y", {"batch", 5, 7});
  builder.finish();
  run_and_compare(model, 2, 3);
}

graph::Model integer_sum() {
  graph::Model model;
  GraphBuilder builder(model, "main");
  builder.input("a", {"batch", 3}, graph::DataType::kInt64);
  const std::vector<int64_t> offsets = {10, 20, 30};
  builder.constant(graph::make_constant("offsets", {3}, offsets));
  builder.output(builder.add("sum", "a", "offsets"), "y", {"batch", 3}, graph::DataType::kInt64);
  builder.finish();
  return model;
}

TEST(GeneralOperators, IntegersGoInAndOut) {
  const auto session = open(random_nested(integer_sum(), {1.0}, 1), {});
  ASSERT_NE(session, nullptr);
  const std::vector<int64_t> a = {1, 2, int64_t{1} << 40};
  std::vector<int64_t> y(3);
  const runtime::InputView in{a};
  const runtime::OutputView out{y};
  const Status status = session->run({&in, 1}, {&out, 1}, 0);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(y, (std::vector<int64_t>{11, 22, (int64_t{1} << 40) + 30}));
}

TEST(GeneralOperators, RefusesDataOfAnotherType) {
  const auto session = open(random_nested(integer_sum(), {1.0}, 1), {});
  ASSERT_NE(session, nullptr);
  const std::vector<float> a(3);
  std::vector<int64_t> y(3);
  const runtime::InputView in{a};
  const runtime::OutputView out{y};
  const Status status = session->run({&in, 1}, {&out, 1}, 0);
  EXPECT_EQ(status.message(), "input 'a' has elements of type float32, the graph's are int64");
}

}  // namespace
}  // namespace strata::testing
