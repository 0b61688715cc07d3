// See onnx_backend.h.
#include "onnx_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include "format/reader.h"
#include "format/writer.h"
#include "interop/onnx_export.h"
#include "interop/onnx_file.h"
#include "interop/onnx_import.h"
#include "runtime/session.h"

namespace strata::interop::testing {
namespace {

namespace fs = std::filesystem;

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {(std::istreambuf_iterator<char>(file)), {}};
}

std::vector<fs::path> numbered(const fs::path& folder, const std::string& stem) {
  std::vector<fs::path> paths;
  for (int i = 0;; ++i) {
    fs::path path = folder / (stem + std::to_string(i) + ".pb");
    if (!fs::exists(path)) return paths;
    paths.push_back(std::move(path));
  }
}

std::span<const uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

std::vector<BackendCase> node_cases(const fs::path& folder) {
  std::vector<BackendCase> cases;
  for (const auto& entry : fs::directory_iterator(folder / "node")) {
    BackendCase test;
    test.name = entry.path().filename();
    test.bytes = read_bytes(entry.path() / "model.onnx");
    onnx::ModelProto model;
    if (!model.ParseFromString(test.bytes)) continue;
    std::set<std::string> operators;
    for (const onnx::NodeProto& node : model.graph().node()) operators.insert(node.op_type());
    for (const std::string& name : operators) {
      test.operators += (test.operators.empty() ? "" : "+") + name;
    }
    test.inputs = numbered(entry.path() / "test_data_set_0", "input_");
    test.outputs = numbered(entry.path() / "test_data_set_0", "output_");
    cases.push_back(std::move(test));
  }
  std::sort(cases.begin(), cases.end(),
            [](const BackendCase& a, const BackendCase& b) { return a.name < b.name; });
  return cases;
}

Result<ReadyCase> prepare(const BackendCase& test) {
  onnx::ModelProto model;
  if (!model.ParseFromString(test.bytes)) return invalid_argument("it is no model");
  STRATA_ASSIGN_OR_RETURN(OnnxFile file, OnnxFile::parse(as_bytes(test.bytes), test.name));
  std::vector<onnx::TensorProto> tensors;
  for (const fs::path& path : test.inputs) {
    if (!tensors.emplace_back().ParseFromString(read_bytes(path))) {
      return unsupported("an input is no tensor");
    }
  }
  ReadyCase ready;
  for (const fs::path& path : test.outputs) {
    onnx::TensorProto tensor;
    if (!tensor.ParseFromString(read_bytes(path))) return unsupported("an output is no tensor");
    if (tensor.data_type() == onnx::TensorProto::BFLOAT16) {
      return unsupported("bfloat16 is computed as float32, so nothing is rounded to it");
    }
    STRATA_ASSIGN_OR_RETURN(ready.outputs.emplace_back(), file.read(tensor));
  }
  const auto read_inputs = [&](size_t count) -> Status {
    ready.inputs.clear();
    for (size_t i = 0; i < std::min(count, tensors.size()); ++i) {
      STRATA_ASSIGN_OR_RETURN(ready.inputs.emplace_back(), file.read(tensors[i]));
    }
    return {};
  };
  Result<sparse::NestedModel> whole = import_onnx_bytes(as_bytes(test.bytes), test.name);
  if (whole.ok()) {
    ready.nested = std::move(whole).value();
    STRATA_RETURN_IF_ERROR(read_inputs(tensors.size()));
    if (run(ready).ok()) return ready;
  }
  // Operators that strata runs with trained operands: those are constants in any network.
  for (size_t i = 1; i < tensors.size(); ++i) {
    const std::string name = model.graph().input(static_cast<int>(i)).name();
    if (name.empty()) continue;
    onnx::TensorProto& initializer = *model.mutable_graph()->add_initializer();
    initializer = tensors[i];
    initializer.set_name(name);
  }
  ready.adapted = true;
  Status failure;
  for (const bool first_output : {false, true}) {
    if (first_output) {  // the others are optional: a mask, indices, statistics
      onnx::GraphProto& graph = *model.mutable_graph();
      if (graph.output_size() < 2) break;
      graph.mutable_output()->DeleteSubrange(1, graph.output_size() - 1);
    }
    const std::string bytes = model.SerializeAsString();
    Result<sparse::NestedModel> adapted = import_onnx_bytes(as_bytes(bytes), test.name);
    failure = adapted.status();
    if (!adapted.ok()) continue;
    ready.nested = std::move(adapted).value();
    STRATA_RETURN_IF_ERROR(read_inputs(1));
    return ready;
  }
  return failure;
}

namespace {

/// Elements as memory in their type.
std::vector<uint8_t> packed(const Constant& constant) {
  const size_t width = graph::element_size(constant.type);
  std::vector<uint8_t> bytes(static_cast<size_t>(constant.element_count()) * width);
  if (constant.floating()) {
    if (!bytes.empty()) std::memcpy(bytes.data(), constant.floats.data(), bytes.size());
    return bytes;
  }
  for (size_t i = 0; i < constant.integers.size(); ++i) {
    std::memcpy(bytes.data() + i * width, &constant.integers[i], width);
  }
  return bytes;
}

Constant unpacked(const std::vector<uint8_t>& bytes, const graph::ValueInfo& info) {
  Constant constant;
  constant.type = info.type;
  for (const graph::Dim& dim : info.shape) constant.shape.push_back(dim.value());
  const size_t width = graph::element_size(info.type);
  for (size_t i = 0; i < bytes.size() / width; ++i) {
    if (constant.floating()) {
      std::memcpy(&constant.floats.emplace_back(), bytes.data() + i * width, width);
      continue;
    }
    int64_t value = 0;
    std::memcpy(&value, bytes.data() + i * width, width);
    const bool negative =
        width < 8 && info.type != graph::DataType::kUint8 && (value >> (8 * width - 1)) != 0;
    constant.integers.push_back(negative ? value - (int64_t{1} << (8 * width)) : value);
  }
  return constant;
}

}  // namespace

namespace {

Result<std::vector<Constant>> run(runtime::Session& session, const ReadyCase& test) {
  if (session.inputs().size() != test.inputs.size()) {
    return unsupported("the graph has another count of inputs");
  }
  std::vector<std::vector<uint8_t>> memory;
  memory.reserve(test.inputs.size() + session.outputs().size());
  std::vector<runtime::InputView> inputs;
  for (const Constant& input : test.inputs) {
    memory.push_back(packed(input));
    inputs.emplace_back(memory.back().data(), static_cast<size_t>(input.element_count()),
                        input.type);
  }
  std::vector<runtime::OutputView> outputs;
  const size_t first = memory.size();
  for (const graph::ValueInfo& output : session.outputs()) {
    size_t count = 1;
    for (const graph::Dim& dim : output.shape) count *= static_cast<size_t>(dim.value());
    memory.emplace_back(count * graph::element_size(output.type));
    outputs.emplace_back(memory.back().data(), count, output.type);
  }
  STRATA_RETURN_IF_ERROR(session.run(inputs, outputs, 0));
  std::vector<Constant> results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    results.push_back(unpacked(memory[first + i], session.outputs()[i]));
  }
  return results;
}

}  // namespace

