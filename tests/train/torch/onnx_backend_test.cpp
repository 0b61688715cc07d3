// The onnx project's backend tests under libtorch: whatever the runtime runs, training executes
// alike.
#include "onnx_backend.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data_sets.h"
#include "train/error.h"
#include "train/torch/executor.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

using interop::Constant;
using interop::testing::BackendCase;
using interop::testing::ReadyCase;

at::Tensor tensor_of(const Constant& constant) {
  if (constant.floating()) {
    at::Tensor tensor = at::empty(constant.shape, at::kFloat);
    std::copy(constant.floats.begin(), constant.floats.end(), tensor.data_ptr<float>());
    return tensor;
  }
  at::Tensor tensor = at::empty(constant.shape, at::kLong);
  std::copy(constant.integers.begin(), constant.integers.end(), tensor.data_ptr<int64_t>());
  return tensor.to(scalar_type(constant.type));
}

Constant constant_of(const at::Tensor& tensor) {
  Constant constant;
  constant.shape = tensor.sizes().vec();
  if (at::isFloatingType(tensor.scalar_type())) {
    const at::Tensor flat = tensor.to(at::kFloat).contiguous();
    constant.floats.assign(flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel());
  } else {
    constant.type = graph::DataType::kInt64;
    const at::Tensor flat = tensor.to(at::kLong).contiguous();
    constant.integers.assign(flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel());
  }
  return constant;
}

std::vector<at::Tensor> execute(const ReadyCase& test) {
  const graph::Model& model = test.nested.model;
  const LevelTensors level = level_tensors(test.nested, 0);
  std::vector<at::Tensor> inputs;
  for (const Constant& input : test.inputs) inputs.push_back(tensor_of(input));
  const at::NoGradGuard no_grad;
  const Executor executor(model, model.graphs[0]);
  return executor.forward(inputs, {&level, 1}, executor.fixed_route(0), {});
}

TEST(OnnxBackend, LibtorchGivesWhatTheRuntimeGives) {
  const std::filesystem::path folder =
      testing::find_data_set("onnx-backend", STRATA_SOURCE_DIR, STRATA_BINARY_DIR);
  if (folder.empty()) {
    GTEST_SKIP() << "the onnx project's backend tests are not here: set STRATA_DATA to the folder "
                    "that holds onnx-backend";
  }
  int count = 0;
  for (const BackendCase& test : interop::testing::node_cases(folder)) {
    if (test.operators.find('+') != std::string::npos) continue;
    const Result<ReadyCase> ready = interop::testing::prepare(test);
    if (!ready.ok() || !interop::testing::run(*ready).ok()) continue;
    ++count;
    try {
      const std::vector<at::Tensor> outputs = execute(*ready);
      ASSERT_LE(outputs.size(), ready->outputs.size()) << test.name;
      for (size_t i = 0; i < outputs.size(); ++i) {
        EXPECT_EQ(interop::testing::difference(constant_of(outputs[i]), ready->outputs[i]), "")
            << test.name;
      }
    } catch (const Error& error) {
      ADD_FAILURE() << test.name << ": " << error.what();
    } catch (const c10::Error& error) {
      ADD_FAILURE() << test.name << ": " << error.what_without_backtrace();
    }
  }
  EXPECT_GT(count, 300);
}

}  // namespace
}  // namespace strata::train
