// Operators of any rank and type by values worked out by hand: selections, reductions, element by
// element, comparisons, padding.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "session_fixture.h"

namespace strata::testing {
namespace {

using graph::GraphBuilder;
using Attributes = std::map<std::string, graph::Attribute, std::less<>>;
using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;

/// A graph of one node over an input "x" of `shape` and constants, and its session.
struct OneNode {
  explicit OneNode(const graph::Shape& shape) : builder(model, "main") {
    builder.input("x", shape);
  }

  std::string integers(const Ints& values, Ints shape = {-1}) {
    if (shape == Ints{-1}) shape = {static_cast<int64_t>(values.size())};
    return builder.constant(
        graph::make_constant("c" + std::to_string(model.constants.size()), shape, values));
  }
  std::string floats(const Floats& values, const Ints& shape) {
    return builder.constant(
        graph::make_constant("c" + std::to_string(model.constants.size()), shape, values));
  }
  /// What the node makes of 0, 1, 2, … (or `values`), in elements of type T.
  template <typename T = float>
  std::vector<T> run(const std::string& op, std::vector<std::string> inputs, Attributes attributes,
                     Floats values = {}) {
    inputs.insert(inputs.begin(), "x");
    builder.node("y", op, std::move(inputs), std::move(attributes));
    builder.finish();
    graph::Graph& graph = model.graphs[0];
    const auto table = graph::infer_shapes(model, graph);
    EXPECT_TRUE(table.ok()) << table.status().message();
    if (!table.ok()) return {};
    graph.outputs.push_back(table->at("y"));
    const auto session = open(random_nested(model, {1.0}, 5), {});
    if (session == nullptr) return {};
    if (values.empty()) {
      for (int64_t i = 0; i < elements(session->inputs()[0]); ++i) {
        values.push_back(static_cast<float>(i));
      }
    }
    std::vector<T> result(static_cast<size_t>(elements(session->outputs()[0])));
    const runtime::InputView in{values};
    const runtime::OutputView out(result.data(), result.size(), session->outputs()[0].type);
    status = session->run({&in, 1}, {&out, 1}, 0);
    return result;
  }

