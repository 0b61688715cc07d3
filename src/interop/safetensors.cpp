// Layout: u64 size of the header, the header, the tensors. The header is a JSON object that maps a
// tensor's name to {"dtype", "shape", "data_offsets": [begin, end]}, offsets counted from behind
// the header, and "__metadata__" to texts.
#include "interop/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace strata::interop {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr int kMaxDepth = 3;                  // tensor, key, list: nothing deeper is read
constexpr size_t kMaxRank = 64;

std::string quote(std::string_view text) { return "'" + std::string(text) + "'"; }

std::optional<StoredType> type_named(const std::string& name) {
  static const std::map<std::string, StoredType, std::less<>> types = {
      {"F64", StoredType::kFloat64},   {"F32", StoredType::kFloat32}, {"F16", StoredType::kFloat16},
      {"BF16", StoredType::kBfloat16}, {"I64", StoredType::kInt64},   {"I32", StoredType::kInt32},
      {"I16", StoredType::kInt16},     {"I8", StoredType::kInt8},     {"U64", StoredType::kUint64},
      {"U32", StoredType::kUint32},    {"U16", StoredType::kUint16},  {"U8", StoredType::kUint8},
      {"BOOL", StoredType::kBool}};
  const auto found = types.find(name);
  return found == types.end() ? std::nullopt : std::optional(found->second);
}

/// Numbers of a list, none of them negative or above 2^62; nothing if it is no such list.
std::optional<std::vector<int64_t>> sizes_of(const json& list) {
  if (!list.is_array() || list.size() > kMaxRank) return std::nullopt;
  std::vector<int64_t> sizes;
  for (const json& item : list) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > (uint64_t{1} << 62)) {
      return std::nullopt;
    }
    sizes.push_back(static_cast<int64_t>(item.get<uint64_t>()));
  }
  return sizes;
}

}  // namespace

Status SafetensorsFile::read_header() {
  const auto fail = [&](const std::string& reason) {
    return invalid_argument("cannot read " + quote(name_) + ": " + reason);
  };
  uint64_t header_size = 0;
  if (bytes_.size() < sizeof(header_size)) return fail("it is no safetensors file, or truncated");
  std::memcpy(&header_size, bytes_.data(), sizeof(header_size));
  if (header_size > kMaxHeader || header_size > bytes_.size() - sizeof(header_size)) {
    return fail("it is no safetensors file: its header would take " + std::to_string(header_size) +
                " bytes");
  }
  const uint8_t* text = bytes_.data() + sizeof(header_size);
  const std::span<const uint8_t> data = bytes_.subspan(sizeof(header_size) + header_size);
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth <= kMaxDepth; };
  const json header = json::parse(text, text + header_size, shallow, /*allow_exceptions=*/false);
  if (!header.is_object()) return fail("its header is no JSON object");
  for (const auto& item : header.items()) {
    const std::string& tensor = item.key();
    const json& facts = item.value();
    if (tensor == "__metadata__") continue;
    const auto wrong = [&](const std::string& reason) {
      return fail("tensor " + quote(tensor) + ": " + reason);
    };
    if (!facts.is_object() || !facts.contains("dtype") || !facts.contains("shape") ||
        !facts.contains("data_offsets") || !facts["dtype"].is_string()) {
      return wrong("its header must give dtype, shape and data_offsets");
    }
    const auto type = type_named(facts["dtype"].get<std::string>());
    if (!type) {
      return unsupported("cannot read " + quote(name_) + ": tensor " + quote(tensor) +
                         ": the element type " + quote(facts["dtype"].get<std::string>()) +
                         " is not supported");
    }
    auto shape = sizes_of(facts["shape"]);
    const auto range = sizes_of(facts["data_offsets"]);
    if (!shape || !range || range->size() != 2) return wrong("its shape or offsets are no sizes");
    const Result<int64_t> count = checked_count(*shape);
    if (!count.ok()) return wrong(count.status().message());
    const auto begin = static_cast<uint64_t>((*range)[0]);
    const auto end = static_cast<uint64_t>((*range)[1]);
    if (begin > end || end > data.size()) {
      return wrong("its data lie at " + std::to_string(begin) + " to " + std::to_string(end) +
                   ", but the file has " + std::to_string(data.size()) + " bytes of data");
    }
    const uint64_t wanted = static_cast<uint64_t>(*count) * element_bytes(*type);
    if (end - begin != wanted) {
      return wrong("it has " + std::to_string(end - begin) + " bytes, its shape asks for " +
                   std::to_string(wanted));
    }
    entries_.emplace(tensor, Entry{*type, std::move(*shape), data.subspan(begin, wanted)});
  }
  return {};
}

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const uint8_t> bytes, std::string name) {
  SafetensorsFile file(bytes, std::move(name));
  STRATA_RETURN_IF_ERROR(file.read_header());
  return file;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  STRATA_ASSIGN_OR_RETURN(SafetensorsFile file, parse(mapped.bytes(), path));
  file.file_.push_back(std::move(mapped));
  return file;
}

std::vector<std::string> SafetensorsFile::tensors() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

Result<Constant> SafetensorsFile::read(std::string_view tensor) const {
  const auto found = entries_.find(tensor);
  if (found == entries_.end()) {
    return not_found(quote(name_) + " has no tensor " + quote(tensor));
  }
  const Entry& entry = found->second;
  Constant constant;
  constant.type = held_as(entry.type);
  constant.shape = entry.shape;
  const auto count = static_cast<int64_t>(entry.bytes.size() / element_bytes(entry.type));
  decode_elements(entry.type, entry.bytes, count, constant);
  return constant;
}

}  // namespace strata::interop
