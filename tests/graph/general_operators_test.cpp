// Shape inference of operators of any rank and type: selections, reductions, comparisons, casts.
#include <gtest/gtest.h>

#include "one_node.h"

namespace strata::graph {
namespace {

/// Adds a constant of integers as the next input of the node.
void add_constant(Model& model, const Ints& values) {
  const std::string name = "c" + std::to_string(model.constants.size());
  model.constants.push_back(make_constant(name, {static_cast<int64_t>(values.size())}, values));
  model.graphs[0].nodes[0].inputs.push_back(name);
}

Model with_constants(const std::string& op_type, const Shape& input, const std::vector<Ints>& rest,
                     Attributes attributes = {}) {
  Model model = one_node(op_type, {input}, std::move(attributes));
  for (const Ints& values : rest) add_constant(model, values);
  return model;
}

std::string refusal(const std::string& op_type, const std::string& reason) {
  return "graph 'main': node 'n' (" + op_type + "): " + reason;
}

TEST(InferGeneral, SliceCountsPlaces) {
  const Shape input = {"n", 10, 7};
  EXPECT_EQ(inferred(with_constants("Slice", input, {{1, -3}, {8, 100}, {1, 2}, {2, 1}})),
            "[n,4,3]");
  EXPECT_EQ(inferred(with_constants("Slice", input, {{-1}, {-100}, {1}, {-3}})), "[n,4,7]");
  EXPECT_EQ(inferred(with_constants("Slice", input, {{5}, {2}, {1}})), "[n,0,7]");
  EXPECT_EQ(inferred(with_constants("Slice", input, {{0}, {INT64_MAX}, {0}})), "[n,10,7]");
  EXPECT_EQ(inferred(with_constants("Slice", input, {{1}, {INT64_MAX}, {0}})), "[?,10,7]");
  EXPECT_EQ(inferred(with_constants("Slice", input, {{0}, {1}, {3}})),
            refusal("Slice", "axis 3 is outside an input of 3 dimensions"));
  EXPECT_EQ(inferred(with_constants("Slice", input, {{0}, {1}, {1}, {0}})),
            refusal("Slice", "one of its steps is not possible"));
  EXPECT_EQ(inferred(with_constants("Slice", input, {{0, 1}, {1}})),
            refusal("Slice", "its starts, ends, axes and steps differ in count"));
}

TEST(InferGeneral, SplitNeedsSizesThatAddUp) {
  Model model = with_constants("Split", {4, 9}, {{2, 7}}, {{"axis", int64_t{1}}});
  model.graphs[0].nodes[0].outputs = {"y", "z"};
  const auto table = infer_shapes(model, model.graphs[0]);
  ASSERT_TRUE(table.ok()) << table.status().message();
  EXPECT_EQ(to_string(table->at("y").shape), "[4,2]");
  EXPECT_EQ(to_string(table->at("z").shape), "[4,7]");
  model.constants[0] = make_constant("c0", {2}, Ints{2, 6});
  EXPECT_EQ(inferred(model), refusal("Split", "its parts have 8 elements along axis 1 of [4,9]"));
  model.graphs[0].nodes[0].outputs = {"y"};
  EXPECT_EQ(inferred(model), refusal("Split", "it has 1 outputs, but sizes of 2 parts"));
}

TEST(InferGeneral, GatherReplacesAnAxisByItsIndices) {
  Model model = one_node("Gather", {Shape{"n", 5, 6}, Shape{2, 3}}, {{"axis", int64_t{1}}});
  EXPECT_EQ(inferred(model), refusal("Gather", "its indices must be int64 or int32"));
  model.graphs[0].inputs[1].type = DataType::kInt64;
  EXPECT_EQ(inferred(model), "[n,2,3,6]");
}

TEST(InferGeneral, ExpandBroadcasts) {
  EXPECT_EQ(inferred(with_constants("Expand", {3, 1}, {{2, 1, 4}})), "[2,3,4]");
  EXPECT_EQ(inferred(with_constants("Expand", {3, 1}, {{2, 4}})),
            refusal("Expand", "shapes [3,1] and [2,4] do not broadcast"));
}

TEST(InferGeneral, ReductionsKeepOrDropAxes) {
  EXPECT_EQ(inferred("ReduceSum", {Shape{"n", 4, 5}}, {{"axes", Ints{-1, 1}}}), "[n,1,1]");
  EXPECT_EQ(
      inferred("ReduceMean", {Shape{"n", 4, 5}}, {{"axes", Ints{2}}, {"keepdims", int64_t{0}}}),
      "[n,4]");
  EXPECT_EQ(inferred("ReduceMax", {Shape{3, 4}}, {{"keepdims", int64_t{0}}}), "[]");
  EXPECT_EQ(inferred("ReduceMax", {Shape{3, int64_t{0}}}, {{"axes", Ints{1}}}),
            refusal("ReduceMax", "it reduces an axis that is empty"));
  const Model model = one_node("ArgMax", {Shape{"n", 4}}, {{"axis", int64_t{1}}});
  const auto table = infer_shapes(model, model.graphs[0]);
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->at("y").type, DataType::kInt64);
}

TEST(InferGeneral, TypesFollowFromTheOperator) {
  Model model = one_node("Less", {Shape{2, 3}, Shape{3}});
  EXPECT_EQ(infer_shapes(model, model.graphs[0])->at("y").type, DataType::kBool);
  EXPECT_EQ(inferred("And", {Shape{2}, Shape{2}}), refusal("And", "its inputs must be booleans"));
  EXPECT_EQ(inferred("Not", {Shape{2}}), refusal("Not", "its input must be a boolean"));
  model = one_node("Cast", {Shape{2}}, {{"to", int64_t{7}}});
  EXPECT_EQ(infer_shapes(model, model.graphs[0])->at("y").type, DataType::kInt64);
  EXPECT_EQ(inferred("Cast", {Shape{2}}, {{"to", int64_t{99}}}),
            refusal("Cast", "attribute 'to' names element type 99, which is not known"));
  model = one_node("Where", {Shape{2}, Shape{3, 1}, Shape{1}});
  EXPECT_EQ(inferred(model), refusal("Where", "it needs a boolean and two operands of one type"));
  model.graphs[0].inputs[0].type = DataType::kBool;
  EXPECT_EQ(inferred(model), "[3,2]");
}

TEST(InferGeneral, NormalisationChecksItsVectors) {
  EXPECT_EQ(inferred("LayerNormalization", {Shape{"n", 4, 5}, Shape{5}, Shape{5}}), "[n,4,5]");
  EXPECT_EQ(inferred("LayerNormalization", {Shape{"n", 4, 5}, Shape{4}}),
            refusal("LayerNormalization",
                    "its input 1 has shape [4], not that of the normalised axes of [n,4,5]"));
  EXPECT_EQ(inferred("InstanceNormalization", {Shape{2, 3, 4}, Shape{3}, Shape{2}}),
            refusal("InstanceNormalization", "shift has 2 elements, expected 3"));
  EXPECT_EQ(inferred("LRN", {Shape{2, 3, 4}}),
            refusal("LRN", "attribute 'size' must be at least 1, and the input have channels"));
}

}  // namespace
}  // namespace strata::graph
