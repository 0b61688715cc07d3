// Shape inference, operator by operator: what is inferred, what stays symbolic, what is refused.
#include <gtest/gtest.h>

#include "one_node.h"

namespace strata::graph {
namespace {

std::string refusal(const std::string& op, const std::string& reason) {
  return "graph 'main': node 'n' (" + op + "): " + reason;
}

TEST(InferShapes, KeepsABatchSymbolAndBindsIt) {
  const std::vector<Shape> inputs = {Shape{"batch", 3, 8, 8}, Shape{16, 3, 3, 3}};
  EXPECT_EQ(inferred("Conv", inputs), "[batch,16,6,6]");
  EXPECT_EQ(inferred("Conv", inputs, {}, {{"batch", 5}}), "[5,16,6,6]");
}

TEST(InferShapes, ArithmeticOnASymbolIsUnknownUntilBound) {
  const std::vector<Shape> inputs = {Shape{1, 3, "height", 8}, Shape{16, 3, 3, 3}};
  EXPECT_EQ(inferred("Conv", inputs), "[1,16,?,6]");
  EXPECT_EQ(inferred("Conv", inputs, {}, {{"height", 11}}), "[1,16,9,6]");
}

TEST(InferShapes, ConvErrorsNameTheReason) {
  EXPECT_EQ(inferred("Conv", {Shape{1, 3, 8, 8}, Shape{16, 64, 3, 3}}),
            refusal("Conv", "input has 3 channels, the weight expects 64"));
  EXPECT_EQ(inferred("Conv", {Shape{1, 3, 8, 8}, Shape{16, 3, 3, 3}, Shape{15}}),
            refusal("Conv", "the bias has 15 elements, expected 16"));
  EXPECT_EQ(inferred("Conv", {Shape{1, 3, 8, 8}, Shape{16, 3, 3}}),
            refusal("Conv", "the weight has shape [16,3,3], expected 4 dimensions"));
  EXPECT_EQ(
      inferred("Conv", {Shape{1, 3, 2, 8}, Shape{16, 3, 3, 3}}),
      refusal("Conv", "spatial axis 0 has size 2, 2 with padding, too small for a window of 3"));
  EXPECT_EQ(inferred("Conv", {Shape{1, 4, 8, 8}, Shape{3, 2, 3, 3}}, {{"group", int64_t{2}}}),
            refusal("Conv", "the weight has 3 output channels, which 2 groups do not divide"));
  EXPECT_EQ(
      inferred("Conv", {Shape{1, 3, 8, 8}, Shape{3, 3, 3, 3}}, {{"kernel_shape", Ints{5, 5}}}),
      refusal("Conv", "attribute 'kernel_shape' does not match the weight's shape [3,3,3,3]"));
  EXPECT_EQ(inferred("Conv", {Shape{1, 3, 8, 8}, Shape{3, 3, 3, 3}},
                     {{"auto_pad", std::string("SAME_UPPER")}}),
            refusal("Conv", "auto_pad 'SAME_UPPER' is not supported; give explicit pads"));
  EXPECT_EQ(
      inferred("Conv", {Shape{1, 3}, Shape{3, 3}}),
      refusal("Conv",
              "input has shape [1,3], expected batch, channels and at least one spatial axis"));
}

TEST(InferShapes, BatchNormalizationNeedsOneValuePerChannel) {
  const Shape vector = {3};
  EXPECT_EQ(inferred("BatchNormalization", {Shape{"n", 3, 4, 4}, vector, vector, vector, vector}),
            "[n,3,4,4]");
  EXPECT_EQ(inferred("BatchNormalization", {Shape{"n", 3, 4, 4}, vector, vector, Shape{4}, vector}),
            refusal("BatchNormalization", "mean has 4 elements, expected 3"));
  EXPECT_EQ(inferred("BatchNormalization", {Shape{"n", 3}, vector, vector, vector, vector},
                     {{"epsilon", -1.0F}}),
            refusal("BatchNormalization",
                    "attribute 'epsilon' must be a finite number that is not negative"));
  EXPECT_EQ(
      inferred("BatchNormalization", {Shape{"n", 3}, vector, vector, vector, vector},
               {{"training_mode", int64_t{1}}}),
      refusal("BatchNormalization", "only inference with statistics per channel is supported"));
}

TEST(InferShapes, AddBroadcasts) {
  EXPECT_EQ(inferred("Add", {Shape{2, 3, 4}, Shape{3, 1}}), "[2,3,4]");
  EXPECT_EQ(inferred("Add", {Shape{1}, Shape{"n", 7}}), "[n,7]");
  EXPECT_EQ(inferred("Add", {Shape{"n", 7}, Shape{"n", 7}}), "[n,7]");
  EXPECT_EQ(inferred("Add", {Shape{"n", 7}, Shape{5, 7}}), "[5,7]");
  EXPECT_EQ(inferred("Add", {Shape{"n", 7}, Shape{"m", 7}}), "[?,7]");
  EXPECT_EQ(inferred("Add", {Shape{2, 3}, Shape{2, 4}}),
            refusal("Add", "shapes [2,3] and [2,4] do not broadcast"));
}

TEST(InferShapes, GlobalAveragePoolLeavesOnePosition) {
  EXPECT_EQ(inferred("GlobalAveragePool", {Shape{"n", 8, "h", 5}}), "[n,8,1,1]");
}

TEST(InferShapes, FlattenMultiplies) {
  EXPECT_EQ(inferred("Flatten", {Shape{"n", 8, 2, 3}}), "[n,48]");
  EXPECT_EQ(inferred("Flatten", {Shape{"n", 8, 2, 3}}, {{"axis", int64_t{-1}}}), "[?,3]");
  EXPECT_EQ(inferred("Flatten", {Shape{4, 8, 2, 3}}, {{"axis", int64_t{0}}}), "[1,192]");
  EXPECT_EQ(inferred("Flatten", {Shape{4, 8, 2, 3}}, {{"axis", int64_t{4}}}), "[192,1]");
  EXPECT_EQ(inferred("Flatten", {Shape{"n", 1, "h"}}), "[n,h]");
  EXPECT_EQ(inferred("Flatten", {Shape{4, 8}}, {{"axis", int64_t{3}}}),
            refusal("Flatten", "axis 3 is outside an input of 2 dimensions"));
}

TEST(InferShapes, GemmTransposesAndBroadcastsItsBias) {
  EXPECT_EQ(inferred("Gemm", {Shape{"n", 8}, Shape{8, 5}}), "[n,5]");
  EXPECT_EQ(inferred("Gemm", {Shape{8, "n"}, Shape{5, 8}, Shape{5}},
                     {{"transA", int64_t{1}}, {"transB", int64_t{1}}}),
            "[n,5]");
  EXPECT_EQ(inferred("Gemm", {Shape{2, 8}, Shape{8, 5}, Shape{2, 1}}), "[2,5]");
  EXPECT_EQ(inferred("Gemm", {Shape{2, 7}, Shape{8, 5}}),
            refusal("Gemm", "input has 7 features, the weight expects 8"));
  EXPECT_EQ(inferred("Gemm", {Shape{1, 8}, Shape{8, 5}, Shape{2, 5}}),
            refusal("Gemm", "the bias of shape [2,5] does not broadcast to [1,5]"));
  EXPECT_EQ(inferred("Gemm", {Shape{2, 8, 1}, Shape{8, 5}}),
            refusal("Gemm", "input has shape [2,8,1], expected 2 dimensions"));
}

TEST(InferShapes, MatMulBroadcastsItsBatch) {
  EXPECT_EQ(inferred("MatMul", {Shape{"n", 4, 3, 8}, Shape{8, 5}}), "[n,4,3,5]");
  EXPECT_EQ(inferred("MatMul", {Shape{1, 3, 8}, Shape{6, 8, 5}}), "[6,3,5]");
  EXPECT_EQ(inferred("MatMul", {Shape{3, 8}, Shape{7, 5}}),
            refusal("MatMul", "input has 8 features, the weight expects 7"));
}

TEST(InferShapes, PadAddsBothEnds) {
  EXPECT_EQ(inferred("Pad", {Shape{"n", 16, "h", 4}}, {{"pads", Ints{0, 8, 0, 1, 0, 8, 2, 3}}}),
            "[n,32,?,8]");
  EXPECT_EQ(inferred("Pad", {Shape{2, 4}}, {{"pads", Ints{0, 1}}}),
            refusal("Pad", "attribute 'pads' has 2 values, expected 4"));
  EXPECT_EQ(inferred("Pad", {Shape{2, 4}},
                     {{"pads", Ints{0, 4, 0, 0}}, {"mode", std::string("reflect")}}),
            refusal("Pad", "axis 1 of size 4 reflects less than 4 elements"));
  EXPECT_EQ(
      inferred("Pad", {Shape{2, 4}}, {{"pads", Ints{0, 0, 0, 0}}, {"mode", std::string("wrap")}}),
      refusal("Pad", "padding of mode 'wrap' is not supported"));
}

TEST(InferShapes, ConcatSumsOneAxis) {
  EXPECT_EQ(inferred("Concat", {Shape{"n", 2, 5}, Shape{"n", 3, 5}, Shape{"n", 1, 5}},
                     {{"axis", int64_t{1}}}),
            "[n,6,5]");
  EXPECT_EQ(inferred("Concat", {Shape{2, 5}, Shape{2, 4}}, {{"axis", int64_t{0}}}),
            refusal("Concat", "inputs of shapes [2,5] and [2,4] differ outside axis 0"));
  EXPECT_EQ(inferred("Concat", {Shape{2, 5}}), refusal("Concat", "attribute 'axis' is missing"));
}

TEST(InferShapes, ElementwiseOperatorsKeepTheShape) {
  for (const char* op : {"Relu", "Identity", "Softmax"}) {
    EXPECT_EQ(inferred(op, {Shape{"n", 4, Dim()}}), "[n,4,?]") << op;
  }
  EXPECT_EQ(inferred("Softmax", {Shape{2, 3}}, {{"axis", int64_t{2}}}),
            refusal("Softmax", "axis 2 is outside an input of 2 dimensions"));
}

TEST(InferShapes, ElementTypesAreChecked) {
  Model model = one_node("Add", {Shape{2}, Shape{2}});
  model.graphs[0].inputs[1].type = DataType::kInt64;
  EXPECT_EQ(inferred(model), refusal("Add", "its inputs differ in element type"));
  model = one_node("Relu", {Shape{2}});
  model.graphs[0].inputs[0].type = DataType::kBool;
  EXPECT_EQ(inferred(model), refusal("Relu", "its inputs must be floating-point numbers"));
}

TEST(InferShapes, DeclaredOutputsMustAgreeAndFillWhatIsOpen) {
  Model model = one_node("Conv", {Shape{"n", 3, "h", 8}, Shape{4, 3, 3, 3}});
  Graph& graph = model.graphs[0];
  graph.outputs = {{"y", DataType::kFloat32, {"n", 4, 10, 6}}};
  EXPECT_EQ(inferred(model), "[n,4,10,6]");
  EXPECT_EQ(inferred(model, {{"h", 13}}),
            "graph 'main': output 'y': it is declared as [n,4,10,6], but its nodes make "
            "[n,4,11,6]");
  graph.outputs[0].shape = {"n", 4, 6};
  EXPECT_EQ(inferred(model),
            "graph 'main': output 'y': it is declared as [n,4,6], but its nodes make [n,4,?,6]");
}

TEST(InferShapes, TheTableHoldsInputsAndParameters) {
  Model model = one_node("Conv", {Shape{"n", 3, 8, 8}});
  model.parameters.push_back({"w", {4, 3, 3, 3}, ParameterRole::kWeight, true});
  model.graphs[0].nodes[0].inputs.emplace_back("w");
  const Result<ValueTable> table = infer_shapes(model, model.graphs[0], {{"n", 2}});
  ASSERT_TRUE(table.ok()) << table.status().message();
  ASSERT_EQ(table->size(), 3U);
  EXPECT_EQ(to_string(table->at("i0").shape), "[2,3,8,8]");
  EXPECT_EQ(to_string(table->at("w").shape), "[4,3,3,3]");
  EXPECT_EQ(table->at("y").name, "y");
}

}  // namespace
}  // namespace strata::graph
