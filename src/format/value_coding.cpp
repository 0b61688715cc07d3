#include "format/value_coding.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/bit_cast.h"
#include "core/half.h"
#include "core/int8.h"

namespace strata::format {
namespace {

/// The scale for one channel's values. If some scale represents them all exactly, as after an
/// earlier int8 round trip, the smallest of those: then encoding loses nothing. Else maximum / 127,
/// its significand shortened to 17 bits: then every code times the scale is exact in f32, so that
/// the next encoding finds this very scale.
float int8_scale(std::span<const float> values) {
  if (const std::optional<float> exact = exact_int8_scale(values)) return *exact;
  float maximum = 0;
  for (const float value : values) maximum = std::max(maximum, std::fabs(value));
  const auto scale = static_cast<float>(static_cast<double>(maximum) / kMaxInt8Code);
  if (!std::isnormal(scale)) return scale;  // sub-normal: products are exact as they are
  constexpr uint32_t kDroppedBits = 7;
  return bit_cast<float>(bit_cast<uint32_t>(scale) >> kDroppedBits << kDroppedBits);
}

/// Scales of all channels.
std::vector<float> int8_scales(const sparse::NestedTensor& tensor,
                               const graph::OutputChannels& channels) {
  // Values in the order of their channels: count per channel, then place.
  const auto count = static_cast<size_t>(channels.count);
  std::vector<size_t> begin(count + 1, 0);
  for (const sparse::Increment& increment : tensor.increments) {
    for (const uint32_t position : increment.positions) ++begin[channels.of(position) + 1];
  }
  for (size_t c = 0; c < count; ++c) begin[c + 1] += begin[c];
  std::vector<float> values(begin.back());
  std::vector<size_t> next(begin.begin(), begin.end() - 1);
  for (const sparse::Increment& increment : tensor.increments) {
    for (size_t i = 0; i < increment.positions.size(); ++i) {
      values[next[channels.of(increment.positions[i])]++] = increment.values[i];
    }
  }
  std::vector<float> scales(count);
  for (size_t c = 0; c < count; ++c) {
    scales[c] = int8_scale(std::span(values).subspan(begin[c], begin[c + 1] - begin[c]));
  }
  return scales;
}

template <typename T>
void append(std::vector<uint8_t>& bytes, T value) {
  const size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

template <typename T>
T load(std::span<const uint8_t> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

}  // namespace

uint64_t value_size(ValueType type) {
  switch (type) {
    case ValueType::kFloat32:
      return sizeof(float);
    case ValueType::kFloat16:
      return sizeof(uint16_t);
    case ValueType::kInt8:
      return sizeof(int8_t);
  }
  return 0;
}

Result<CodedTensor> encode_values(const sparse::NestedTensor& tensor,
                                  const graph::OutputChannels& channels, ValueType type,
                                  const std::string& name) {
  CodedTensor coded;
  if (type == ValueType::kInt8) coded.scales = int8_scales(tensor, channels);
  for (const sparse::Increment& increment : tensor.increments) {
    std::vector<uint32_t>& places = coded.places.emplace_back();
    std::vector<uint8_t>& bytes = coded.values.emplace_back();
    places.reserve(increment.positions.size());
    bytes.reserve(increment.positions.size() * value_size(type));
    for (size_t i = 0; i < increment.positions.size(); ++i) {
      const uint32_t position = increment.positions[i];
      const float value = increment.values[i];
      switch (type) {
        case ValueType::kFloat32:
          append(bytes, value);
          break;
        case ValueType::kFloat16: {
          const uint16_t half = to_half(value);
          if (!std::isfinite(from_half(half))) {
            return invalid_argument("weight '" + name + "' has the value " + std::to_string(value) +
                                    ", beyond the largest f16, 65504; store the values as f32");
          }
          if (from_half(half) == 0) continue;
          append(bytes, half);
          break;
        }
        case ValueType::kInt8: {
          const int8_t code = encode_int8(value, coded.scales[channels.of(position)]);
          if (code == 0) continue;
          append(bytes, code);
          break;
        }
      }
      places.push_back(position);
    }
  }
  return coded;
}

std::optional<std::vector<float>> decode_values(std::span<const uint8_t> bytes, ValueType type,
                                                std::span<const uint32_t> positions,
                                                const graph::OutputChannels& channels,
                                                std::span<const float> scales) {
  std::vector<float> values(positions.size());
  switch (type) {
    case ValueType::kFloat32:
      if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
      break;
    case ValueType::kFloat16:
      for (size_t i = 0; i < values.size(); ++i) values[i] = from_half(load<uint16_t>(bytes, i));
      break;
    case ValueType::kInt8:
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = decode_int8(load<int8_t>(bytes, i), scales[channels.of(positions[i])]);
      }
      break;
  }
  const bool sound = std::all_of(values.begin(), values.end(),
                                 [](float value) { return std::isfinite(value) && value != 0; });
  if (!sound) return std::nullopt;
  return values;
}

}  // namespace strata::format
