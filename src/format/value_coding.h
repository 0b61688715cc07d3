// How a weight's value becomes bytes: f32 as it is, f16 and int8 by rounding once. Positions are
// the business of format/position_coding.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "format/writer.h"
#include "sparse/nested.h"

namespace strata::format {

/// "f32", "f16" or "int8".
const char* to_string(ValueType type);

/// Bytes of one value.
uint64_t value_size(ValueType type);

/// The dimension-0 index of a flat position in a tensor of `elements` (at least 1) elements.
class ChannelOf {
 public:
  ChannelOf(std::span<const int64_t> shape, uint64_t elements);
  uint64_t operator()(uint32_t position) const { return position / stride_; }
  [[nodiscard]] uint64_t count() const { return count_; }

 private:
  uint64_t count_;
  uint64_t stride_;
};

/// A tensor ready to be stored. Encoding the decoded values again gives the same codes and scales.
struct CodedTensor {
  std::vector<float> scales;                  ///< int8: one per index of dimension 0; else empty
  std::vector<std::vector<uint32_t>> places;  ///< [level], without what rounded to zero
  std::vector<std::vector<uint8_t>> values;   ///< [level]
};

/// Errors name the weight and the value that the type cannot hold.
Result<CodedTensor> encode_values(const sparse::NestedTensor& tensor, ValueType type,
                                  const std::string& name);

/// One value per position, or nothing if one is zero or not finite. `bytes` holds value_size() per
/// position, `scales` one per channel for int8.
std::optional<std::vector<float>> decode_values(std::span<const uint8_t> bytes, ValueType type,
                                                std::span<const uint32_t> positions,
                                                const ChannelOf& channel,
                                                std::span<const float> scales);

}  // namespace strata::format
