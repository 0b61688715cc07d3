// safetensors: every element type, weights that stand in for a model's, and hostile files.
#include "interop/safetensors.h"

#include <algorithm>
#include <cstring>
#include <fstream>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "interop/onnx_import.h"
#include "onnx_model.h"
#include "temporary_directory.h"

namespace strata::interop {
namespace {

using testing::OnnxModel;

/// A file of this header and data.
std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  std::string bytes(sizeof(size), '\0');
  std::memcpy(bytes.data(), &size, sizeof(size));
  return bytes + header + data;
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  size_t begin, size_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

Result<SafetensorsFile> parse(const std::string& bytes) {
  return SafetensorsFile::parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()},
                                "test");
}

/// The only tensor, "t", of a file.
Constant only_tensor(const std::string& type, const std::string& data, size_t count) {
  const std::string bytes = file_of(
      "{" + entry("t", type, "[" + std::to_string(count) + "]", 0, data.size()) + "}", data);
  const auto file = parse(bytes);
  EXPECT_TRUE(file.ok()) << file.status().message();
  return *file->read("t");
}

TEST(Safetensors, EveryElementType) {
  const std::vector<float> two = {1.5F, -2};
  EXPECT_EQ(only_tensor("F32", bytes_of<float>({1.5F, -2}), 2).floats, two);
  EXPECT_EQ(only_tensor("F64", bytes_of<double>({1.5, -2}), 2).floats, two);
  EXPECT_EQ(only_tensor("F16", bytes_of<uint16_t>({0x3E00, 0xC000}), 2).floats, two);
  EXPECT_EQ(only_tensor("BF16", bytes_of<uint16_t>({0x3FC0, 0xC000}), 2).floats, two);
  const std::vector<int64_t> integers = {1, -2};
  EXPECT_EQ(only_tensor("I64", bytes_of<int64_t>({1, -2}), 2).integers, integers);
  EXPECT_EQ(only_tensor("I32", bytes_of<int32_t>({1, -2}), 2).integers, integers);
  EXPECT_EQ(only_tensor("I16", bytes_of<int16_t>({1, -2}), 2).integers, integers);
  EXPECT_EQ(only_tensor("I8", bytes_of<int8_t>({1, -2}), 2).integers, integers);
  const std::vector<int64_t> natural = {1, 254};
  EXPECT_EQ(only_tensor("U8", bytes_of<uint8_t>({1, 254}), 2).integers, natural);
  EXPECT_EQ(only_tensor("U16", bytes_of<uint16_t>({1, 254}), 2).integers, natural);
  EXPECT_EQ(only_tensor("U32", bytes_of<uint32_t>({1, 254}), 2).integers, natural);
  EXPECT_EQ(only_tensor("U64", bytes_of<uint64_t>({1, 254}), 2).integers, natural);
  EXPECT_EQ(only_tensor("BOOL", bytes_of<uint8_t>({0, 7}), 2).integers,
            (std::vector<int64_t>{0, 1}));
}

