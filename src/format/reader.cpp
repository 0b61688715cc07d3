#include "format/reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <utility>
#include <variant>

#include "core/file.h"
#include "format/layout.h"
#include "format/metadata.h"
#include "format/position_coding.h"
#include "format/value_coding.h"

namespace strata::format {
namespace {

using graph::Parameter;
using graph::ParameterRole;

uint64_t elements_of(const Parameter& parameter) {
  return static_cast<uint64_t>(parameter.element_count());
}

/// Hands out consecutive parts of a level's region.
class Cursor {
 public:
  explicit Cursor(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  std::span<const uint8_t> take(uint64_t count) {
    const std::span<const uint8_t> taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }

 private:
  std::span<const uint8_t> bytes_;
};

/// Checks that a level's region is exactly as large as its sections and vectors need, so that
/// decoding stays inside and allocates in proportion to the region.
Status check_region(const Metadata& metadata, size_t level, const Region& region) {
  Status mismatch =
      data_loss("the sections of level " + std::to_string(level) + " do not fit its size");
  uint64_t unused = region.size();
  const auto use = [&unused](uint64_t bytes) {
    if (bytes > unused) return false;
    unused -= bytes;
    return true;
  };
  uint64_t statistics = 0;
  size_t weight = 0;
  for (const Parameter& parameter : metadata.model.parameters) {
    if (is_weight(parameter)) {
      const Section& section = metadata.sections[level][weight++];
      if (!use(section.position_bytes) || !use(section.nonzeros * value_size(metadata.values))) {
        return mismatch;
      }
    } else if (is_statistic(parameter)) {
      statistics += elements_of(parameter);
    } else if (!use(elements_of(parameter) * sizeof(float))) {
      return mismatch;
    }
    if (statistics > kFreeStatistics + region.size()) {
      return data_loss("its normalisation statistics are out of proportion");
    }
  }
  // All padding, or the one padded block that an empty level has.
  if (unused >= kAlignment && region.size() != kAlignment) return mismatch;
  return {};
}

class FileReader final : public Reader {
 public:
  using Bytes = std::variant<MappedFile, std::vector<uint8_t>>;

  FileReader(Bytes bytes, std::string path, Layout layout, Metadata metadata, int level_count)
      : storage_(std::move(bytes)),
        path_(std::move(path)),
        layout_(std::move(layout)),
        metadata_(std::move(metadata)) {
    for (int level = 0; level < level_count; ++level) blocks_.push_back(describe(level));
  }

  static std::span<const uint8_t> view(const Bytes& bytes) {
    if (const auto* mapped = std::get_if<MappedFile>(&bytes)) return mapped->bytes();
    return std::get<std::vector<uint8_t>>(bytes);
  }

  static Result<std::shared_ptr<const Reader>> create(Bytes storage, const std::string& name) {
    const std::span<const uint8_t> bytes = view(storage);
    STRATA_ASSIGN_OR_RETURN(Layout layout, parse_header(bytes, name));
    STRATA_ASSIGN_OR_RETURN(const int level_count, count_levels(layout, bytes.size(), name));
    const Region& region = layout.metadata;
    if (checksum(bytes.subspan(region.begin, region.size())) != region.checksum) {
      return damaged(name, "the checksum of its metadata does not match");
    }
    Result<Metadata> metadata = decode_metadata(bytes.subspan(region.begin, layout.metadata_size));
    if (!metadata.ok()) return damaged(name, metadata.status().message());
    if (const Status sound = check(*metadata, layout.levels.size()); !sound.ok()) {
      return damaged(name, sound.message());
    }
    for (size_t level = 0; level < layout.levels.size(); ++level) {
      const Status fits = check_region(*metadata, level, layout.levels[level]);
      if (!fits.ok()) return damaged(name, fits.message());
    }
    return std::shared_ptr<const Reader>(std::make_shared<FileReader>(
        std::move(storage), name, std::move(layout), std::move(metadata).value(), level_count));
  }

  const std::string& path() const override { return path_; }
  const graph::Model& model() const override { return metadata_.model; }
  const std::string& record() const override { return metadata_.record; }
  ValueType value_type() const override { return metadata_.values; }
  uint64_t file_bytes() const override { return bytes().size(); }
  uint64_t metadata_bytes() const override { return layout_.metadata.size(); }
  uint64_t identity() const override { return layout_.header_checksum; }
  int declared_level_count() const override { return static_cast<int>(layout_.levels.size()); }
  int level_count() const override { return static_cast<int>(blocks_.size()); }
  const std::vector<LevelBlock>& blocks() const override { return blocks_; }

  Result<LevelData> read_level(int level, std::span<const LevelData> below) const override {
    if (level < 0 || level >= level_count()) {
      return out_of_range("'" + path_ + "' has no level " + std::to_string(level) +
                          ", its levels are 0 to " + std::to_string(level_count() - 1));
    }
    if (below.size() < static_cast<size_t>(level)) {
      return invalid_argument("reading level " + std::to_string(level) + " of '" + path_ +
                              "' needs the levels below it, got " + std::to_string(below.size()));
    }
    const auto index = static_cast<size_t>(level);
    const Region& region = layout_.levels[index];
    const std::span<const uint8_t> block = bytes().subspan(region.begin, region.size());
    if (checksum(block) != region.checksum) {
      return damaged(path_, "the checksum of level " + std::to_string(level) + " does not match");
    }

    LevelData data;
    Cursor cursor(block);
    size_t weight = 0;
    for (size_t p = 0; p < model().parameters.size(); ++p) {
      const Parameter& parameter = model().parameters[p];
      if (!is_weight(parameter)) continue;
      STRATA_ASSIGN_OR_RETURN(std::vector<uint32_t> occupied,
                              merge_below(weight, parameter.name, below.first(index)));
      STRATA_ASSIGN_OR_RETURN(data.weights[parameter.name],
                              read_increment(level, weight, p, occupied, cursor));
      ++weight;
    }
    for (const Parameter& parameter : model().parameters) {
      if (is_weight(parameter)) continue;
      std::vector<float>& vector = data.vectors[parameter.name];
      const uint64_t elements = elements_of(parameter);
      vector.assign(elements, parameter.role == ParameterRole::kVariance ? 1.0F : 0.0F);
      if (is_statistic(parameter)) continue;
      std::memcpy(vector.data(), cursor.take(elements * sizeof(float)).data(),
                  elements * sizeof(float));
      if (!std::all_of(vector.begin(), vector.end(), [](float x) { return std::isfinite(x); })) {
        return damaged(path_, "parameter '" + parameter.name + "' of level " +
                                  std::to_string(level) + " has a value that is not finite");
      }
    }
    return data;
  }