  graph::Model model;
  GraphBuilder builder;
  Status status;
};

TEST(Selection, SliceStepsForwardsAndBackwards) {
  OneNode forwards({2, 5});
  EXPECT_EQ(forwards.run("Slice",
                         {forwards.integers({1}), forwards.integers({5}), forwards.integers({1}),
                          forwards.integers({2})},
                         {}),
            (Floats{1, 3, 6, 8}));
  OneNode backwards({2, 5});
  EXPECT_EQ(backwards.run("Slice",
                          {backwards.integers({-1, 3}), backwards.integers({-100, 0}),
                           backwards.integers({0, 1}), backwards.integers({-1, -2})},
                          {}),
            (Floats{8, 6, 3, 1}));
}

TEST(Selection, GatherTakesRowsAndRefusesWhatIsNotThere) {
  OneNode gather({3, 2});
  EXPECT_EQ(gather.run("Gather", {gather.integers({2, -3, 2})}, {}), (Floats{4, 5, 0, 1, 4, 5}));
  OneNode columns({2, 3});
  EXPECT_EQ(columns.run("Gather", {columns.integers({1}, {})}, {{"axis", int64_t{1}}}),
            (Floats{1, 4}));
  OneNode outside({3, 2});
  outside.run("Gather", {outside.integers({3})}, {});
  EXPECT_EQ(outside.status.code(), StatusCode::kOutOfRange);
  EXPECT_NE(outside.status.message().find("index 3 is outside an axis of 3"), std::string::npos)
      << outside.status.message();
}

TEST(Selection, ExpandRepeats) {
  OneNode expand({2, 1});
  EXPECT_EQ(expand.run("Expand", {expand.integers({2, 1, 3})}, {}),
            (Floats{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1}));
}

TEST(Selection, SplitGivesAllItsParts) {
  graph::Model model;
  GraphBuilder builder(model, "main");
  builder.input("x", {2, 3});
  const Ints sizes = {1, 2};
  builder.constant(graph::make_constant("sizes", {2}, sizes));
  builder.node("a", "Split", {"x", "sizes"}, {{"axis", int64_t{1}}});
  builder.finish();
  model.graphs[0].nodes[0].outputs = {"a", "b"};
  model.graphs[0].outputs = {{"b", graph::DataType::kFloat32, {2, 2}},
                             {"a", graph::DataType::kFloat32, {2, 1}}};
  const auto session = open(random_nested(model, {1.0}, 5), {});
  ASSERT_NE(session, nullptr);
  const Floats x = {0, 1, 2, 3, 4, 5};
  Floats b(4);
  Floats a(2);
  const runtime::InputView in{x};
  const std::array<runtime::OutputView, 2> out = {runtime::OutputView{b}, runtime::OutputView{a}};
  ASSERT_TRUE(session->run({&in, 1}, out, 0).ok());
  EXPECT_EQ(a, (Floats{0, 3}));
  EXPECT_EQ(b, (Floats{1, 2, 4, 5}));
}

TEST(Reduction, AxesNeedNotLieTogether) {
  OneNode sum({2, 3, 2});
  EXPECT_EQ(sum.run("ReduceSum", {}, {{"axes", Ints{0, 2}}, {"keepdims", int64_t{0}}}),
            (Floats{14, 22, 30}));
  OneNode mean({2, 2});
  EXPECT_EQ(mean.run("ReduceMean", {}, {}), Floats{1.5F});
  OneNode largest({2, 3});
  EXPECT_EQ(largest.run("ReduceMax", {}, {{"axes", Ints{1}}}), (Floats{2, 5}));
  OneNode stable({1, 2});
  EXPECT_EQ(stable.run("ReduceLogSumExp", {}, {{"axes", Ints{1}}}, {1000, 1000}),
            Floats{1000 + std::log(2.0F)});
}

TEST(Reduction, ArgMaxTakesTheFirstOrTheLast) {
  const Floats values = {1, 3, 3, 2};
  OneNode first({1, 4});
  EXPECT_EQ(first.run<int64_t>("ArgMax", {}, {{"axis", int64_t{1}}}, values), Ints{1});
  OneNode last({1, 4});
  EXPECT_EQ(last.run<int64_t>("ArgMax", {},
                              {{"axis", int64_t{1}}, {"select_last_index", int64_t{1}}}, values),
            Ints{2});
  OneNode least({1, 4});
  EXPECT_EQ(least.run<int64_t>("ArgMin", {}, {{"axis", int64_t{1}}}, values), Ints{0});
}

TEST(Elementwise, EdgesOfTheDomain) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  OneNode round({1, 4});
  EXPECT_EQ(round.run("Round", {}, {}, {0.5F, 1.5F, -0.5F, 2.5F}), (Floats{0, 2, 0, 2}));
  OneNode sigmoid({1, 3});
  EXPECT_EQ(sigmoid.run("Sigmoid", {}, {}, {-kInfinity, 0, kInfinity}), (Floats{0, 0.5F, 1}));
  OneNode soft({1, 2});
  EXPECT_EQ(soft.run("Softplus", {}, {}, {-200, 200}), (Floats{0, 200}));
  OneNode clip({1, 3});
  EXPECT_EQ(clip.run("Clip", {clip.floats({-1}, {}), clip.floats({1}, {})}, {}, {-5, 0.5F, 5}),
            (Floats{-1, 0.5F, 1}));
  OneNode cast({1, 4});
  EXPECT_EQ(
      cast.run<int64_t>("Cast", {}, {{"to", int64_t{7}}}, {1.9F, -1.9F, 1e30F, std::nanf("")}),
      (Ints{1, -1, std::numeric_limits<int64_t>::max(), 0}));
}

TEST(Elementwise, ComparisonsBroadcastAndMakeBooleans) {
  OneNode less({2, 2});
  EXPECT_EQ(less.run<uint8_t>("Less", {less.floats({1, 3}, {2})}, {}),
            (std::vector<uint8_t>{1, 1, 0, 0}));
  OneNode largest({1, 2});
  const Floats made = largest.run("Max", {largest.floats({5, 5}, {2})}, {}, {std::nanf(""), 7});
  EXPECT_TRUE(std::isnan(made[0]));
  EXPECT_EQ(made[1], 7);
}

TEST(Padding, EdgeAndReflectAndNumbers) {
  const Ints pads = {0, 2, 0, 1};
  OneNode edge({2, 3});
  EXPECT_EQ(edge.run("Pad", {}, {{"mode", std::string("edge")}, {"pads", pads}}),
            (Floats{0, 0, 0, 1, 2, 2, 3, 3, 3, 4, 5, 5}));
  OneNode reflect({2, 3});
  EXPECT_EQ(reflect.run("Pad", {}, {{"mode", std::string("reflect")}, {"pads", pads}}),
            (Floats{2, 1, 0, 1, 2, 1, 5, 4, 3, 4, 5, 4}));
  OneNode number({1, 2});
  EXPECT_EQ(number.run("Pad", {}, {{"pads", Ints{0, 1, 1, 0}}, {"value", 9.0F}}),
            (Floats{9, 0, 1, 9, 9, 9}));
}

TEST(Normalisation, RowsAndNeighbours) {
  OneNode layer({2, 2});
  const Floats rows =
      layer.run("LayerNormalization", {layer.floats({2, 2}, {2}), layer.floats({1, 1}, {2})},
                {{"epsilon", 0.0F}}, {1, 3, 10, 20});
  EXPECT_EQ(rows, (Floats{-1, 3, -1, 3}));
  OneNode lrn({1, 3, 1, 1});
  const Floats made =
      lrn.run("LRN", {}, {{"size", int64_t{3}}, {"alpha", 3.0F}, {"beta", 1.0F}, {"bias", 1.0F}},
              {1, 2, 3});
  EXPECT_FLOAT_EQ(made[0], 1.0F / 6);
  EXPECT_FLOAT_EQ(made[1], 2.0F / 15);
  EXPECT_FLOAT_EQ(made[2], 3.0F / 14);
}

}  // namespace
}  // namespace strata::testing
