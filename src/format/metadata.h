// The metadata region of a .strata file: everything but weights and vectors. Translates between the
// FlatBuffers of model.fbs and the structures that the rest of strata uses.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "format/position_coding.h"
#include "format/writer.h"
#include "graph/graph.h"

namespace strata::format {

/// How the increment of one weight is coded.
struct Section {
  uint64_t nonzeros = 0;
  uint64_t position_bytes = 0;
  PositionCode code;
};

struct Metadata {
  graph::Model model;
  std::string record;
  ValueType values = ValueType::kFloat32;
  std::vector<std::vector<float>> scales;      ///< [parameter]; empty unless an int8 weight
  std::vector<std::vector<Section>> sections;  ///< [level][weight, in the order of parameters]
};

/// Errors: more than FlatBuffers can hold.
Result<std::vector<uint8_t>> encode_metadata(const Metadata& metadata);

/// Decodes what may be hostile: memory stays in proportion to bytes.size(), shapes of weights have
/// 1 to 2^32 - 1 elements, sections fit the levels and weights, and graph::validate() is content.
/// The result's message completes "'FILE' is damaged: ".
Result<Metadata> decode_metadata(std::span<const uint8_t> bytes, size_t level_count);

}  // namespace strata::format
