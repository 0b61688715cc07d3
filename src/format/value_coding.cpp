#include "format/value_coding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/half.h"

namespace strata::format {
namespace {

constexpr int kMaxInt8 = 127;

float decode_int8(int8_t code, float scale) { return static_cast<float>(code) * scale; }

/// The nearest code, ties to even, saturated.
int8_t encode_int8(float value, float scale) {
  const double code = std::nearbyint(static_cast<double>(value) / static_cast<double>(scale));
  return static_cast<int8_t>(std::clamp(code, -127.0, 127.0));
}

bool represents(float scale, std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [scale](float value) {
    return decode_int8(encode_int8(value, scale), scale) == value;
  });
}

/// The scale for one channel's values. If some scale represents them all exactly, as after an
/// earlier int8 round trip, the smallest of those: then encoding loses nothing. Else maximum / 127,
/// its significand shortened to 17 bits: then every code times the scale is exact in f32, so that
/// the next encoding finds this very scale.
float int8_scale(std::span<const float> values) {
  float maximum = 0;
  for (const float value : values) maximum = std::max(maximum, std::fabs(value));
  if (maximum == 0) return 0;
  for (int code = kMaxInt8; code >= 1; --code) {
    const float scale = maximum / static_cast<float>(code);
    if (scale > 0 && represents(scale, values)) return scale;
  }
  const auto scale = static_cast<float>(static_cast<double>(maximum) / kMaxInt8);
  if (!std::isnormal(scale)) return scale;  // sub-normal: products are exact as they are
  constexpr uint32_t kDroppedBits = 7;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scale) >> kDroppedBits << kDroppedBits);
}

/// Scales of all channels.
std::vector<float> int8_scales(const sparse::NestedTensor& tensor, const ChannelOf& channel) {
  // Values in the order of their channels: count per channel, then place.
  std::vector<size_t> begin(channel.count() + 1, 0);
  for (const sparse::Increment& increment : tensor.increments) {
    for (const uint32_t position : increment.positions) ++begin[channel(position) + 1];
  }
  for (size_t c = 0; c < channel.count(); ++c) begin[c + 1] += begin[c];
  std::vector<float> values(begin.back());
  std::vector<size_t> next(begin.begin(), begin.end() - 1);
  for (const sparse::Increment& increment : tensor.increments) {
    for (size_t i = 0; i < increment.positions.size(); ++i) {
      values[next[channel(increment.positions[i])]++] = increment.values[i];
    }
  }
  std::vector<float> scales(channel.count());
  for (size_t c = 0; c < channel.count(); ++c) {
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

const char* to_string(ValueType type) {
  switch (type) {
    case ValueType::kFloat32:
      return "f32";
    case ValueType::kFloat16:
      return "f16";
    case ValueType::kInt8:
      return "int8";
  }
  return "unknown";
}

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

ChannelOf::ChannelOf(std::span<const int64_t> shape, uint64_t elements)
    : count_(shape.empty() ? 1 : static_cast<uint64_t>(shape[0])), stride_(elements / count_) {}

Result<CodedTensor> encode_values(const sparse::NestedTensor& tensor, ValueType type,
                                  const std::string& name) {
  CodedTensor coded;
  const ChannelOf channel(tensor.shape, static_cast<uint64_t>(tensor.element_count()));
  if (type == ValueType::kInt8) coded.scales = int8_scales(tensor, channel);
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
          const int8_t code = encode_int8(value, coded.scales[channel(position)]);
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
                                                const ChannelOf& channel,
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
        values[i] = decode_int8(load<int8_t>(bytes, i), scales[channel(positions[i])]);
      }
      break;
  }
  const bool sound = std::all_of(values.begin(), values.end(),
                                 [](float value) { return std::isfinite(value) && value != 0; });
  if (!sound) return std::nullopt;
  return values;
}

}  // namespace strata::format
