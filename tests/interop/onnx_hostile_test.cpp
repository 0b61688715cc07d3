// Hostile and odd ONNX files: refused with a sentence that names the place, in bounded memory.
#include <filesystem>
#include <fstream>
#include <functional>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "interop/onnx_import.h"
#include "onnx_model.h"
#include "runtime/session.h"
#include "temporary_directory.h"

namespace strata::interop {
namespace {

using onnx::TensorProto;
using testing::OnnxModel;
using testing::set;
using Ints = std::vector<int64_t>;

Status refusal_of(const std::string& bytes) {
  return import_onnx_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "test")
      .status();
}

void expect_refused(const OnnxModel& model, const std::string& reason) {
  const Status status = refusal_of(model.bytes());
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find(reason), std::string::npos) << status.message();
}

/// x -> Relu -> y, for tests to spoil.
OnnxModel simple() {
  OnnxModel model;
  model.input("x", {1, 4}).output("y");
  model.node("Relu", {"x"}, {"y"});
  return model;
}

TEST(HostileOnnx, BytesThatAreNoModel) {
  EXPECT_NE(refusal_of("").message().find("not an ONNX model"), std::string::npos);
  EXPECT_NE(refusal_of("hello, world").message().find("not an ONNX model"), std::string::npos);
  const std::string good = simple().bytes();
  for (size_t size = 0; size < good.size(); ++size) {
    static_cast<void>(refusal_of(good.substr(0, size)));
  }
  EXPECT_TRUE(refusal_of(good).ok()) << refusal_of(good).message();
}

TEST(HostileOnnx, Cycles) {
  OnnxModel model;
  model.input("x", {1, 4}).output("y");
  model.node("Add", {"x", "b"}, {"a"});
  model.node("Relu", {"a"}, {"b"});
  model.node("Relu", {"b"}, {"y"});
  expect_refused(model, "node 'a.node' (Add): it is part of a cycle");

  OnnxModel self;
  self.input("x", {1, 4}).output("y");
  self.node("Add", {"x", "y"}, {"y"});
  expect_refused(self, "it is part of a cycle");
}

TEST(HostileOnnx, NamesDefinedNeverOrTwice) {
  OnnxModel missing;
  missing.input("x", {1, 4}).output("y");
  missing.node("Gemm", {"x", "w"}, {"y"});
  expect_refused(missing,
                 "node 'y.node' (Gemm): its input 'w' is neither a graph input, nor an "
                 "initialiser, nor made by a node");

  OnnxModel twice = simple();
  twice.node("Relu", {"x"}, {"y"});
  expect_refused(twice, "its output 'y' is defined a second time");

  OnnxModel over = simple();
  over.node("Relu", {"x"}, {"x"});
  expect_refused(over, "its output 'x' is defined a second time");

  OnnxModel initialisers = simple();
  initialisers.weight("w", {1});
  initialisers.weight("w", {1});
  expect_refused(initialisers, "initialiser 'w': it is defined twice");

  OnnxModel no_output = simple();
  no_output.output("nowhere");
  expect_refused(no_output, "output 'nowhere': no node makes it");

  OnnxModel none = simple();
  none.proto.mutable_graph()->clear_output();
  expect_refused(none, "the graph declares no output");
}

TEST(HostileOnnx, TensorsThatDoNotFitTheirShapes) {
  const auto with_weight = [](const std::function<void(TensorProto&)>& change) {
    OnnxModel model;
    model.input("x", {1, 2}).output("y");
    change(model.weight("w", {2, 3}));
    model.node("MatMul", {"x", "w"}, {"y"});
    return model;
  };
  expect_refused(with_weight([](TensorProto& w) { w.set_dims(0, 3); }),
                 "tensor 'w': it holds 6 elements, its shape asks for 9");
  expect_refused(with_weight([](TensorProto& w) { w.set_raw_data("1234567"); }),
                 "tensor 'w': it has 7 bytes, its shape asks for 24");
  expect_refused(with_weight([](TensorProto& w) { w.set_dims(0, -2); }), "a size is -2");
  expect_refused(with_weight([](TensorProto& w) { w.set_dims(0, int64_t{1} << 62); }),
                 "is too large");
  expect_refused(with_weight([](TensorProto& w) { w.set_data_type(TensorProto::STRING); }),
                 "the element type STRING is not supported");
  expect_refused(with_weight([](TensorProto& w) { w.set_data_type(4711); }),
                 "the element type number 4711 is not supported");
  expect_refused(with_weight([](TensorProto& w) {
                   w.set_float_data(0, std::numeric_limits<float>::infinity());
                 }),
                 "holds a number that is not finite");
  expect_refused(with_weight([](TensorProto& w) { w.set_dims(0, 3), w.set_dims(1, 2); }),
                 "input has 2 features, the weight expects 3");
}

