// Writes networks as other programs export them into a folder, for bench/onnxruntime.mjs: a
// transformer in every opset, a stack of recurrent layers.
#include <cstdio>
#include <fstream>
#include <string>

#include "interop/onnx_import.h"
#include "small_transformer.h"

namespace strata::interop::testing {
namespace {

/// Sentences [batch, 6, 10] through two layers, of which the first reads both ways, to 5 scores.
OnnxModel recurrent(const std::string& type) {
  const int64_t gates = type == "LSTM" ? 4 : 3;
  OnnxModel model(14);
  model.input("x", {-1, 6, 10}).output("y");
  set(model.node("Transpose", {"x"}, {"by_time"}), "perm", std::vector<int64_t>{1, 0, 2});
  uint32_t state = 1;
  const auto weight = [&](const std::string& name, const std::vector<int64_t>& shape) {
    size_t count = 1;
    for (const int64_t size : shape) count *= static_cast<size_t>(size);
    std::vector<float> values(count);
    for (float& value : values) {
      state = state * 1664525U + 1013904223U;
      value = static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5F;
    }
    model.floats(name, shape, values);
  };
  std::string last = "by_time";
  const auto layer = [&](const std::string& name, int64_t features, const std::string& direction) {
    const int64_t directions = direction == "bidirectional" ? 2 : 1;
    weight(name + ".w", {directions, gates * 16, features});
    weight(name + ".r", {directions, gates * 16, 16});
    weight(name + ".b", {directions, 2 * gates * 16});
    onnx::NodeProto& node =
        model.node(type, {last, name + ".w", name + ".r", name + ".b"}, {name + ".y"});
    set(node, "hidden_size", int64_t{16});
    set(node, "direction", direction);
    set(model.node("Transpose", {name + ".y"}, {name + ".t"}), "perm",
        std::vector<int64_t>{0, 2, 1, 3});
    model.integers(name + ".sizes", {0, 0, directions * 16});
    last = name + ".sequence";
    model.node("Reshape", {name + ".t", name + ".sizes"}, {last});
  };
  layer("first", 10, "bidirectional");
  layer("second", 32, "forward");
  model.integers("axes", {0});
  model.node("ReduceSum", {last, "axes"}, {"sum"});
  model.integers("axis", {0});
  model.node("Squeeze", {"sum", "axis"}, {"rows"});
  weight("fc", {16, 5});
  model.node("MatMul", {"rows", "fc"}, {"y"});
  return model;
}

void write(const std::string& path, const OnnxModel& model) {
  std::ofstream(path, std::ios::binary) << model.bytes();
}

}  // namespace
}  // namespace strata::interop::testing

int main(int argc, char** argv) {
  using namespace strata::interop;
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const std::string folder = std::string(argv[1]) + "/";
  for (int64_t opset = kOldestOpset; opset <= kNewestOpset; ++opset) {
    testing::write(folder + "transformer-opset" + std::to_string(opset) + ".onnx",
                   testing::SmallTransformer(opset).model());
  }
  testing::write(folder + "lstm.onnx", testing::recurrent("LSTM"));
  testing::write(folder + "gru.onnx", testing::recurrent("GRU"));
  return 0;
}
