// Exported levels judged by ONNX's own library: its checker, its shape inference, and the weights
// that it reads back.
#include "interop/onnx_export.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <span>

#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>
#include <rapidcheck/gtest.h>

#include "graph/builder.h"
#include "interop/onnx_import.h"
#include "models/gat.h"
#include "models/gnmt.h"
#include "models/pointnet2.h"
#include "models/resnet.h"
#include "sparse/random.h"
#include "temporary_directory.h"

namespace strata::interop {
namespace {

using Ints = std::vector<int64_t>;

/// Two levels of a named ResNet, made narrow where only its structure matters.
sparse::NestedModel nested_resnet(const std::string& name, int64_t width) {
  models::ResNetConfig config = *models::resnet_config(name);
  config.width = width;
  const Result<graph::Model> model = models::resnet(config);
  EXPECT_TRUE(model.ok()) << model.status().message();
  const std::vector<sparse::LevelBudget> levels = {{.weights = 0.1, .flops = {}},
                                                   {.weights = 0.3, .flops = {}}};
  Result<sparse::NestedModel> nested =
      sparse::random_nested_model(*model, levels, sparse::AllocationMethod::kUniform, 7);
  EXPECT_TRUE(nested.ok()) << nested.status().message();
  return std::move(nested).value();
}

onnx::ModelProto exported(const sparse::NestedModel& nested, int level) {
  const Result<std::string> bytes = export_onnx(nested, level);
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  onnx::ModelProto proto;
  EXPECT_TRUE(bytes.ok() && proto.ParseFromString(*bytes));
  return proto;
}

std::vector<float> floats(const onnx::TensorProto& tensor) {
  std::vector<float> values(tensor.raw_data().size() / sizeof(float));
  std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
  return values;
}

std::map<std::string, onnx::TensorProto> initializers(const onnx::ModelProto& proto) {
  std::map<std::string, onnx::TensorProto> table;
  for (const onnx::TensorProto& tensor : proto.graph().initializer()) {
    table.emplace(tensor.name(), tensor);
  }
  return table;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::string text(const onnx::TensorShapeProto& shape) {
  graph::Shape result;
  for (const auto& dim : shape.dim()) {
    if (dim.has_dim_value()) {
      result.emplace_back(dim.dim_value());
    } else {
      result.emplace_back(dim.dim_param());
    }
  }
  return to_string(result);
}

/// Every value whose shape ONNX infers, as text.
std::map<std::string, std::string> onnx_shapes(onnx::ModelProto proto) {
  proto.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(), {true, 1, false});
  std::map<std::string, std::string> shapes;
  for (const auto* values : {&proto.graph().value_info(), &proto.graph().output()}) {
    for (const onnx::ValueInfoProto& value : *values) {
      shapes[value.name()] = text(value.type().tensor_type().shape());
    }
  }
  return shapes;
}

class ExportedResNet : public testing::TestWithParam<std::string> {};

TEST_P(ExportedResNet, IsAcceptedByTheChecker) {
  const sparse::NestedModel nested = nested_resnet(GetParam(), 8);
  for (const int level : {0, 1, kDense}) {
    EXPECT_NO_THROW(onnx::checker::check_model(exported(nested, level)));
  }
}

TEST_P(ExportedResNet, HasTheShapesThatOnnxInfers) {
  const sparse::NestedModel nested = nested_resnet(GetParam(), 8);
  const graph::Graph& graph = nested.model.graphs[0];
  const auto ours = graph::infer_shapes(nested.model, graph);
  ASSERT_TRUE(ours.ok()) << ours.status().message();
  const auto theirs = onnx_shapes(exported(nested, 0));
  ASSERT_EQ(theirs.size(), graph.nodes.size());
  for (const auto& [name, shape] : theirs) {
    EXPECT_EQ(to_string(ours->at(name).shape), shape) << name;
  }
}

TEST_P(ExportedResNet, HoldsEachLevelBitForBit) {
  const sparse::NestedModel nested = nested_resnet(GetParam(), 8);
  for (int level = 0; level < nested.level_count; ++level) {
    const auto tensors = initializers(exported(nested, level));
    for (const auto& parameter : nested.model.parameters) {
      const onnx::TensorProto& tensor = tensors.at(parameter.name);
      EXPECT_EQ(Ints(tensor.dims().begin(), tensor.dims().end()), parameter.shape);
      const std::vector<float> expected =
          parameter.role == graph::ParameterRole::kWeight
              ? sparse::densify(nested.weights.at(parameter.name), level)
              : nested.vectors[static_cast<size_t>(level)].at(parameter.name);
      EXPECT_TRUE(same_bits(floats(tensor), expected)) << parameter.name << " level " << level;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExportedResNet, testing::ValuesIn(models::resnet_names()),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(OnnxExport, LevelsDiffer) {
  const sparse::NestedModel nested = nested_resnet("resnet8", 8);
  const auto sparse_values = floats(initializers(exported(nested, 0)).at("layer1.0.conv1.weight"));
  const auto less_sparse = floats(initializers(exported(nested, 1)).at("layer1.0.conv1.weight"));
  EXPECT_GT(std::count(sparse_values.begin(), sparse_values.end(), 0.0F),
            std::count(less_sparse.begin(), less_sparse.end(), 0.0F));
}

TEST(OnnxExport, DenseHasNoZeroAndKeepsTheLeastSparseLevel) {
  const sparse::NestedModel nested = nested_resnet("resnet8", 8);
  const auto tensors = initializers(exported(nested, kDense));
  for (const auto& [name, weight] : nested.weights) {
    const std::vector<float> dense = floats(tensors.at(name));
    const std::vector<float> level = sparse::densify(weight, nested.level_count - 1);
    EXPECT_EQ(std::count(dense.begin(), dense.end(), 0.0F), 0) << name;
    for (size_t i = 0; i < level.size(); ++i) {
      if (level[i] != 0) {
        EXPECT_EQ(dense[i], level[i]);
      }
    }
  }
}

TEST(OnnxExport, SaysWhatItIs) {
  sparse::NestedModel nested = nested_resnet("resnet8", 8);
  nested.model.metadata["input.mean"] = "0.5";
  const onnx::ModelProto proto = exported(nested, 1);
  std::map<std::string, std::string> metadata;
  for (const auto& entry : proto.metadata_props()) metadata[entry.key()] = entry.value();
  EXPECT_EQ(metadata, (std::map<std::string, std::string>{{"family", "image-classification"},
                                                          {"input.mean", "0.5"},
                                                          {"strata.level", "1"},
                                                          {"strata.level_count", "2"}}));
  EXPECT_EQ(proto.producer_name(), "strata");
  EXPECT_EQ(proto.opset_import(0).version(), 13);
  EXPECT_EQ(proto.graph().name(), "resnet8");
  EXPECT_EQ(text(proto.graph().input(0).type().tensor_type().shape()), "[batch,3,32,32]");
}

TEST(OnnxExport, PadsBecomeAnInputWhoseNameIsFree) {
  sparse::NestedModel nested;
  nested.level_count = 1;
  nested.vectors.resize(1);
  graph::GraphBuilder builder(nested.model, "main");
  const std::string taken = builder.input("pad.pads", {2, 3});
  builder.output(builder.pad("pad", taken, {0, 1, 4, 2}), "y", {6, 6});
  builder.finish();
  const onnx::ModelProto proto = exported(nested, 0);
  EXPECT_NO_THROW(onnx::checker::check_model(proto));
  EXPECT_EQ(proto.graph().node(0).input(1), "pad.pads_");
  EXPECT_EQ(onnx_shapes(proto).at("y"), "[6,6]");
}

TEST(OnnxExport, ErrorsNameWhatIsMissing) {
  sparse::NestedModel nested = nested_resnet("resnet8", 8);
  EXPECT_EQ(export_onnx(nested, 2).status().message(),
            "model 'resnet8' has no level 2; its levels are 0 to 1");
  EXPECT_EQ(export_onnx(nested, -2).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(export_onnx(nested, 0, {.graph = "decoder"}).status().message(),
            "model 'resnet8' has no graph 'decoder'; it has 'main'");
  nested.model.graphs.push_back(nested.model.graphs[0]);
  nested.model.graphs[1].name = "again";
  EXPECT_EQ(export_onnx(nested, 0).status().message(),
            "model 'resnet8' has several graphs, choose one of 'main', 'again'");
  EXPECT_TRUE(export_onnx(nested, 0, {.graph = "again"}).ok());
  nested.weights.erase("fc.weight");
  EXPECT_EQ(export_onnx(nested, 0, {.graph = "again"}).status().code(),
            StatusCode::kInvalidArgument);
}

sparse::NestedModel half_of(const Result<graph::Model>& model) {
  EXPECT_TRUE(model.ok()) << model.status().message();
  const std::vector<sparse::LevelBudget> levels = {{.weights = 0.5, .flops = {}}};
  Result<sparse::NestedModel> nested =
      sparse::random_nested_model(*model, levels, sparse::AllocationMethod::kUniform, 7);
  EXPECT_TRUE(nested.ok()) << nested.status().message();
  return std::move(nested).value();
}

TEST(OnnxExport, WritesPointOperatorsWithThoseOfOnnx) {
  for (const std::string name : {"pointnet2-ssg-small", "pointnet2-msg", "pointnet"}) {
    for (const bool normals : {false, true}) {
      models::PointNetConfig config = *models::pointnet_config(name);
      config.normals = normals;
      config.width = 8;
      onnx::ModelProto proto = exported(half_of(models::pointnet(config)), 0);
      EXPECT_NO_THROW(onnx::checker::check_model(proto));
      EXPECT_NO_THROW(onnx::shape_inference::InferShapes(proto, onnx::OpSchemaRegistry::Instance(),
                                                         {true, 1, false}));
      EXPECT_EQ(proto.opset_import_size(), 1) << "ONNX's own operators only";
      for (const onnx::NodeProto& node : proto.graph().node()) EXPECT_EQ(node.domain(), "");
    }
  }
}

TEST(OnnxExport, WhatItWritesOfPointOperatorsIsRefusedByTheImporter) {
  const auto bytes =
      export_onnx(half_of(models::pointnet(*models::pointnet_config("pointnet2-ssg-small"))), 0);
  ASSERT_TRUE(bytes.ok()) << bytes.status().message();
  const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(bytes->data()),
                                      bytes->size());
  const Status refused =
      import_onnx_bytes(view, "points.onnx", {.bindings = {{"batch", 1}, {"points", 512}}})
          .status();
  EXPECT_EQ(refused.code(), StatusCode::kUnsupported);
  EXPECT_NE(refused.message().find("control flow is not supported"), std::string::npos)
      << refused.message();
}

TEST(OnnxExport, GraphAttentionIsSaidInOnnxsOwnOperators) {
  for (const char* name : {"gat", "gat-8-output-heads"}) {
    models::GatConfig config = *models::gat_config(name);
    config.features = 12;
    config.classes = 3;
    const sparse::NestedModel nested = half_of(models::gat(config));
    const onnx::ModelProto proto = exported(nested, 0);
    EXPECT_NO_THROW(onnx::checker::check_model(proto)) << name;
    for (const onnx::NodeProto& node : proto.graph().node()) EXPECT_EQ(node.domain(), "");
    EXPECT_EQ(proto.opset_import_size(), 1);
  }
}

TEST(OnnxExport, BothGraphsOfATranslatorAreAccepted) {
  models::GnmtConfig config;
  config.vocabulary = 20;
  config.width = 8;
  config.encoder_layers = config.decoder_layers = 3;
  const sparse::NestedModel nested = half_of(models::gnmt(config));
  for (const char* graph : {"encode", "decode"}) {
    const Result<std::string> bytes = export_onnx(nested, 0, {.graph = graph});
    ASSERT_TRUE(bytes.ok()) << bytes.status().message();
    onnx::ModelProto proto;
    ASSERT_TRUE(proto.ParseFromString(*bytes));
    EXPECT_NO_THROW(onnx::checker::check_model(proto)) << graph;
  }
}

TEST(OnnxExport, WritesAFileOrSaysWhyNot) {
  const sparse::NestedModel nested = nested_resnet("resnet8", 8);
  const TemporaryDirectory directory;
  const std::string path = directory / "model.onnx";
  const Status status = write_onnx(path, nested, 1);
  ASSERT_TRUE(status.ok()) << status.message();
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(bytes, *export_onnx(nested, 1));
  const std::string nowhere = directory / "nowhere/deeper.onnx";
  const Status refused = write_onnx(nowhere, nested, 1);
  EXPECT_FALSE(refused.ok());
  EXPECT_NE(refused.message().find(nowhere), std::string::npos) << refused.message();
}

int64_t pick(int64_t least, int64_t most) { return *rc::gen::inRange<int64_t>(least, most + 1); }

/// A random node of which graph inference may or may not approve.
graph::Node random_node(std::vector<graph::Shape>& inputs) {
  graph::Node node{"n", "", "", {}, {"y"}, {}};
  const auto rank4 = [] { return graph::Shape{pick(1, 2), pick(1, 4), pick(1, 12), pick(1, 12)}; };
  const auto window = [&] {
    node.attributes["strides"] = Ints{pick(1, 3), pick(1, 3)};
    node.attributes["pads"] = Ints{pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)};
  };
  switch (pick(0, 6)) {
    case 0: {
      node.op_type = "Conv";
      const int64_t group = pick(1, 2);
      inputs = {rank4(), {}};
      inputs[0][1] = graph::Dim(2 * group);
      inputs[1] = {group * pick(1, 3), int64_t{2}, pick(1, 4), pick(1, 4)};
      window();
      node.attributes["group"] = group;
      node.attributes["dilations"] = Ints{pick(1, 2), pick(1, 2)};
      break;
    }
    case 1:
      node.op_type = pick(0, 1) == 0 ? "MaxPool" : "AveragePool";
      inputs = {rank4()};
      window();
      node.attributes["kernel_shape"] = Ints{pick(1, 4), pick(1, 4)};
      break;
    case 2:
      node.op_type = "Flatten";
      inputs = {rank4()};
      node.attributes["axis"] = pick(-4, 4);
      break;
    case 3:
      node.op_type = "Gemm";
      inputs = {{pick(1, 3), pick(1, 3)}, {pick(1, 3), pick(1, 3)}};
      node.attributes["transA"] = pick(0, 1);
      node.attributes["transB"] = pick(0, 1);
      break;
    case 4:
      node.op_type = pick(0, 1) == 0 ? "Add" : "MatMul";
      inputs = {{pick(1, 2), pick(1, 2), pick(1, 2)}, {pick(1, 2), pick(1, 2)}};
      break;
    case 5:
      node.op_type = "Concat";
      inputs = {{pick(1, 2), pick(1, 2)}, {pick(1, 2), pick(1, 2)}};
      node.attributes["axis"] = pick(-2, 1);
      break;
    default:
      node.op_type = "Pad";
      inputs = {{pick(1, 3), pick(1, 3)}};
      node.attributes["pads"] = Ints{pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)};
  }
  return node;
}

RC_GTEST_PROP(OnnxExport, OnnxInfersWhatStrataInfersForAnyNode, ()) {
  std::vector<graph::Shape> shapes;
  graph::Graph graph{"main", {}, {}, {random_node(shapes)}};
  for (const graph::Shape& shape : shapes) {
    const std::string name = "i" + std::to_string(graph.inputs.size());
    graph.inputs.push_back({name, graph::DataType::kFloat32, shape});
    graph.nodes[0].inputs.push_back(name);
  }
  graph.outputs.push_back({"y", graph::DataType::kFloat32, {}});
  sparse::NestedModel nested;
  nested.level_count = 1;
  nested.vectors.resize(1);

  const graph::Graph undeclared{"main", graph.inputs, {}, graph.nodes};
  const auto table = graph::infer_shapes(nested.model, undeclared);
  RC_PRE(table.ok());
  graph.outputs[0].shape = table->at("y").shape;
  nested.model.graphs.push_back(graph);
  const onnx::ModelProto proto = exported(nested, 0);
  onnx::checker::check_model(proto);
  RC_ASSERT(onnx_shapes(proto).at("y") == to_string(table->at("y").shape));
}

}  // namespace
}  // namespace strata::interop