TEST(HostileOnnx, ConstantsThatUnfoldToTooMuch) {
  const auto with_shape = [](const Ints& shape) {
    OnnxModel model;
    model.input("x", {1, 4}).output("y");
    model.integers("shape", shape);
    model.node("ConstantOfShape", {"shape"}, {"big"});
    model.node("MatMul", {"x", "big"}, {"y"});
    return model;
  };
  expect_refused(with_shape({1 << 20, 1 << 20}), "take more than 1024 MiB");
  expect_refused(with_shape({int64_t{1} << 40, int64_t{1} << 40}), "is too large");
  expect_refused(with_shape({4, -1}), "a size is -1");

  // Each small by itself, together too much.
  OnnxModel many;
  many.input("x", {1, 4}).output("y");
  many.integers("shape", {1 << 26});
  for (int i = 0; i < 20; ++i) many.node("ConstantOfShape", {"shape"}, {"c" + std::to_string(i)});
  many.node("Relu", {"x"}, {"y"});
  expect_refused(many, "take more than 1024 MiB");

  OnnxModel range;
  range.input("x", {1, 4}).output("y");
  range.floats("zero", {}, {0});
  range.floats("end", {}, {1e30F});
  range.floats("step", {}, {1});
  range.node("Range", {"zero", "end", "step"}, {"big"});
  range.node("Add", {"x", "big"}, {"y"});
  expect_refused(range, "its limits make no finite range");

  OnnxModel expand;
  expand.input("x", {1, 4}).output("y");
  expand.floats("one", {1}, {1});
  expand.integers("shape", {1 << 15, 1 << 15});
  expand.node("Expand", {"one", "shape"}, {"big"});
  expand.node("MatMul", {"x", "big"}, {"y"});
  expect_refused(expand, "take more than 1024 MiB");
}

/// 1 GiB of constants may be kept, and the next one is made beside them, with a copy of what it is
/// made of. Sanitizers take memory of their own: they shadow it, and do not give back at once what
/// is freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int64_t kMostMiB = 2400;
#else
constexpr int64_t kMostMiB = 1536;
#endif

/// What `body` adds to the most memory that this process ever had, in MiB.
int64_t peak_growth(const std::function<void()>& body) {
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  body();
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  return (after.ru_maxrss - before.ru_maxrss) / 1024;
}

TEST(HostileOnnx, SmallConstantsThatMultiply) {
  const auto refused_in = [](OnnxModel& model, const std::string& last) {
    model.input("x", {1, 4}).output("y");
    model.node("MatMul", {"x", last}, {"y"});
    EXPECT_LT(peak_growth([&] { expect_refused(model, "take more than 1024 MiB"); }), kMostMiB);
  };
  OnnxModel doubled;
  doubled.floats("c0", {1024}, std::vector<float>(1024, 1));
  for (int i = 0; i < 40; ++i) {
    const std::string from = "c" + std::to_string(i);
    set(doubled.node("Concat", {from, from}, {"c" + std::to_string(i + 1)}), "axis", int64_t{0});
  }
  refused_in(doubled, "c40");

  OnnxModel outer;
  outer.floats("row", {1, 1 << 15}, std::vector<float>(1 << 15, 1));
  outer.floats("column", {1 << 15, 1}, std::vector<float>(1 << 15, 1));
  outer.node("Add", {"row", "column"}, {"sum"});
  refused_in(outer, "sum");

  OnnxModel gathered;
  gathered.floats("row", {1, 1 << 15}, std::vector<float>(1 << 15, 1));
  gathered.integers("zeros", Ints(1 << 15, 0));
  gathered.node("Gather", {"row", "zeros"}, {"rows"});
  refused_in(gathered, "rows");

  OnnxModel chosen;
  chosen.floats("row", {1, 1 << 15}, std::vector<float>(1 << 15, 1));
  chosen.floats("column", {1 << 15, 1}, std::vector<float>(1 << 15, 1));
  chosen.node("Greater", {"row", "column"}, {"yes"});
  chosen.node("Where", {"yes", "row", "column"}, {"made"});
  refused_in(chosen, "made");
}

