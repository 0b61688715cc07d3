// Recurrent layers from and to ONNX: what is always so is left out, what stores the batch first is
// transposed, and what strata does not compute is refused.
#include <gtest/gtest.h>
#include <onnx/checker.h>

#include "graph/builder.h"
#include "interop/onnx_export.h"
#include "interop/onnx_import.h"
#include "onnx_model.h"
#include "sparse/random.h"

namespace strata::interop {
namespace {

using testing::OnnxModel;
using testing::set;
using Names = std::vector<std::string>;

Result<sparse::NestedModel> import(const std::string& bytes) {
  return import_onnx_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "test");
}

/// A layer of 3 features and 2 hidden units.
struct Layer {
  OnnxModel model{14};
  onnx::NodeProto* node = nullptr;

  explicit Layer(const std::string& type, const Names& inputs = {"x", "w", "r"},
                 const Names& outputs = {"y"}) {
    const int64_t rows = type == "LSTM" ? 8 : 6;
    model.input("x", {4, -1, 3});
    for (const std::string& output : outputs) {
      if (!output.empty()) model.output(output);
    }
    model.weight("w", {1, rows, 3});
    model.weight("r", {1, rows, 2});
    node = &model.node(type, inputs, outputs);
    set(*node, "hidden_size", int64_t{2});
  }
  [[nodiscard]] sparse::NestedModel imported() const {
    auto nested = import(model.bytes());
    EXPECT_TRUE(nested.ok()) << nested.status().message();
    return nested.ok() ? std::move(nested).value() : sparse::NestedModel();
  }
  [[nodiscard]] std::string refusal() const { return import(model.bytes()).status().message(); }
};

TEST(OnnxRecurrent, WeightsNestAndWhatIsUsualIsLeftOut) {
  Layer layer("LSTM", {"x", "w", "r", "b", "", "h0", "", "p"}, {"y", "", "c"});
  layer.model.floats("h0", {1, 1, 2}, {0, 0});
  layer.model.floats("p", {1, 6}, {0, 0, 0, 0, 0, 0});
  layer.model.weight("b", {1, 16});
  set(*layer.node, "activations", Names{"Sigmoid", "Tanh", "Tanh"});
  set(*layer.node, "input_forget", int64_t{0});
  set(*layer.node, "layout", int64_t{0});
  const sparse::NestedModel nested = layer.imported();
  ASSERT_EQ(nested.model.graphs.at(0).nodes.size(), 1U);
  const graph::Node& node = nested.model.graphs[0].nodes[0];
  EXPECT_EQ(node.inputs, (Names{"x", "w", "r", "b"}));
  EXPECT_EQ(node.outputs, (Names{"y", "", "c"}));
  EXPECT_EQ(node.attributes.size(), 1U);
  EXPECT_TRUE(nested.weights.contains("w"));
  EXPECT_TRUE(nested.weights.contains("r"));
  EXPECT_TRUE(nested.model.find_parameter("r")->prunable);
  EXPECT_EQ(nested.model.find_parameter("b")->role, graph::ParameterRole::kBias);
  EXPECT_EQ(to_string(nested.model.graphs[0].outputs[1].shape), "[1,N,2]");
}

TEST(OnnxRecurrent, BatchFirstIsTransposedAround) {
  Layer layer("GRU", {"x", "w", "r"}, {"y", "h"});
  set(*layer.node, "layout", int64_t{1});
  const sparse::NestedModel nested = layer.imported();
  Names operators;
  for (const graph::Node& node : nested.model.graphs.at(0).nodes) {
    operators.push_back(node.op_type);
  }
  EXPECT_EQ(operators, (Names{"Transpose", "GRU", "Transpose", "Transpose"}));
  EXPECT_EQ(to_string(nested.model.graphs[0].outputs[0].shape), "[4,N,1,2]");
  EXPECT_EQ(to_string(nested.model.graphs[0].outputs[1].shape), "[4,1,2]");
}

TEST(OnnxRecurrent, WhatIsNotComputedIsRefused) {
  Layer clipped("LSTM");
  set(*clipped.node, "clip", 1.0F);
  EXPECT_NE(clipped.refusal().find("node 'y.node' (LSTM): attribute 'clip' is not known"),
            std::string::npos)
      << clipped.refusal();

  Layer other("GRU");
  set(*other.node, "activations", Names{"Sigmoid", "Relu"});
  EXPECT_NE(other.refusal().find("(GRU): its activation 'Relu' is not supported, only 'Tanh' is in "
                                 "that place"),
            std::string::npos)
      << other.refusal();

  Layer coupled("LSTM");
  set(*coupled.node, "input_forget", int64_t{1});
  EXPECT_NE(coupled.refusal().find("attribute 'input_forget' must be 0"), std::string::npos);

  Layer peepholes("LSTM", {"x", "w", "r", "", "", "", "", "p"});
  peepholes.model.weight("p", {1, 6});
  EXPECT_NE(peepholes.refusal().find("its peepholes (input 7) are not supported"),
            std::string::npos);

  Layer computed("LSTM", {"x", "x", "r"});
  EXPECT_NE(computed.refusal().find("its weight W ('x') is computed, it must be constant"),
            std::string::npos)
      << computed.refusal();

  Layer missing("LSTM", {"x", "w"});
  EXPECT_NE(missing.refusal().find("its input 2 is missing"), std::string::npos);

  Layer wrong("LSTM", {"x", "r", "w"});
  EXPECT_NE(wrong.refusal().find("the weight R has 3 hidden units, expected 2"), std::string::npos)
      << wrong.refusal();

  Layer strings("LSTM");
  set(*strings.node, "names", Names{"a"});
  EXPECT_NE(strings.refusal().find("attribute 'names' is a list of strings"), std::string::npos);
}

TEST(OnnxRecurrent, WhatWasExportedComesBack) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  builder.input("x", {"time", "batch", 5});
  builder.input("lengths", {"batch"}, graph::DataType::kInt32);
  builder.input("h0", {2, "batch", 6});
  const graph::LstmOutputs outputs = builder.lstm("lstm", "x",
                                                  {.in_features = 5,
                                                   .hidden = 6,
                                                   .direction = "bidirectional",
                                                   .sequence_lens = "lengths",
                                                   .initial_h = "h0"});
  builder.output(outputs.y, "y", {"time", 2, "batch", 6});
  builder.output(outputs.h, "h", {2, "batch", 6});
  builder.output(outputs.c, "c", {2, "batch", 6});
  builder.finish();
  const std::vector<sparse::LevelBudget> levels = {{.weights = 0.3, .flops = {}}};
  const sparse::NestedModel before =
      *sparse::random_nested_model(model, levels, sparse::AllocationMethod::kUniform, 3);
  const auto bytes = export_onnx(before, 0);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(*bytes));
  EXPECT_NO_THROW(onnx::checker::check_model(proto));
  const auto after = import(*bytes);
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_EQ(after->weights, before.weights);
  EXPECT_EQ(after->vectors, before.vectors);
  EXPECT_EQ(after->model.graphs[0].nodes, before.model.graphs[0].nodes);
}

}  // namespace
}  // namespace strata::interop
