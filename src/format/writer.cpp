#include "format/writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/bit_cast.h"
#include "core/file.h"
#include "format/layout.h"
#include "format/metadata.h"
#include "format/position_coding.h"
#include "format/value_coding.h"

namespace strata::format {
namespace {

/// Statistics are not stored, so they must be the ones that a reader will assume.
Status check_folded(const sparse::NestedModel& nested) {
  for (const graph::Parameter& parameter : nested.model.parameters) {
    if (!is_statistic(parameter)) continue;
    const bool mean = parameter.role == graph::ParameterRole::kMean;
    const auto expected = bit_cast<uint32_t>(mean ? 0.0F : 1.0F);
    for (const sparse::VectorTable& vectors : nested.vectors) {
      const std::vector<float>& values = vectors.find(parameter.name)->second;
      if (!std::all_of(values.begin(), values.end(),
                       [expected](float value) { return bit_cast<uint32_t>(value) == expected; })) {
        return failed_precondition("the normalisation statistic '" + parameter.name +
                                   "' is not folded; fold the model before writing it");
      }
    }
  }
  return {};
}

uint64_t statistics_count(const graph::Model& model) {
  uint64_t count = 0;
  for (const graph::Parameter& parameter : model.parameters) {
    if (is_statistic(parameter)) count += static_cast<uint64_t>(parameter.element_count());
  }
  return count;
}

void append(std::vector<uint8_t>& bytes, std::span<const uint8_t> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

void append_floats(std::vector<uint8_t>& bytes, std::span<const float> values) {
  const size_t at = bytes.size();
  bytes.resize(at + values.size_bytes());
  if (!values.empty()) std::memcpy(bytes.data() + at, values.data(), values.size_bytes());
}

/// The increments of one weight, appended to the levels' bytes and sections.
Result<ChannelScales> append_weight(const std::string& name, const sparse::NestedTensor& tensor,
                                    const graph::OutputChannels& channels, ValueType type,
                                    std::vector<std::vector<uint8_t>>& levels,
                                    std::vector<std::vector<Section>>& sections) {
  STRATA_ASSIGN_OR_RETURN(CodedTensor coded, encode_values(tensor, channels, type, name));
  const auto elements = static_cast<uint64_t>(tensor.element_count());
  std::vector<uint32_t> occupied;
  for (size_t level = 0; level < levels.size(); ++level) {
    const std::vector<uint32_t>& places = coded.places[level];
    const CodedPositions positions = encode_positions(places, occupied, elements);
    sections[level].push_back({places.size(), positions.bytes.size(), positions.code});
    append(levels[level], positions.bytes);
    append(levels[level], coded.values[level]);
    const auto middle = static_cast<std::ptrdiff_t>(occupied.size());
    occupied.insert(occupied.end(), places.begin(), places.end());
    std::inplace_merge(occupied.begin(), occupied.begin() + middle, occupied.end());
  }
  return ChannelScales{std::move(coded.scales), channels};
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

Result<std::vector<uint8_t>> encode(const sparse::NestedModel& nested,
                                    const WriteOptions& options) {
  STRATA_RETURN_IF_ERROR(sparse::check(nested));
  STRATA_RETURN_IF_ERROR(check_folded(nested));
  const auto level_count = static_cast<size_t>(nested.level_count);
  if (level_count > kMaxLevels) {
    return invalid_argument("the model has " + std::to_string(level_count) +
                            " levels, a .strata file takes " + std::to_string(kMaxLevels));
  }

  Metadata metadata{nested.model, nested.record, options.values, {}, {}};
  metadata.sections.resize(level_count);
  std::vector<std::vector<uint8_t>> levels(level_count);
  for (const graph::Parameter& parameter : nested.model.parameters) {
    ChannelScales& scales = metadata.scales.emplace_back();
    if (!is_weight(parameter)) continue;
    const sparse::NestedTensor& tensor = nested.weights.find(parameter.name)->second;
    STRATA_ASSIGN_OR_RETURN(scales, append_weight(parameter.name, tensor,
                                                  graph::output_channels(nested.model, parameter),
                                                  options.values, levels, metadata.sections));
  }
  for (size_t level = 0; level < level_count; ++level) {
    for (const graph::Parameter& parameter : nested.model.parameters) {
      if (is_weight(parameter) || is_statistic(parameter)) continue;
      append_floats(levels[level], nested.vectors[level].find(parameter.name)->second);
    }
  }

  STRATA_ASSIGN_OR_RETURN(const std::vector<uint8_t> metadata_bytes, encode_metadata(metadata));
  Layout layout;
  layout.schema = schema_version(metadata);
  layout.metadata_size = metadata_bytes.size();
  layout.metadata.begin = header_size(level_count);
  layout.metadata.end = align(layout.metadata.begin + metadata_bytes.size());
  uint64_t end = layout.metadata.end;
  for (const std::vector<uint8_t>& level : levels) {
    // A level without bytes still gets a region, so that its end differs from the one below.
    const uint64_t begin = end;
    end = align(begin + std::max<uint64_t>(level.size(), 1));
    layout.levels.push_back({begin, end, 0});
  }

  for (const Region& region : layout.levels) {
    if (statistics_count(nested.model) > kFreeStatistics + region.size()) {
      return invalid_argument(
          "the model has more normalisation statistics than its levels have bytes; declare them "
          "only "
          "for normalisations that are used");
    }
  }

  std::vector<uint8_t> file(end, 0);
  write_header(layout, file);
  const auto place = [&file](const Region& region, const std::vector<uint8_t>& bytes) {
    std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(region.begin));
  };
  place(layout.metadata, metadata_bytes);
  for (size_t level = 0; level < level_count; ++level) place(layout.levels[level], levels[level]);
  seal(file);
  return file;
}

Status write(const std::string& path, const sparse::NestedModel& nested,
             const WriteOptions& options) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<uint8_t> file, encode(nested, options));
  const std::array<std::span<const uint8_t>, 1> parts = {file};
  return write_file_atomically(path, parts);
}

}  // namespace strata::format