/// Sizes that no memory holds are refused at once; others where the memory is asked for.
TEST(HostileOnnx, ActivationsOfAnySize) {
  const auto with_shape = [](const Ints& shape) {
    OnnxModel model;
    model.input("x", {1}).output("y");
    model.integers("shape", shape);
    model.node("Expand", {"x", "shape"}, {"large"});
    model.node("Relu", {"large"}, {"relu"});
    model.node("ReduceSum", {"relu"}, {"y"});
    return model;
  };
  expect_refused(with_shape({int64_t{1} << 31}), "holds the size 2147483648");
  expect_refused(with_shape({1 << 30, 1 << 30}), "is too large");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers end a program that asks for so much";
#endif
  const std::string bytes = with_shape({1 << 20, 1 << 20}).bytes();
  const auto nested =
      import_onnx_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, "test");
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  EXPECT_LT(peak_growth([&] {
              const Status status = runtime::Session::create(*nested, {}).status();
              EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.message();
            }),
            100);
}

TEST(HostileOnnx, AFewBytesCannotMakeManyObjects) {
  // Two bytes a node: field 1, length 0. An empty NodeProto takes a hundred times as much.
  std::string nodes;
  for (int i = 0; i < 20'000'000; ++i) nodes += std::string("\x0a\x00", 2);
  std::string model = "\x3a";  // field 7: the graph
  for (size_t size = nodes.size(); size > 0; size >>= 7) {
    model += static_cast<char>((size & 0x7F) | (size > 0x7F ? 0x80 : 0));
  }
  model += nodes;
  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const Status status = refusal_of(model);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.message();
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 400 * 1024);  // KiB
}

TEST(HostileOnnx, MessagesNestedDeeply) {
  // A graph in an attribute of a node of a graph, and so on.
  std::string bytes;
  const auto wrap = [&](char tag) {
    std::string head(1, tag);
    for (size_t size = bytes.size();; size >>= 7) {
      head += static_cast<char>((size & 0x7F) | (size > 0x7F ? 0x80 : 0));
      if (size <= 0x7F) break;
    }
    bytes = head + bytes;
  };
  for (int i = 0; i < 10000; ++i) {
    wrap('\x32');  // AttributeProto.g
    wrap('\x2a');  // NodeProto.attribute
    wrap('\x0a');  // GraphProto.node
  }
  wrap('\x3a');  // ModelProto.graph
  EXPECT_NE(refusal_of(bytes).message().find("not an ONNX model"), std::string::npos);
}

TEST(HostileOnnx, OpsetsAndDomains) {
  OnnxModel old(6);
  expect_refused(old, "it is written in opset 6; strata reads 7 to 25");
  OnnxModel future(26);
  expect_refused(future, "it is written in opset 26; strata reads 7 to 25");
  OnnxModel none;
  none.proto.clear_opset_import();
  expect_refused(none, "it does not say which opset");
  OnnxModel domain;
  domain.input("x", {1, 4}).output("y");
  domain.node("Relu", {"x"}, {"y"}).set_domain("com.example");
  expect_refused(domain, "node 'y.node' (Relu): the operator domain 'com.example' is not known");
}

TEST(HostileOnnx, SubgraphsAndOtherKinds) {
  OnnxModel loop;
  loop.input("x", {1, 4}).output("y");
  onnx::AttributeProto& body = *loop.node("Loop", {"x"}, {"y"}).add_attribute();
  body.set_name("body");
  body.set_type(onnx::AttributeProto::GRAPH);
  body.mutable_g()->set_name("g");
  expect_refused(loop, "it has a sub-graph ('body'); control flow is not supported");

  OnnxModel sequence = simple();
  sequence.proto.mutable_graph()->mutable_input(0)->mutable_type()->mutable_sequence_type();
  expect_refused(sequence, "input 'x': it is no tensor");

  OnnxModel rank = simple();
  rank.proto.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->clear_shape();
  expect_refused(rank, "input 'x': its count of dimensions is not known");

  OnnxModel constant;
  constant.input("x", {1, 4}).output("y");
  constant.floats("c", {1}, {1});
  constant.node("Identity", {"c"}, {"y"});
  expect_refused(constant, "output 'y': it does not depend on the input");
}

