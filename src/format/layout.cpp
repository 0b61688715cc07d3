#include "format/layout.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace strata::format {
namespace {

static_assert(std::endian::native == std::endian::little,
              "fields are copied as they are, a big-endian machine would have to swap them");

constexpr std::array<uint8_t, 8> kMagic = {0x89, 'S', 'T', 'R', 'A', 'T', 'A', '\n'};
constexpr size_t kMajorAt = 8;
constexpr size_t kMinorAt = 10;
constexpr size_t kSchemaAt = 12;
constexpr size_t kLevelCountAt = 16;
constexpr size_t kMetadataOffsetAt = 24;
constexpr size_t kMetadataSizeAt = 32;
constexpr size_t kMetadataChecksumAt = 40;
constexpr size_t kLevelTableAt = 48;
constexpr size_t kLevelEntrySize = 16;
constexpr size_t kChecksumSize = 8;
constexpr uint64_t kMaxHeaderSize = uint64_t{1} << 16;
constexpr uint64_t kMaxMetadataSize = (uint64_t{1} << 31) - 1;  // what FlatBuffers can address

template <typename T>
T load(std::span<const uint8_t> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <typename T>
void store(std::span<uint8_t> bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

size_t level_entry(size_t level) { return kLevelTableAt + level * kLevelEntrySize; }

std::string first_bytes(std::span<const uint8_t> bytes) {
  std::string text;
  for (const uint8_t byte : bytes.first(std::min<size_t>(bytes.size(), kMagic.size()))) {
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), text.empty() ? "%02x" : " %02x", byte);
    text += hex.data();
  }
  return text;
}

Status truncated_header(const std::string& name, uint64_t size) {
  return data_loss("'" + name + "' is truncated: its " + std::to_string(size) +
                   " bytes end within the header; copy the file again");
}

Status damaged_header(const std::string& name, const char* cause) {
  return data_loss("'" + name + "' is damaged: " + cause + "; copy the file again");
}

/// Fields of a header whose checksum need not be right. Checks everything that later code relies
/// on for its bounds.
Result<Layout> parse_fields(std::span<const uint8_t> bytes, const std::string& name) {
  const auto level_count = load<uint32_t>(bytes, kLevelCountAt);
  const auto header_end = load<uint64_t>(bytes, kMetadataOffsetAt);
  const auto metadata_size = load<uint64_t>(bytes, kMetadataSizeAt);
  if (level_count < 1 || level_count > kMaxLevels) {
    return damaged_header(name, "its header has an impossible count of levels");
  }
  if (header_end < header_size(level_count) || header_end > kMaxHeaderSize ||
      header_end % kAlignment != 0) {
    return damaged_header(name, "its header has an impossible size");
  }
  if (bytes.size() < header_end) return truncated_header(name, bytes.size());
  if (metadata_size > kMaxMetadataSize) {
    return damaged_header(name, "its header has an impossible size of the metadata");
  }

  Layout layout;
  layout.schema = load<uint32_t>(bytes, kSchemaAt);
  layout.metadata_size = metadata_size;
  layout.metadata = {header_end, align(header_end + metadata_size),
                     load<uint64_t>(bytes, kMetadataChecksumAt)};
  uint64_t begin = layout.metadata.end;
  for (size_t level = 0; level < level_count; ++level) {
    const auto end = load<uint64_t>(bytes, level_entry(level));
    // A level may be empty, but then it still has a region, or its end would not tell it apart.
    if (end <= begin || end % kAlignment != 0) {
      return damaged_header(name, "its level table is not in ascending order");
    }
    layout.levels.push_back({begin, end, load<uint64_t>(bytes, level_entry(level) + 8)});
    begin = end;
  }
  return layout;
}

}  // namespace

