// What ONNX's opsets word differently becomes one graph; what exporters leave of shape arithmetic
// is gone; and what was exported comes back as it was.
#include "interop/onnx_import.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "interop/onnx_export.h"
#include "models/resnet.h"
#include "onnx_model.h"
#include "sparse/random.h"
#include "temporary_directory.h"

namespace strata::interop {
namespace {

using onnx::TensorProto;
using testing::OnnxModel;
using testing::set;
using Ints = std::vector<int64_t>;

Result<sparse::NestedModel> import(const OnnxModel& model, const ImportOptions& options = {}) {
  const std::string bytes = model.bytes();
  return import_onnx_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "test",
                           options);
}

sparse::NestedModel imported(const OnnxModel& model, const ImportOptions& options = {}) {
  Result<sparse::NestedModel> nested = import(model, options);
  EXPECT_TRUE(nested.ok()) << nested.status().message();
  return nested.ok() ? std::move(nested).value() : sparse::NestedModel();
}

/// The only node of an imported graph.
graph::Node only_node(const OnnxModel& model) {
  const sparse::NestedModel nested = imported(model);
  if (nested.model.graphs.empty()) return {};
  EXPECT_EQ(nested.model.graphs[0].nodes.size(), 1U);
  return nested.model.graphs[0].nodes.at(0);
}

std::vector<std::string> operators(const sparse::NestedModel& nested) {
  std::vector<std::string> names;
  for (const graph::Node& node : nested.model.graphs.at(0).nodes) names.push_back(node.op_type);
  return names;
}

TEST(OnnxImport, WhatWasExportedComesBack) {
  models::ResNetConfig config = *models::resnet_config("resnet8");
  config.width = 8;
  const std::vector<sparse::LevelBudget> levels = {{.weights = 0.3, .flops = {}}};
  const sparse::NestedModel before = *sparse::random_nested_model(
      *models::resnet(config), levels, sparse::AllocationMethod::kUniform, 3);
  const std::string bytes = *export_onnx(before, 0);
  const auto after =
      import_onnx_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "test");
  ASSERT_TRUE(after.ok()) << after.status().message();
  EXPECT_EQ(after->vectors, before.vectors);
  EXPECT_EQ(after->weights, before.weights);
  EXPECT_EQ(after->model.graphs[0].inputs, before.model.graphs[0].inputs);
  EXPECT_EQ(after->model.graphs[0].outputs, before.model.graphs[0].outputs);
  EXPECT_EQ(after->model.metadata, before.model.metadata);
  EXPECT_EQ(after->model.graphs[0].nodes.size(), before.model.graphs[0].nodes.size());
}

TEST(OnnxImport, ClipFromZeroIsReluInEveryOpset) {
  OnnxModel attribute(7);
  attribute.input("x", {1, 2}).output("y");
  set(attribute.node("Clip", {"x"}, {"y"}), "min", 0.0F);
  EXPECT_EQ(only_node(attribute).op_type, "Relu");

  OnnxModel input(13);
  input.input("x", {1, 2}).output("y");
  input.floats("low", {}, {0});
  input.node("Clip", {"x", "low"}, {"y"});
  EXPECT_EQ(only_node(input).op_type, "Relu");
}

TEST(OnnxImport, PadsAreAnAttributeWhereverTheyWere) {
  const Ints expected = {0, 0, 1, 2, 0, 0, 3, 4};
  OnnxModel attribute(7);
  attribute.input("x", {1, 2, 5, 5}).output("y");
  set(attribute.node("Pad", {"x"}, {"y"}), "pads", expected);
  EXPECT_EQ(only_node(attribute).attribute_ints("pads", {}), expected);

  OnnxModel input(13);
  input.input("x", {1, 2, 5, 5}).output("y");
  input.integers("pads", expected);
  input.node("Pad", {"x", "pads"}, {"y"});
  EXPECT_EQ(only_node(input).attribute_ints("pads", {}), expected);

  OnnxModel axes(18);
  axes.input("x", {1, 2, 5, 5}).output("y");
  axes.integers("pads", {1, 2, 3, 4});
  axes.integers("axes", {2, -1});
  axes.node("Pad", {"x", "pads", "", "axes"}, {"y"});
  EXPECT_EQ(only_node(axes).attribute_ints("pads", {}), expected);
}

TEST(OnnxImport, AutomaticPaddingBecomesExplicit) {
  for (const auto& [mode, expected] : {std::pair<std::string, Ints>{"SAME_UPPER", {0, 1, 1, 1}},
                                       {"SAME_LOWER", {1, 1, 0, 1}},
                                       {"VALID", {0, 0, 0, 0}}}) {
    OnnxModel model;
    model.input("x", {1, 1, 6, 7}).output("y");
    model.weight("w", {2, 1, 3, 3});
    onnx::NodeProto& conv = model.node("Conv", {"x", "w"}, {"y"});
    set(conv, "auto_pad", mode);
    set(conv, "strides", Ints{2, 2});
    EXPECT_EQ(only_node(model).attribute_ints("pads", {}), expected) << mode;
  }
}