TEST(HostileOnnx, AttributesOutOfRange) {
  const auto conv = [](const std::string& name, const Ints& values) {
    OnnxModel model;
    model.input("x", {1, 1, 8, 8}).output("y");
    model.weight("w", {1, 1, 3, 3});
    onnx::NodeProto& node = model.node("Conv", {"x", "w"}, {"y"});
    set(node, name, values);
    set(node, "auto_pad", std::string("SAME_UPPER"));
    return model;
  };
  expect_refused(conv("strides", {0, 1}), "out of range");
  expect_refused(conv("strides", {1}), "do not fit its input");
  expect_refused(conv("dilations", {int64_t{1} << 62, 1}), "out of range");

  OnnxModel axes;
  axes.input("x", {1, 4}).output("y");
  axes.integers("axes", {7});
  axes.node("Squeeze", {"x", "axes"}, {"y"});
  expect_refused(axes, "axis 7 is outside an input of 2 dimensions");
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_ / "model");
    std::ofstream(folder_ / "secret.bin") << std::string(64, 'x');
    std::ofstream(folder_ / "model/inside.bin") << std::string(16, '\0');
  }

  void expect_refused_at(const std::vector<std::pair<std::string, std::string>>& entries,
                         const std::string& reason) {
    OnnxModel model;
    model.input("x", {1, 2}).output("y");
    model.external("w", {2, 2}, entries);
    model.node("MatMul", {"x", "w"}, {"y"});
    const std::string path = folder_ / "model/model.onnx";
    std::ofstream(path, std::ios::binary) << model.bytes();
    const Status status = import_onnx(path).status();
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(reason), std::string::npos) << status.message();
    EXPECT_NE(refusal_of(model.bytes()).message().find("tensor 'w'"), std::string::npos);
  }

  TemporaryDirectory folder_;
};

TEST_F(ExternalData, OutsideTheModelsDirectoryIsRefused) {
  const std::string outside = "outside the model's directory";
  expect_refused_at({{"location", "../secret.bin"}}, outside);
  expect_refused_at({{"location", "a/../../secret.bin"}}, outside);
  expect_refused_at({{"location", folder_ / "secret.bin"}}, outside);
  expect_refused_at({{"location", "/etc/passwd"}}, outside);
  std::filesystem::create_symlink(folder_ / "secret.bin", folder_ / "model/link.bin");
  expect_refused_at({{"location", "link.bin"}}, outside);
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "model/up");
  expect_refused_at({{"location", "up/secret.bin"}}, outside);
}

TEST_F(ExternalData, MissingOrShortFilesAreRefused) {
  expect_refused_at({}, "its external data has no location");
  expect_refused_at({{"location", "nowhere.bin"}}, "nowhere.bin");
  expect_refused_at({{"location", "."}}, "tensor 'w': its external data");
  expect_refused_at({{"location", "inside.bin"}, {"offset", "8"}},
                    "it has 8 bytes, its shape asks for 16");
  expect_refused_at({{"location", "inside.bin"}, {"length", "1000"}}, "which has 16");
  expect_refused_at({{"location", "inside.bin"}, {"offset", "18446744073709551615"}},
                    "which has 16");
  expect_refused_at({{"location", "inside.bin"}, {"offset", "-1"}}, "which is no number");
}

TEST_F(ExternalData, FilesBeyondTwoGibibytesAreRefused) {
  const std::string path = folder_ / "model/huge.onnx";
  std::ofstream(path) << "x";
  std::filesystem::resize_file(path, (std::uintmax_t{1} << 31) + 5);  // sparse: takes no disk
  const Status status = import_onnx(path).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("larger than 2 GiB"), std::string::npos) << status.message();
}

}  // namespace
}  // namespace strata::interop