  Result<sparse::NestedModel> read_all() const override {
    std::vector<LevelData> levels;
    for (int level = 0; level < level_count(); ++level) {
      STRATA_ASSIGN_OR_RETURN(levels.emplace_back(), read_level(level, levels));
    }
    sparse::NestedModel nested;
    nested.model = model();
    nested.level_count = level_count();
    nested.record = record();
    for (const Parameter& parameter : model().parameters) {
      if (!is_weight(parameter)) continue;
      sparse::NestedTensor& tensor = nested.weights[parameter.name];
      tensor.shape = parameter.shape;
      for (LevelData& level : levels) {
        tensor.increments.push_back(std::move(level.weights[parameter.name]));
      }
    }
    for (LevelData& level : levels) nested.vectors.push_back(std::move(level.vectors));
    if (const Status sound = sparse::check(nested); !sound.ok()) {
      return damaged(path_, sound.message());
    }
    return nested;
  }

 private:
  static Status damaged(const std::string& name, const std::string& cause) {
    return data_loss("'" + name + "' is damaged: " + cause + "; copy the file again");
  }

  [[nodiscard]] std::span<const uint8_t> bytes() const { return view(storage_); }

  [[nodiscard]] LevelBlock describe(int level) const {
    const auto index = static_cast<size_t>(level);
    LevelBlock block;
    block.offset = layout_.levels[index].begin;
    block.bytes_to_end = layout_.levels[index].end;
    size_t weight = 0;
    for (const Parameter& parameter : model().parameters) {
      if (!is_weight(parameter)) continue;
      uint64_t free = elements_of(parameter);
      for (size_t k = 0; k < index; ++k) free -= metadata_.sections[k][weight].nonzeros;
      const Section& section = metadata_.sections[index][weight++];
      block.nonzeros += section.nonzeros;
      block.position_bits += section.position_bytes * 8;
      block.value_bits += section.nonzeros * value_size(value_type()) * 8;
      block.entropy_bits += entropy_bits(free, section.nonzeros);
    }
    return block;
  }

  /// All places of one weight that lower levels take, ascending.
  Result<std::vector<uint32_t>> merge_below(size_t weight, const std::string& name,
                                            std::span<const LevelData> below) const {
    std::vector<uint32_t> occupied;
    for (size_t k = 0; k < below.size(); ++k) {
      const auto found = below[k].weights.find(name);
      if (found == below[k].weights.end() ||
          found->second.positions.size() != metadata_.sections[k][weight].nonzeros) {
        return invalid_argument("the data of level " + std::to_string(k) + " is not what '" +
                                path_ + "' has of weight '" + name + "'");
      }
      const std::vector<uint32_t>& positions = found->second.positions;
      const auto middle = static_cast<std::ptrdiff_t>(occupied.size());
      occupied.insert(occupied.end(), positions.begin(), positions.end());
      std::inplace_merge(occupied.begin(), occupied.begin() + middle, occupied.end());
    }
    return occupied;
  }

  Result<sparse::Increment> read_increment(int level, size_t weight, size_t parameter_index,
                                           std::span<const uint32_t> occupied,
                                           Cursor& cursor) const {
    const Parameter& parameter = model().parameters[parameter_index];
    const Section& section = metadata_.sections[static_cast<size_t>(level)][weight];
    const uint64_t elements = elements_of(parameter);
    const auto fault = [&](const char* cause) {
      return damaged(
          path_, "weight '" + parameter.name + "' of level " + std::to_string(level) + " " + cause);
    };
    const std::span<const uint8_t> position_bytes = cursor.take(section.position_bytes);
    const std::span<const uint8_t> value_bytes =
        cursor.take(section.nonzeros * value_size(value_type()));
    std::optional<std::vector<uint32_t>> positions =
        decode_positions(section.code, position_bytes, section.nonzeros, occupied, elements);
    if (!positions) return fault("has places that cannot be decoded");
    const ChannelScales& scales = metadata_.scales[parameter_index];
    std::optional<std::vector<float>> values =
        decode_values(value_bytes, value_type(), *positions, scales.channels, scales.values);
    if (!values) return fault("has a value that is zero or not finite");
    return sparse::Increment{std::move(*positions), std::move(*values)};
  }

  Bytes storage_;
  std::string path_;
  Layout layout_;
  Metadata metadata_;
  std::vector<LevelBlock> blocks_;
};

}  // namespace

Result<std::shared_ptr<const Reader>> Reader::open(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  return FileReader::create(std::move(file), path);
}

Result<std::shared_ptr<const Reader>> Reader::from_bytes(std::span<const uint8_t> bytes,
                                                         const std::string& name) {
  return FileReader::create(std::vector<uint8_t>(bytes.begin(), bytes.end()), name);
}

}  // namespace strata::format
