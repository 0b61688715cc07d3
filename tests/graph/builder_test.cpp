// The builder's names and attributes, and access to the parts of a model.
#include "graph/builder.h"

#include <gtest/gtest.h>

namespace strata::graph {
namespace {

TEST(GraphBuilder, NamesNodesValuesAndParameters) {
  Model model;
  GraphBuilder builder(model, "main");
  const std::string image = builder.input("image", {"batch", 4, 9, 9});
  const std::string conv = builder.conv("conv", image,
                                        {.in_channels = 4,
                                         .out_channels = 6,
                                         .kernel = 3,
                                         .group = 2,
                                         .bias = true,
                                         .prunable = false});
  EXPECT_EQ(conv, "conv");
  const std::string normalised = builder.batch_norm("bn", conv, 6, 0.5F);
  builder.output(normalised, "result", {"batch", 6, 7, 7});
  builder.finish();

  ASSERT_TRUE(validate(model).ok()) << validate(model).message();
  const Graph* graph = model.find_graph("main");
  ASSERT_NE(graph, nullptr);
  ASSERT_TRUE(infer_shapes(model, *graph).ok());
  EXPECT_EQ(graph->nodes[1].outputs[0], "result");
  EXPECT_EQ(graph->nodes[1].attribute_float("epsilon", 0), 0.5F);
  const Parameter* weight = model.find_parameter("conv.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(*weight, (Parameter{"conv.weight", {6, 2, 3, 3}, ParameterRole::kWeight, false}));
  std::vector<std::pair<std::string, ParameterRole>> rest;
  for (size_t i = 1; i < model.parameters.size(); ++i) {
    rest.emplace_back(model.parameters[i].name, model.parameters[i].role);
  }
  EXPECT_EQ(rest, (std::vector<std::pair<std::string, ParameterRole>>{
                      {"conv.bias", ParameterRole::kBias},
                      {"bn.weight", ParameterRole::kScale},
                      {"bn.bias", ParameterRole::kShift},
                      {"bn.running_mean", ParameterRole::kMean},
                      {"bn.running_var", ParameterRole::kVariance}}));
}

TEST(GraphBuilder, ADeclaredOutputThatIsAlsoUsedInsideKeepsItsUsers) {
  Model model;
  GraphBuilder builder(model, "main");
  const std::string features = builder.relu("features", builder.input("x", {2, 3}));
  builder.output(features, "embedding", {2, 3});
  builder.output(builder.relu("again", "embedding"), "y", {2, 3});
  builder.finish();
  EXPECT_TRUE(validate(model).ok()) << validate(model).message();
}

TEST(Graph, AttributesFallBackWhenAbsentOrOfAnotherKind) {
  Node node;
  node.attributes = {{"axis", int64_t{3}},
                     {"pads", std::vector<int64_t>{1, 2}},
                     {"mode", std::string("constant")},
                     {"alpha", 0.5F}};
  EXPECT_EQ(node.attribute_int("axis", 7), 3);
  EXPECT_EQ(node.attribute_int("absent", 7), 7);
  EXPECT_EQ(node.attribute_int("alpha", 7), 7);
  EXPECT_EQ(node.attribute_float("alpha", 1), 0.5F);
  EXPECT_EQ(node.attribute_string("mode", ""), "constant");
  EXPECT_EQ(node.attribute_ints("pads", {}), (std::vector<int64_t>{1, 2}));
}

TEST(Graph, ShapesAsText) {
  EXPECT_EQ(to_string(Shape{"batch", 3, Dim(), int64_t{0}}), "[batch,3,?,0]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}

TEST(Graph, ABatchIsTheLeadingDimensionOfEveryInput) {
  Graph graph;
  EXPECT_TRUE(batch_sizes(graph, 8).empty());
  graph.inputs = {{"clouds", DataType::kFloat32, Shape{"batch", "points", 6}},
                  {"scalar", DataType::kFloat32, Shape{}},
                  {"fixed", DataType::kFloat32, Shape{1, "width"}},
                  {"lengths", DataType::kInt64, Shape{"sentences"}}};
  EXPECT_EQ(batch_sizes(graph, 8), (Bindings{{"batch", 8}, {"sentences", 8}}));
}

TEST(Graph, FindsByName) {
  Model model;
  model.parameters.push_back({"w", {2, 3}, ParameterRole::kWeight, true});
  EXPECT_EQ(model.find_parameter("w")->element_count(), 6);
  EXPECT_EQ(model.find_parameter("v"), nullptr);
  EXPECT_EQ(model.find_graph("main"), nullptr);
}

TEST(Graph, ElementCountIsMinusOneWhereThereIsNone) {
  const int64_t huge = int64_t{1} << 40;
  EXPECT_EQ((Parameter{"w", {huge, huge}, ParameterRole::kWeight, true}).element_count(), -1);
  EXPECT_EQ((Parameter{"w", {3, -1}, ParameterRole::kWeight, true}).element_count(), -1);
  EXPECT_EQ((Parameter{"w", {}, ParameterRole::kWeight, true}).element_count(), 1);
}

}  // namespace
}  // namespace strata::graph
