// Between strata's data and libtorch's tensors, always by copy, in main memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/ATen.h>

#include "graph/graph.h"
#include "sparse/nested_model.h"
#include "train/data/samples.h"
#include "train/torch/executor.h"

namespace strata::train {

at::ScalarType scalar_type(graph::DataType type);

/// Row-major floats as a tensor of `shape`, which has as many elements.
at::Tensor tensor_of(std::span<const float> values, const std::vector<int64_t>& shape);
at::Tensor tensor_of(const graph::Constant& constant);

/// Samples `indices` as one tensor per input, [indices.size(), shape…].
std::vector<at::Tensor> tensors_of(const data::Samples& samples, std::span<const int64_t> indices);

/// Every parameter of a nested model at one level, zeros in place.
LevelTensors level_tensors(const sparse::NestedModel& nested, int level);

}  // namespace strata::train
