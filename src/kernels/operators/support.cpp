#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

/// Row-major strides of `shape` seen from `output`; 0 where it is repeated.
std::vector<int64_t> broadcast_strides(const std::vector<int64_t>& output,
                                       const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(output.size(), 0);
  int64_t stride = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t axis = shape.size() - 1 - i;
    if (shape[axis] != 1) strides[output.size() - 1 - i] = stride;
    stride *= shape[axis];
  }
  return strides;
}

}  // namespace

Status require_float(const OperatorSite& site) {
  for (const auto* tensors : {&site.inputs, &site.outputs}) {
    for (const TensorSpec& tensor : *tensors) {
      if (tensor.present && tensor.type != graph::DataType::kFloat32) {
        return unsupported("the runtime runs it on float32 only, not on " +
                           std::string(graph::to_string(tensor.type)));
      }
    }
  }
  return {};
}

size_t axis_of(const OperatorSite& site, std::string_view name, int64_t fallback, size_t rank) {
  const int64_t axis = site.node.attribute_int(name, fallback);
  return static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
}

Broadcast::Broadcast(const std::vector<int64_t>& output, const std::vector<int64_t>& a,
                     const std::vector<int64_t>& b) {
  const std::array<std::vector<int64_t>, 2> strides = {broadcast_strides(output, a),
                                                       broadcast_strides(output, b)};
  for (size_t axis = 0; axis < output.size(); ++axis) {
    if (output[axis] == 1) continue;
    bool merges = !sizes_.empty();
    for (size_t i = 0; i < 2; ++i) {
      merges = merges && strides_[i].back() == strides[i][axis] * output[axis];
    }
    if (merges) {
      sizes_.back() *= output[axis];
    } else {
      sizes_.push_back(output[axis]);
    }
    for (size_t i = 0; i < 2; ++i) {
      if (merges) {
        strides_[i].back() = strides[i][axis];
      } else {
        strides_[i].push_back(strides[i][axis]);
      }
    }
  }
  if (sizes_.empty()) {
    sizes_ = {1};
    strides_ = {std::vector<int64_t>{0}, std::vector<int64_t>{0}};
  }
  for (size_t axis = 0; axis + 1 < sizes_.size(); ++axis) rows_ *= sizes_[axis];
}

}  // namespace strata::kernels