TEST(OnnxImport, ShapeArithmeticFoldsWithASymbolicBatch) {
  OnnxModel model;
  model.input("x", {-1, 3, 4, 4}).output("y");
  model.node("Shape", {"x"}, {"shape"});
  model.floats("unused", {1}, {1});
  model.integers("zero", {0});
  model.node("Gather", {"shape", "zero"}, {"batch"});
  model.integers("rest", {-1});
  set(model.node("Concat", {"batch", "rest"}, {"target"}), "axis", int64_t{0});
  model.node("Reshape", {"x", "target"}, {"y"});
  const sparse::NestedModel nested = imported(model);
  EXPECT_EQ(operators(nested), std::vector<std::string>{"Flatten"});
  EXPECT_EQ(to_string(nested.model.graphs[0].outputs[0].shape), "[N,48]");
}

TEST(OnnxImport, SizesOfOpenDimensionsCanBeBound) {
  OnnxModel model;
  model.input("x", {0, 3, 0, 4}).output("y");
  model.node("Relu", {"x"}, {"y"});
  EXPECT_EQ(to_string(imported(model).model.graphs[0].inputs[0].shape), "[batch,3,x_2,4]");
  EXPECT_EQ(
      to_string(
          imported(model, {.bindings = {{"x_2", 9}}, .name = {}}).model.graphs[0].inputs[0].shape),
      "[batch,3,9,4]");
}

TEST(OnnxImport, WhatDoesNothingIsLeftOut) {
  OnnxModel model(12);
  model.input("x", {1, 4}).output("y");
  model.node("Dropout", {"x"}, {"a", "mask"});
  model.node("Identity", {"a"}, {"b"});
  model.node("Relu", {"b"}, {"c"});
  set(model.node("Cast", {"c"}, {"d"}), "to", int64_t{TensorProto::FLOAT16});
  model.node("Identity", {"d"}, {"y"});
  const graph::Node node = only_node(model);
  EXPECT_EQ(node.op_type, "Relu");
  EXPECT_EQ(node.inputs, std::vector<std::string>{"x"});
  EXPECT_EQ(node.outputs, std::vector<std::string>{"y"});
}

TEST(OnnxImport, AnInputThatIsAnOutputIsCopied) {
  OnnxModel model;
  model.input("x", {1, 4}).output("y").output("z");
  model.node("Identity", {"x"}, {"y"});
  model.node("Dropout", {"x"}, {"z"});
  const sparse::NestedModel nested = imported(model);
  EXPECT_EQ(operators(nested), (std::vector<std::string>{"Identity", "Identity"}));
}

