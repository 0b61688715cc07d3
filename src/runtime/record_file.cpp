#include "runtime/record_file.h"

#include "format/layout.h"

namespace strata::runtime {
namespace {

constexpr size_t kChecksumSize = sizeof(uint64_t);

size_t header_size(const RecordFormat& format) {
  return format.magic.size() + 2 * sizeof(uint32_t);
}

}  // namespace

Status damaged_records(const RecordFormat& format, const std::string& name,
                       const std::string& why) {
  return data_loss("'" + name + "' is damaged: " + why + "; delete it and " + format.again);
}

Result<std::vector<uint8_t>> begin_records(const RecordFormat& format, size_t count) {
  if (count > format.most) {
    return invalid_argument(std::to_string(count) + " " + format.record + "s do not fit a file, " +
                            std::to_string(format.most) + " do");
  }
  std::vector<uint8_t> bytes(format.magic.begin(), format.magic.end());
  append_field(bytes, format.version);
  append_field(bytes, static_cast<uint32_t>(count));
  return bytes;
}

void seal_records(std::vector<uint8_t>& bytes) { append_field(bytes, format::checksum(bytes)); }

Result<OpenedRecords> open_records(const RecordFormat& format, std::span<const uint8_t> bytes,
                                   const std::string& name) {
  const auto& magic = format.magic;
  if (bytes.size() < magic.size() || !std::equal(magic.begin(), magic.end(), bytes.begin())) {
    return invalid_argument("'" + name + "' is not a file of " + format.record + "s");
  }
  if (bytes.size() < header_size(format) + kChecksumSize) {
    return damaged_records(format, name, "it ends within its header");
  }
  FieldReader header(bytes.subspan(magic.size()));
  const auto version = header.read<uint32_t>();
  const auto count = header.read<uint32_t>();
  if (version > format.version) {
    return unsupported("'" + name + "' has version " + std::to_string(version) + " of the " +
                       format.record + " format, this build reads up to version " +
                       std::to_string(format.version) + "; update strata, or delete it and " +
                       format.again);
  }
  const std::span<const uint8_t> content = bytes.first(bytes.size() - kChecksumSize);
  FieldReader tail(bytes.last(kChecksumSize));
  if (version < 1 || format::checksum(content) != tail.read<uint64_t>()) {
    return damaged_records(format, name, "its checksum does not match");
  }
  if (count > format.most) {
    return damaged_records(format, name, std::string("it claims too many ") + format.record + "s");
  }
  return OpenedRecords{count, FieldReader(content.subspan(header_size(format)))};
}

}  // namespace strata::runtime