uint64_t checksum(std::span<const uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t header_size(size_t levels) { return align(level_entry(levels) + kChecksumSize); }

Result<Layout> parse_header(std::span<const uint8_t> bytes, const std::string& name) {
  if (bytes.empty()) return invalid_argument("'" + name + "' is not a .strata file: it is empty");
  if (!std::equal(kMagic.begin(), kMagic.begin() + std::min(bytes.size(), kMagic.size()),
                  bytes.begin())) {
    return invalid_argument("'" + name + "' is not a .strata file: it starts with the bytes " +
                            first_bytes(bytes));
  }
  if (bytes.size() < kLevelTableAt) return truncated_header(name, bytes.size());
  const auto major = load<uint16_t>(bytes, kMajorAt);
  const auto minor = load<uint16_t>(bytes, kMinorAt);
  const auto schema = load<uint32_t>(bytes, kSchemaAt);
  if (major > kContainerMajor) {
    return unsupported("'" + name + "' has the file format version " + std::to_string(major) + "." +
                       std::to_string(minor) + ", this build reads up to version " +
                       std::to_string(kContainerMajor) + "; update strata to open it");
  }
  if (major < 1 || schema < 1) return damaged_header(name, "its version is zero");
  if (schema > kSchemaVersion) {
    return unsupported("'" + name + "' has the model schema version " + std::to_string(schema) +
                       ", this build reads up to version " + std::to_string(kSchemaVersion) +
                       "; update strata to open it");
  }
  STRATA_ASSIGN_OR_RETURN(Layout layout, parse_fields(bytes, name));
  const size_t checksum_at = layout.metadata.begin - kChecksumSize;
  layout.header_checksum = load<uint64_t>(bytes, checksum_at);
  if (checksum(bytes.first(checksum_at)) != layout.header_checksum) {
    return damaged_header(name, "the checksum of its header does not match");
  }
  return layout;
}

Result<int> count_levels(const Layout& layout, uint64_t file_size, const std::string& name) {
  size_t whole = 0;
  while (whole < layout.levels.size() && layout.levels[whole].end <= file_size) ++whole;
  const std::string size_text = std::to_string(file_size) + " bytes";
  if (whole == 0) {
    return data_loss("'" + name + "' is truncated: of its " + std::to_string(layout.levels.size()) +
                     " levels none is whole, the sparsest ends at byte " +
                     std::to_string(layout.levels[0].end) + " and the file has " + size_text +
                     "; copy the file again");
  }
  const uint64_t end = layout.levels[whole - 1].end;
  if (end == file_size) return static_cast<int>(whole);
  if (whole == layout.levels.size()) {
    return data_loss("'" + name + "' has " + std::to_string(file_size - end) +
                     " trailing bytes after the last of its " + std::to_string(whole) +
                     " levels; cut the file at byte " + std::to_string(end));
  }
  return data_loss("'" + name + "' is truncated: its " + size_text + " hold " +
                   std::to_string(whole) + " of " + std::to_string(layout.levels.size()) +
                   " levels whole; copy the file again, or cut it at byte " + std::to_string(end) +
                   " to use those");
}

void write_header(const Layout& layout, std::span<uint8_t> bytes) {
  std::copy(kMagic.begin(), kMagic.end(), bytes.begin());
  store(bytes, kMajorAt, kContainerMajor);
  store(bytes, kMinorAt, kContainerMinor);
  store(bytes, kSchemaAt, layout.schema);
  store(bytes, kLevelCountAt, static_cast<uint32_t>(layout.levels.size()));
  store(bytes, kMetadataOffsetAt, layout.metadata.begin);
  store(bytes, kMetadataSizeAt, layout.metadata_size);
  for (size_t level = 0; level < layout.levels.size(); ++level) {
    store(bytes, level_entry(level), layout.levels[level].end);
  }
}

void seal(std::span<uint8_t> file) {
  if (file.size() < kLevelTableAt) return;
  const Result<Layout> layout = parse_fields(file, "");
  if (!layout.ok()) return;
  const auto store_checksum = [file](const Region& region, size_t at) {
    if (region.end <= file.size()) {
      store(file, at, checksum(file.subspan(region.begin, region.size())));
    }
  };
  store_checksum(layout->metadata, kMetadataChecksumAt);
  for (size_t level = 0; level < layout->levels.size(); ++level) {
    store_checksum(layout->levels[level], level_entry(level) + 8);
  }
  const size_t checksum_at = layout->metadata.begin - kChecksumSize;
  store(file, checksum_at, checksum(file.first(checksum_at)));
}

}  // namespace strata::format