TEST(OnnxImport, MatrixProductsStoreOutputsByInputs) {
  OnnxModel gemm;
  gemm.input("x", {1, 2}).output("y");
  gemm.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  gemm.floats("b", {1}, {7});
  gemm.node("Gemm", {"x", "w", "b"}, {"y"});
  const sparse::NestedModel nested = imported(gemm);
  EXPECT_EQ(nested.model.graphs[0].nodes[0].attribute_int("transB", 0), 1);
  const sparse::NestedTensor& weight = nested.weights.begin()->second;
  EXPECT_EQ(weight.shape, (Ints{3, 2}));
  EXPECT_EQ(sparse::densify(weight, 0), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(nested.vectors[0].begin()->second, (std::vector<float>{7, 7, 7}));

  OnnxModel product;
  product.input("x", {1, 2}).output("y");
  product.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  product.node("MatMul", {"x", "w"}, {"y"});
  EXPECT_EQ(only_node(product).op_type, "Gemm");
}

TEST(OnnxImport, AConstantPerChannelIsANormalisation) {
  OnnxModel model;
  model.input("x", {1, 2, 3, 3}).output("y");
  model.floats("scale", {2, 1, 1}, {2, 3});
  model.floats("shift", {1, 2, 1, 1}, {4, 5});
  model.node("Mul", {"scale", "x"}, {"a"});
  model.node("Sub", {"a", "shift"}, {"y"});
  const sparse::NestedModel nested = imported(model);
  EXPECT_EQ(operators(nested),
            (std::vector<std::string>{"BatchNormalization", "BatchNormalization"}));
  EXPECT_EQ(nested.vectors[0].at(nested.model.graphs[0].nodes[0].inputs[1]),
            (std::vector<float>{2, 3}));
  EXPECT_EQ(nested.vectors[0].at(nested.model.graphs[0].nodes[1].inputs[2]),
            (std::vector<float>{-4, -5}));
}

TEST(OnnxImport, WeightsMayBeComputedFromConstants) {
  OnnxModel model;
  model.input("x", {1, 2}).output("y");
  model.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  model.node("Transpose", {"w"}, {"t"});
  model.floats("two", {}, {2});
  model.node("Mul", {"t", "two"}, {"scaled"});
  set(model.node("Gemm", {"x", "scaled"}, {"y"}), "transB", int64_t{1});
  EXPECT_EQ(sparse::densify(imported(model).weights.begin()->second, 0),
            (std::vector<float>{2, 8, 4, 10, 6, 12}));
}

TEST(OnnxImport, QuantisedWeightsAreDequantised) {
  OnnxModel model;
  model.input("x", {1, 2}).output("y");
  TensorProto& weight = *model.proto.mutable_graph()->add_initializer();
  weight.set_name("w");
  weight.set_data_type(TensorProto::INT8);
  weight.add_dims(2);
  weight.add_dims(2);
  weight.set_raw_data(std::string("\x01\xff\x02\x05", 4));
  model.floats("scale", {2}, {0.5F, 0.25F});
  model.node("DequantizeLinear", {"w", "scale"}, {"float"});
  model.node("MatMul", {"x", "float"}, {"y"});
  EXPECT_EQ(sparse::densify(imported(model).weights.begin()->second, 0),
            (std::vector<float>{0.5F, 1.0F, -0.25F, 1.25F}));
}

TEST(OnnxImport, QuantisedActivationsStayFloats) {
  OnnxModel model;
  model.input("x", {1, 2}).output("y");
  model.floats("scale", {}, {0.5F});
  TensorProto& zero = *model.proto.mutable_graph()->add_initializer();
  zero.set_name("zero");
  zero.set_data_type(TensorProto::UINT8);
  zero.add_int32_data(0);
  model.node("QuantizeLinear", {"x", "scale", "zero"}, {"q"});
  model.node("DequantizeLinear", {"q", "scale", "zero"}, {"y"});
  EXPECT_EQ(operators(imported(model)), std::vector<std::string>{"Relu"});
  *zero.mutable_int32_data()->Mutable(0) = 128;
  EXPECT_EQ(operators(imported(model)), std::vector<std::string>{"Identity"});
  model.proto.mutable_graph()->mutable_output(0)->set_name("q");
  EXPECT_NE(import(model).status().message().find("it is quantised"), std::string::npos);
}

TEST(OnnxImport, OneAxisIsAnImageOfHeightOne) {
  OnnxModel model;
  model.input("x", {-1, 2, 9}).output("y");
  model.weight("w", {4, 2, 3});
  onnx::NodeProto& conv = model.node("Conv", {"x", "w"}, {"a"});
  set(conv, "pads", Ints{1, 0});
  set(conv, "strides", Ints{2});
  set(model.node("MaxPool", {"a"}, {"y"}), "kernel_shape", Ints{2});
  const sparse::NestedModel nested = imported(model);
  EXPECT_EQ(nested.weights.begin()->second.shape, (Ints{4, 2, 1, 3}));
  EXPECT_EQ(to_string(nested.model.graphs[0].outputs[0].shape), "[N,4,3]");
}

TEST(OnnxImport, ReshapesKeepOpenSizesOpen) {
  OnnxModel model;
  model.input("x", {-1, 6, 4}).output("y");
  model.integers("target", {0, 2, -1, 4});
  model.node("Reshape", {"x", "target"}, {"y"});
  const sparse::NestedModel nested = imported(model);
  EXPECT_EQ(operators(nested), std::vector<std::string>{"Reshape"});
  EXPECT_EQ(to_string(nested.model.graphs[0].outputs[0].shape), "[N,2,3,4]");
}

TEST(OnnxImport, AxesAreAnAttributeWhereverTheyWere) {
  OnnxModel attribute(11);
  attribute.input("x", {2, 3, 4}).output("y");
  set(attribute.node("ReduceSum", {"x"}, {"y"}), "axes", Ints{1});
  OnnxModel input(13);
  input.input("x", {2, 3, 4}).output("y");
  input.integers("axes", {1});
  input.node("ReduceSum", {"x", "axes"}, {"y"});
  for (const OnnxModel* model : {&attribute, &input}) {
    const sparse::NestedModel nested = imported(*model);
    EXPECT_EQ(nested.model.graphs[0].nodes.at(0).attribute_ints("axes", {}), Ints{1});
    // Export says it in opset 13's words, and the import understands them.
    const std::string bytes = *export_onnx(nested, 0);
    const auto again =
        import_onnx_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "again");
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_EQ(again->model.graphs[0].nodes, nested.model.graphs[0].nodes);
  }
}

