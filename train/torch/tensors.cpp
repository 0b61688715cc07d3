#include "train/torch/tensors.h"

#include <cstring>
#include <utility>

namespace strata::train {

at::ScalarType scalar_type(graph::DataType type) {
  switch (type) {
    case graph::DataType::kUint8:
      return at::kByte;
    case graph::DataType::kInt8:
      return at::kChar;
    case graph::DataType::kInt32:
      return at::kInt;
    case graph::DataType::kInt64:
      return at::kLong;
    case graph::DataType::kBool:
      return at::kBool;
    case graph::DataType::kFloat16:
      return at::kHalf;
    case graph::DataType::kFloat32:
      break;
  }
  return at::kFloat;
}

at::Tensor tensor_of(std::span<const float> values, const std::vector<int64_t>& shape) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  if (!values.empty()) std::memcpy(tensor.data_ptr(), values.data(), values.size_bytes());
  return tensor;
}

at::Tensor tensor_of(const graph::Constant& constant) {
  at::Tensor tensor = at::empty(constant.shape, scalar_type(constant.type));
  if (!constant.data.empty()) {
    std::memcpy(tensor.data_ptr(), constant.data.data(), constant.data.size());
  }
  return tensor;
}

std::vector<at::Tensor> tensors_of(const data::Samples& samples, std::span<const int64_t> indices) {
  std::vector<at::Tensor> tensors;
  for (const data::SampleInput& input : samples.inputs()) {
    std::vector<int64_t> shape = input.shape;
    shape.insert(shape.begin(), static_cast<int64_t>(indices.size()));
    at::Tensor tensor = at::empty(shape, scalar_type(input.type));
    samples.read(indices, tensors.size(), tensor.data_ptr());
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

LevelTensors level_tensors(const sparse::NestedModel& nested, int level) {
  LevelTensors tensors;
  for (const graph::Parameter& parameter : nested.model.parameters) {
    const bool weight = parameter.role == graph::ParameterRole::kWeight;
    tensors.push_back(tensor_of(weight
                                    ? sparse::densify(nested.weights.at(parameter.name), level)
                                    : nested.vectors[static_cast<size_t>(level)].at(parameter.name),
                                parameter.shape));
  }
  return tensors;
}

}  // namespace strata::train
