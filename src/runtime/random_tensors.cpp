#include "runtime/random_tensors.h"

#include <cstdint>
#include <cstring>
#include <random>

namespace strata::runtime {

RandomTensors::RandomTensors(const Session& session) {
  std::mt19937 random(1);
  const auto add = [this](const graph::ValueInfo& info, auto& views) -> std::vector<std::byte>& {
    size_t elements = 1;
    for (const graph::Dim& dim : info.shape) elements *= static_cast<size_t>(dim.value());
    std::vector<std::byte>& data = data_.emplace_back(elements * graph::element_size(info.type));
    views.push_back({data.data(), elements, info.type});
    return data;
  };
  for (const graph::ValueInfo& info : session.inputs()) {
    std::vector<std::byte>& data = add(info, inputs_);
    if (info.type != graph::DataType::kFloat32) continue;
    for (size_t i = 0; i < data.size(); i += sizeof(float)) {
      const float value = static_cast<float>(random()) / 2147483648.0F - 1.0F;
      std::memcpy(data.data() + i, &value, sizeof(value));
    }
  }
  for (const graph::ValueInfo& info : session.outputs()) add(info, outputs_);
}

}  // namespace strata::runtime
