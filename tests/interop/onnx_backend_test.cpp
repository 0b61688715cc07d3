// The onnx project's backend tests: every case of an operator that strata imports gives the
// expected outputs, the rest is listed in docs/onnx-operators.md, and the light networks answer
// as they should. STRATA_UPDATE_DOCS=1 rewrites the page.
#include "onnx_backend.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "data_sets.h"
#include "interop/onnx_file.h"
#include "interop/onnx_import.h"

namespace strata::interop {
namespace {

namespace fs = std::filesystem;
using testing::BackendCase;
using testing::ReadyCase;

constexpr const char* kAbsent =
    "the onnx project's backend tests are not here: set STRATA_DATA to the folder that holds "
    "onnx-backend/node and onnx-backend/light";

fs::path backend_folder() {
  return strata::testing::find_data_set("onnx-backend", STRATA_SOURCE_DIR, STRATA_BINARY_DIR);
}

/// What the page says of one operator.
struct Row {
  int passed = 0;
  int adapted = 0;  ///< of `passed`
  int unsupported = 0;
  std::string reason;  ///< of the first one that is not supported
};

/// The reason alone, without what names the test.
std::string shortened(std::string message) {
  for (const std::string mark : {"): ", "': "}) {
    if (const size_t at = message.find(mark); at != std::string::npos) {
      message = message.substr(at + mark.size());
    }
  }
  const size_t remedy = message.find("; 'strata import");
  message = message.substr(0, remedy);
  for (char& c : message) {
    if (c == '|' || c == '\n') c = ' ';
  }
  return message;
}

std::string page_of(const std::map<std::string, Row>& rows) {
  int passed = 0;
  int total = 0;
  std::string table;
  std::string missing;
  for (const auto& [name, row] : rows) {
    passed += row.passed;
    total += row.passed + row.unsupported;
    if (row.passed == 0) {
      missing += (missing.empty() ? "" : ", ") + name;
      continue;
    }
    table += "| " + name + " | " + std::to_string(row.passed) +
             (row.adapted > 0 ? " (" + std::to_string(row.adapted) + " adapted)" : "") + " | " +
             std::to_string(row.unsupported) + " | " + row.reason + " |\n";
  }
  return "# ONNX operators\n\n"
         "Made by `STRATA_UPDATE_DOCS=1 STRATA_DATA=... test_onnx_backend` from the node tests of "
         "the onnx\nproject: of " +
         std::to_string(total) + " single-operator cases, " + std::to_string(passed) +
         " run and give the expected outputs, none runs and gives\nothers, and the rest is refused "
         "with a reason. Models of opset " +
         std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset) +
         " are read. Cases marked\nas adapted have constants for all operands but the first, as "
         "networks have for weights, or leave optional outputs\naway. Whether one model can be "
         "imported, `strata import --check model.onnx` says.\n\n"
         "What runs is also stored in a `.strata` file and read again, and exported, accepted by "
         "onnx's checker and\nimported again, with the same bits as a result, and libtorch gives "
         "the "
         "same answers with gradients for every\nparameter: all of it can be trained, nested and "
         "exported. What gives places, or yes and no, has by nature no\ngradient: And, ArgMax, "
         "ArgMin, "
         "Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Or, Xor; that of Ceil, Floor,\nRound "
         "and "
         "Sign is zero everywhere.\n\n"
         "| operator | pass | not supported | the first reason |\n|---|---|---|---|\n" +
         table +
         "\nConstant folding also knows: Constant, ConstantOfShape, DequantizeLinear, Equal, "
         "Expand, Gather, Range,\nShape, Size, Slice, Where and the arithmetic on sizes that "
         "exporters leave.\n\nNot supported at all: " +
         missing + ".\n";
}

TEST(OnnxBackend, NodeTestsPassOrAreListed) {
  const fs::path folder = backend_folder();
  if (folder.empty()) GTEST_SKIP() << kAbsent;
  std::map<std::string, Row> rows;
  for (const BackendCase& test : testing::node_cases(folder)) {
    if (test.operators.find('+') != std::string::npos) continue;  // expanded functions
    Row& row = rows[test.operators];
    const Result<ReadyCase> ready = testing::prepare(test);
    const auto outputs = ready.ok() ? testing::run(*ready) : ready.status();
    if (!outputs.ok()) {
      if (row.unsupported++ == 0) row.reason = shortened(outputs.status().message());
      continue;
    }
    ASSERT_LE(outputs->size(), ready->outputs.size()) << test.name;
    std::string wrong;
    for (size_t i = 0; i < outputs->size() && wrong.empty(); ++i) {
      wrong = testing::difference((*outputs)[i], ready->outputs[i]);
    }
    EXPECT_EQ(wrong, "") << test.name << (ready->adapted ? ", adapted" : "");
    ++row.passed;
    if (ready->adapted) ++row.adapted;
  }
  const fs::path path = fs::path(STRATA_SOURCE_DIR) / "docs" / "onnx-operators.md";
  if (std::getenv("STRATA_UPDATE_DOCS") != nullptr) std::ofstream(path) << page_of(rows);
  std::ifstream file(path);
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(page, page_of(rows))
      << "run test_onnx_backend with STRATA_UPDATE_DOCS=1 to write docs/onnx-operators.md anew";
}

/// The same outputs, bit for bit but for what is not a number.
std::string change(const Result<std::vector<Constant>>& after,
                   const std::vector<Constant>& before) {
  if (!after.ok()) return after.status().message();
  if (after->size() != before.size()) return "it has another count of outputs";
  for (size_t i = 0; i < before.size(); ++i) {
    const Constant& was = before[i];
    const Constant& is = (*after)[i];
    if (is.shape != was.shape || is.type != was.type || is.integers != was.integers) {
      return "its shape, type or integers differ";
    }
    for (size_t j = 0; j < was.floats.size(); ++j) {
      const bool same =
          is.floats[j] == was.floats[j] || (std::isnan(is.floats[j]) && std::isnan(was.floats[j]));
      if (!same) {
        return "element " + std::to_string(j) + " was " + std::to_string(was.floats[j]) +
               ", it is " + std::to_string(is.floats[j]);
      }
    }
  }
  return "";
}

TEST(OnnxBackend, WhateverIsImportedCanBeStoredAndExported) {
  const fs::path folder = backend_folder();
  if (folder.empty()) GTEST_SKIP() << kAbsent;
  int count = 0;
  for (const BackendCase& test : testing::node_cases(folder)) {
    Result<ReadyCase> ready = testing::prepare(test);
    if (!ready.ok()) continue;
    ASSERT_TRUE(sparse::fold_normalisation(ready->nested).ok()) << test.name;
    const auto outputs = testing::run(*ready);
    if (!outputs.ok()) continue;
    ++count;
    EXPECT_EQ(change(testing::run_stored(*ready), *outputs), "") << test.name << ", stored";
    EXPECT_EQ(change(testing::run_exported(*ready), *outputs), "") << test.name << ", exported";
  }
  EXPECT_GT(count, 400);
}

class LightNetwork : public ::testing::TestWithParam<const char*> {};

TEST_P(LightNetwork, GivesTheExpectedOutput) {
  const fs::path folder = backend_folder();
  if (folder.empty()) GTEST_SKIP() << kAbsent;
  const std::string name = GetParam();
  Result<sparse::NestedModel> nested =
      import_onnx((folder / "light" / ("light_" + name + ".onnx")).string());
  ASSERT_TRUE(nested.ok()) << nested.status().message();
  ReadyCase ready;
  ready.nested = std::move(nested).value();
  // The input of onnx's own runner: 0, 1/n, 2/n, …
  Constant& input = ready.inputs.emplace_back();
  int64_t count = 1;
  for (const graph::Dim& dim : ready.nested.model.graphs[0].inputs.at(0).shape) {
    input.shape.push_back(dim.known() ? dim.value() : 1);
    count *= input.shape.back();
  }
  for (int64_t i = 0; i < count; ++i) {
    input.floats.push_back(static_cast<float>(static_cast<double>(i) / static_cast<double>(count)));
  }
  const auto outputs = testing::run(ready);
  ASSERT_TRUE(outputs.ok()) << outputs.status().message();
  onnx::TensorProto tensor;
  std::ifstream file(folder / "light" / ("light_" + name + "_output_0.pb"), std::ios::binary);
  ASSERT_TRUE(tensor.ParseFromIstream(&file));
  Result<OnnxFile> reader =
      OnnxFile::open((folder / "light" / ("light_" + name + ".onnx")).string());
  ASSERT_TRUE(reader.ok());
  const Result<Constant> expected = reader->read(tensor);
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(testing::difference(outputs->at(0), *expected), "");
}

INSTANTIATE_TEST_SUITE_P(All, LightNetwork,
                         ::testing::Values("bvlc_alexnet", "densenet121", "inception_v1",
                                           "inception_v2", "resnet50", "shufflenet", "squeezenet",
                                           "vgg19", "zfnet512"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace strata::interop
