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
#include "graph/output_channels.h"

namespace strata::format {

inline bool is_weight(const graph::Parameter& parameter) {
  return parameter.role == graph::ParameterRole::kWeight;
}

/// Mean or variance: not stored, a folded model has 0 and 1.
inline bool is_statistic(const graph::Parameter& parameter) {
  return parameter.role == graph::ParameterRole::kMean ||
         parameter.role == graph::ParameterRole::kVariance;
}

/// How the increment of one weight is coded.
struct Section {
  uint64_t nonzeros = 0;
  uint64_t position_bytes = 0;
  PositionCode code;
};

/// The scales of an int8 weight, one per channel; empty for all other parameters.
struct ChannelScales {
  std::vector<float> values;
  graph::OutputChannels channels = {};  ///< if there are any
  bool operator==(const ChannelScales&) const = default;
};

struct Metadata {
  graph::Model model;
  std::string record;
  ValueType values = ValueType::kFloat32;
  std::vector<ChannelScales> scales;           ///< [parameter]; empty unless an int8 weight
  std::vector<std::vector<Section>> sections;  ///< [level][weight, in the order of parameters]
};

/// The lowest schema version that says all of it.
uint32_t schema_version(const Metadata& metadata);

/// Errors: more than FlatBuffers can hold.
Result<std::vector<uint8_t>> encode_metadata(const Metadata& metadata);

/// Decodes what may be hostile, with memory and time in proportion to bytes.size(). What comes out
/// is well-formed, not sound: see check(). Messages of both complete "'FILE' is damaged: ".
Result<Metadata> decode_metadata(std::span<const uint8_t> bytes);

/// Checks that graph::validate() is content, that every parameter has at most 2^32 - 1 elements and
/// the scales it needs, and that there are level_count levels of sections, each with one section
/// per weight that takes at most the places that are still free.
Status check(const Metadata& metadata, size_t level_count);

}  // namespace strata::format
