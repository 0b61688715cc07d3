#include "tools/strata/random_inputs.h"

#include <cstddef>
#include <random>

namespace strata::cli {
namespace {

size_t element_count(const graph::ValueInfo& value) {
  int64_t count = 1;
  for (const graph::Dim& dim : value.shape) count *= dim.value();
  return static_cast<size_t>(count);
}

}  // namespace

RandomInputs::RandomInputs(const runtime::Session& session) {
  std::mt19937 generator(1);
  for (const graph::ValueInfo& value : session.inputs()) {
    std::vector<float>& data = input_data_.emplace_back(element_count(value));
    for (float& x : data) x = static_cast<float>(generator()) / 2147483648.0F - 1.0F;
  }
  for (const graph::ValueInfo& value : session.outputs()) {
    output_data_.emplace_back(element_count(value));
  }
  for (const auto& data : input_data_) inputs_.push_back({data});
  for (auto& data : output_data_) outputs_.push_back({data});
}

}  // namespace strata::cli