Result<std::vector<Constant>> run(const ReadyCase& test) {
  STRATA_ASSIGN_OR_RETURN(const auto session, runtime::Session::create(test.nested, {}));
  return run(*session, test);
}

Result<std::vector<Constant>> run_stored(const ReadyCase& test) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<uint8_t> bytes, format::encode(test.nested));
  STRATA_ASSIGN_OR_RETURN(auto reader, format::Reader::from_bytes(bytes, "stored"));
  STRATA_ASSIGN_OR_RETURN(const auto session, runtime::Session::create(std::move(reader), {}));
  return run(*session, test);
}

Result<std::vector<Constant>> run_exported(const ReadyCase& test) {
  STRATA_ASSIGN_OR_RETURN(const std::string bytes, export_onnx(test.nested, 0));
  onnx::ModelProto model;
  if (!model.ParseFromString(bytes)) return invalid_argument("the export cannot be read");
  try {
    onnx::checker::check_model(model);
  } catch (const std::exception& error) {
    return invalid_argument(std::string("onnx's checker: ") + error.what());
  }
  ReadyCase again = test;
  STRATA_ASSIGN_OR_RETURN(again.nested, import_onnx_bytes(as_bytes(bytes), "exported"));
  return run(again);
}

std::string difference(const Constant& actual, const Constant& expected) {
  if (actual.shape != expected.shape) return "its shape differs";
  if (actual.floating() != expected.floating()) return "its type differs";
  if (!actual.floating()) return actual.integers == expected.integers ? "" : "its integers differ";
  for (size_t i = 0; i < actual.floats.size(); ++i) {
    const float made = actual.floats[i];
    const float wanted = expected.floats[i];
    const bool close = made == wanted || (std::isnan(made) && std::isnan(wanted)) ||
                       std::fabs(made - wanted) <= 1e-6F + 1e-3F * std::fabs(wanted);
    if (!close) {
      return "element " + std::to_string(i) + " is " + std::to_string(made) + ", expected " +
             std::to_string(wanted);
    }
  }
  return "";
}

}  // namespace strata::interop::testing
