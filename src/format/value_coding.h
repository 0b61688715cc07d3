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
#include "graph/output_channels.h"
#include "sparse/nested.h"

namespace strata::format {

/// Bytes of one value.
uint64_t value_size(ValueType type);

/// A tensor ready to be stored. Encoding the decoded values again gives the same codes and scales.
struct CodedTensor {
  std::vector<float> scales;                  ///< int8: one per channel; else empty
  std::vector<std::vector<uint32_t>> places;  ///< [level], without what rounded to zero
  std::vector<std::vector<uint8_t>> values;   ///< [level]
};

/// Errors name the weight and the value that the type cannot hold.
Result<CodedTensor> encode_values(const sparse::NestedTensor& tensor,
                                  const graph::OutputChannels& channels, ValueType type,
                                  const std::string& name);

/// One value per position, or nothing if one is zero or not finite. `bytes` holds value_size() per
/// position, `scales` one per channel for int8.
std::optional<std::vector<float>> decode_values(std::span<const uint8_t> bytes, ValueType type,
                                                std::span<const uint32_t> positions,
                                                const graph::OutputChannels& channels,
                                                std::span<const float> scales);

}  // namespace strata::format
