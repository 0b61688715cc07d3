// The onnx project's backend tests under libtorch: whatever the runtime runs, training executes
// alike.
#include "onnx_backend.h"

#include <algorithm>
#include <map>
#include <set>

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

/// Operators whose outputs tell nothing of how to change an input: places, and yes or no.
const std::set<std::string> kWithoutGradient = {
    "And",  "ArgMax",      "ArgMin", "Equal", "Greater", "GreaterOrEqual",
    "Less", "LessOrEqual", "Or",     "Xor"};

bool is_statistic(const graph::Parameter& parameter) {
  return parameter.role == graph::ParameterRole::kMean ||
         parameter.role == graph::ParameterRole::kVariance;
}

/// Why some parameter, or every float that a case reads, gets no gradient from its outputs; "" if
/// they do.
std::string missing_gradient(const ReadyCase& test) {
  const graph::Model& model = test.nested.model;
  LevelTensors level = level_tensors(test.nested, 0);
  std::vector<at::Tensor> leaves;
  const auto watch = [&](at::Tensor& tensor) {
    if (!at::isFloatingType(tensor.scalar_type())) return;
    tensor = tensor.clone().requires_grad_(true);
    leaves.push_back(tensor);
  };
  for (size_t p = 0; p < level.size(); ++p) {
    if (!is_statistic(model.parameters[p])) watch(level[p]);
  }
  const size_t trained = leaves.size();
  std::vector<at::Tensor> inputs;
  for (const Constant& input : test.inputs) {
    inputs.push_back(tensor_of(input));
    watch(inputs.back());
  }
  if (leaves.empty()) return "it reads no floats";
  const Executor executor(model, model.graphs[0]);
  at::Tensor sum;
  for (const at::Tensor& output :
       executor.forward(inputs, {&level, 1}, executor.fixed_route(0), {})) {
    if (!at::isFloatingType(output.scalar_type()) || !output.requires_grad()) continue;
    sum = sum.defined() ? sum + output.sum() : output.sum();
  }
  if (!sum.defined()) return "no output has a gradient";
  sum.backward();
  const auto reached = [](const at::Tensor& leaf) { return leaf.grad().defined(); };
  const auto inputs_begin = leaves.begin() + static_cast<std::ptrdiff_t>(trained);
  if (!std::all_of(leaves.begin(), inputs_begin, reached)) return "a parameter is not reached";
  return std::any_of(leaves.begin(), leaves.end(), reached) ? "" : "no input is reached";
}

TEST(OnnxBackend, WhateverIsImportedCanBeTrained) {
  const std::filesystem::path folder =
      testing::find_data_set("onnx-backend", STRATA_SOURCE_DIR, STRATA_BINARY_DIR);
  if (folder.empty()) GTEST_SKIP() << "the onnx project's backend tests are not here";
  std::map<std::string, std::string> without;  // every case of theirs is without
  std::set<std::string> with;
  for (const BackendCase& test : interop::testing::node_cases(folder)) {
    if (test.operators.find('+') != std::string::npos) continue;
    const Result<ReadyCase> ready = interop::testing::prepare(test);
    if (!ready.ok() || !interop::testing::run(*ready).ok()) continue;
    try {
      const std::string missing = missing_gradient(*ready);
      if (missing.empty()) {
        with.insert(test.operators);
      } else {
        without.emplace(test.operators, missing + ", " + test.name);
      }
    } catch (const Error& error) {
      ADD_FAILURE() << test.name << ": " << error.what();
    } catch (const c10::Error& error) {
      ADD_FAILURE() << test.name << ": " << error.what_without_backtrace();
    }
  }
  for (const std::string& name : with) without.erase(name);
  std::set<std::string> names;
  for (const auto& [name, reason] : without) {
    names.insert(name);
    EXPECT_TRUE(kWithoutGradient.contains(name)) << name << ": " << reason;
  }
  EXPECT_EQ(names, kWithoutGradient);
  EXPECT_GT(with.size(), 60U);
}

}  // namespace
}  // namespace strata::train