TEST(Safetensors, NamesShapesAndMetadata) {
  const std::string header = "{\"__metadata__\":{\"format\":\"pt\"}," +
                             entry("b", "F32", "[2,1]", 0, 8) + "," +
                             entry("a", "F32", "[]", 8, 12) + "  }";
  const std::string bytes = file_of(header, bytes_of<float>({1, 2, 3}));
  const auto file = parse(bytes);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->tensors(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file->shape("b"), (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(file->read("a")->floats, std::vector<float>{3});
  EXPECT_FALSE(file->read("c").ok());
}

TEST(Safetensors, HostileFilesAreRefused) {
  const auto expect = [](const std::string& bytes, const std::string& reason) {
    const Status status = parse(bytes).status();
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(reason), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("'test'"), std::string::npos) << status.message();
  };
  const std::string eight(8, 'x');
  expect("", "truncated");
  expect(eight, "its header would take");
  expect(file_of("[]", ""), "no JSON object");
  expect(file_of("{", ""), "no JSON object");
  expect(file_of(std::string(1 << 20, '['), ""), "no JSON object");
  expect(file_of("{\"t\":1}", ""), "must give dtype");
  expect(file_of("{" + entry("t", "F8_E4M3", "[8]", 0, 8) + "}", eight), "'F8_E4M3'");
  expect(file_of("{" + entry("t", "F32", "[3]", 0, 8) + "}", eight), "its shape asks for 12");
  expect(file_of("{" + entry("t", "F32", "[2]", 8, 16) + "}", eight), "has 8 bytes of data");
  expect(file_of("{" + entry("t", "F32", "[2]", 8, 0) + "}", eight), "8 to 0");
  expect(file_of("{" + entry("t", "F32", "[-2]", 0, 8) + "}", eight), "no sizes");
  expect(file_of("{" + entry("t", "F32", "[4611686018427387904,4]", 0, 8) + "}", eight), "'t'");
  expect(file_of("{" + entry("t", "F32", "[18446744073709551615]", 0, 8) + "}", eight), "no sizes");
}

RC_GTEST_PROP(Safetensors, DamageIsRefusedOrRead, ()) {
  std::string bytes = file_of("{" + entry("t", "F32", "[2,1]", 0, 8) + "}", std::string(8, 'x'));
  const auto place = *rc::gen::inRange<size_t>(0, bytes.size());
  bytes[place] = static_cast<char>(*rc::gen::inRange(0, 256));
  bytes.resize(*rc::gen::inRange<size_t>(0, bytes.size() + 1));
  const auto file = parse(bytes);
  if (!file.ok()) return;
  for (const std::string& name : file->tensors()) RC_ASSERT(file->read(name).ok());
}

class WeightsBeside : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  /// A file with the tensor `name` of [2, 3].
  void write_weights(const std::string& name, const std::string& shape = "[2,3]") const {
    write("w.safetensors", file_of("{" + entry(name, "F32", shape, 0, 24) + "}",
                                   bytes_of<float>({1, 2, 3, 4, 5, 6})));
  }
  [[nodiscard]] Result<sparse::NestedModel> import(const OnnxModel& model) const {
    write("m.onnx", model.bytes());
    return import_onnx(
        (folder_ / "m.onnx").string(),
        {.bindings = {}, .name = {}, .weights = (folder_ / "w.safetensors").string()});
  }
  static OnnxModel product() {
    OnnxModel model;
    model.input("x", {1, 2}).output("y");
    model.node("MatMul", {"x", "fc.weight"}, {"y"});
    return model;
  }
  static void expect_weight(const Result<sparse::NestedModel>& model) {
    ASSERT_TRUE(model.ok()) << model.status().message();
    ASSERT_EQ(model->weights.size(), 1U);
    std::vector<float> values = sparse::densify(model->weights.begin()->second, 0);
    std::sort(values.begin(), values.end());  // the import may transpose a matrix
    EXPECT_EQ(values, (std::vector<float>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(model->model.graphs[0].inputs.size(), 1U);
  }

 private:
  TemporaryDirectory folder_;
};

TEST_F(WeightsBeside, StandInForInitialisersThatAreMissing) {
  write_weights("fc.weight");
  expect_weight(import(product()));
}

TEST_F(WeightsBeside, StandInForInputsExternalDataAndOtherValues) {
  write_weights("fc.weight");
  OnnxModel input = product();
  input.input("fc.weight", {2, 3});
  expect_weight(import(input));
  OnnxModel external = product();
  external.external("fc.weight", {2, 3}, {{"location", "nowhere.bin"}});
  expect_weight(import(external));
  OnnxModel other = product();
  other.weight("fc.weight", {2, 3});
  expect_weight(import(other));
}

TEST_F(WeightsBeside, ThoseThatDoNotFitAreRefused) {
  const auto expect = [](const Status& status, const std::string& reason) {
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find(reason), std::string::npos) << status.message();
  };
  write_weights("other");
  expect(import(product()).status(), "nor in '");
  OnnxModel whole = product();
  whole.weight("fc.weight", {2, 3});
  expect(import(whole).status(), "has the name of one of the model's weights");
  write_weights("fc.weight", "[3,2]");
  expect(import(whole).status(), "another shape");
}

}  // namespace
}  // namespace strata::interop