TEST(OnnxImport, EveryFloatTypeIsReadAsFloat32) {
  const std::vector<float> expected = {1.5F, -2.0F};
  const auto check = [&](int type, const std::string& raw) {
    OnnxModel model;
    model.input("x", {1, 1}).output("y");
    TensorProto& weight = *model.proto.mutable_graph()->add_initializer();
    weight.set_name("w");
    weight.set_data_type(type);
    weight.add_dims(1);
    weight.add_dims(2);
    weight.set_raw_data(raw);
    model.node("MatMul", {"x", "w"}, {"y"});
    EXPECT_EQ(sparse::densify(imported(model).weights.begin()->second, 0), expected) << type;
  };
  const double doubles[] = {1.5, -2.0};
  check(TensorProto::DOUBLE, std::string(reinterpret_cast<const char*>(doubles), sizeof doubles));
  check(TensorProto::FLOAT16, std::string("\x00\x3e\x00\xc0", 4));
  check(TensorProto::BFLOAT16, std::string("\xc0\x3f\x00\xc0", 4));
}

TEST(OnnxImport, OldSoftmaxIsSaidInOneAxis) {
  OnnxModel model(11);
  model.input("x", {1, 10, 1, 1}).output("y");
  model.node("Softmax", {"x"}, {"y"});
  EXPECT_EQ(only_node(model).attribute_int("axis", 9), 1);
}

TEST(OnnxImport, SumsOfManyAreChains) {
  OnnxModel model;
  model.input("x", {1, 4}).output("y");
  model.node("Relu", {"x"}, {"a"});
  model.node("Sum", {"x", "a", "x"}, {"y"});
  EXPECT_EQ(operators(imported(model)), (std::vector<std::string>{"Relu", "Add", "Add"}));
}

TEST(OnnxImport, NodesInAnyOrderAndWithoutNames) {
  OnnxModel model;
  model.input("x", {1, 4}).output("y");
  model.node("Add", {"a", "b"}, {"y"}).clear_name();
  model.node("Relu", {"x"}, {"a"}).clear_name();
  model.node("Relu", {"a"}, {"b"}).clear_name();
  const sparse::NestedModel nested = imported(model);
  EXPECT_EQ(operators(nested), (std::vector<std::string>{"Relu", "Relu", "Add"}));
  EXPECT_EQ(nested.model.graphs[0].nodes[1].name, "Relu_1");
}

TEST(OnnxImport, ExternalDataBesideTheModelIsRead) {
  const TemporaryDirectory folder;
  std::filesystem::create_directories(folder / "data");
  const float values[] = {9, 9, 1, 2};
  std::ofstream(folder / "data/weights.bin", std::ios::binary)
      .write(reinterpret_cast<const char*>(values), sizeof values);
  OnnxModel model;
  model.input("x", {1, 1}).output("y");
  model.external("w", {1, 2}, {{"location", "data/weights.bin"}, {"offset", "8"}, {"length", "8"}});
  model.node("MatMul", {"x", "w"}, {"y"});
  std::ofstream(folder / "model.onnx", std::ios::binary) << model.bytes();
  const auto nested = import_onnx((folder / "model.onnx").string());
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  EXPECT_EQ(sparse::densify(nested->weights.begin()->second, 0), (std::vector<float>{1, 2}));
}

TEST(OnnxImport, ChecksListEveryOperator) {
  const TemporaryDirectory directory;
  const std::string path = directory / "model.onnx";
  OnnxModel model;
  model.input("x", {1, 4}).output("y");
  model.node("Relu", {"x"}, {"a"});
  model.node("Einsum", {"a"}, {"b"});
  model.node("Relu", {"b"}, {"y"});
  std::ofstream(path, std::ios::binary) << model.bytes();
  const auto report = check_onnx(path);
  ASSERT_TRUE(report.ok()) << report.status().message();
  EXPECT_EQ(report->opset, 13);
  ASSERT_EQ(report->operators.size(), 2U);
  EXPECT_EQ(report->operators[0].op_type, "Einsum");
  EXPECT_EQ(report->operators[0].first_node, "b.node");
  EXPECT_EQ(report->operators[0].problem, "node 'b.node' (Einsum): the operator is not supported");
  EXPECT_EQ(report->operators[1].count, 2);
  EXPECT_EQ(report->operators[1].problem, "");
  EXPECT_EQ(report->problems.size(), 1U);
  EXPECT_EQ(import_onnx(path).status().message(),
            "cannot import '" + path +
                "': node 'b.node' (Einsum): the operator is not supported; 'strata import "
                "--check' lists every operator");
}

}  // namespace
}  // namespace strata::interop
