// See onnx_file.h. Protobuf builds its objects in an arena of limited size: a few bytes of input
// can make an object of hundreds, so the size of the file bounds nothing.
#include "interop/onnx_file.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include <google/protobuf/io/coded_stream.h>

#include "core/half.h"
#include "interop/elements.h"

namespace strata::interop {
namespace {

using onnx::TensorProto;

constexpr size_t kMaxMessageBytes = (size_t{1} << 31) - 1;  // protobuf's own limit
constexpr size_t kArenaBytesAtLeast = size_t{64} << 20;
constexpr size_t kArenaBytesPerByte = 4;

// The arena's callbacks take no context, so what is left of the budget is the thread's.
thread_local size_t arena_bytes_left = 0;

void* allocate_block(size_t size) {
  if (size > arena_bytes_left) throw std::bad_alloc();
  arena_bytes_left -= size;
  return ::operator new(size);
}

void release_block(void* block, size_t) { ::operator delete(block); }

std::string quote(std::string_view text) { return "'" + std::string(text) + "'"; }

Status tensor_error(const TensorProto& tensor, const std::string& reason) {
  return invalid_argument("tensor " + quote(tensor.name()) + ": " + reason);
}

/// The elements where they are not raw bytes but one of the typed fields.
Status decode_fields(const TensorProto& tensor, int64_t count, Constant& out) {
  const auto take = [&](const auto& field, auto& to, const auto& convert) -> Status {
    if (field.size() != count) {
      return tensor_error(tensor, "it holds " + std::to_string(field.size()) +
                                      " elements, its shape asks for " + std::to_string(count));
    }
    to.reserve(static_cast<size_t>(count));
    for (const auto value : field) to.push_back(convert(value));
    return {};
  };
  const auto to_float = [](auto value) { return static_cast<float>(value); };
  const auto to_integer = [](auto value) { return static_cast<int64_t>(value); };
  switch (tensor.data_type()) {
    case TensorProto::FLOAT:
      return take(tensor.float_data(), out.floats, to_float);
    case TensorProto::DOUBLE:
      return take(tensor.double_data(), out.floats, to_float);
    case TensorProto::FLOAT16:
      return take(tensor.int32_data(), out.floats,
                  [](int32_t bits) { return from_half(static_cast<uint16_t>(bits)); });
    case TensorProto::BFLOAT16:
      return take(tensor.int32_data(), out.floats,
                  [](int32_t bits) { return from_brain(static_cast<uint16_t>(bits)); });
    case TensorProto::INT64:
      return take(tensor.int64_data(), out.integers, to_integer);
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return take(tensor.uint64_data(), out.integers, to_integer);
    case TensorProto::BOOL:
      return take(tensor.int32_data(), out.integers, [](int32_t b) { return int64_t{b != 0}; });
    default:
      return take(tensor.int32_data(), out.integers, to_integer);
  }
}

/// `key` of a tensor's external data as a number; `fallback` where there is none.
Result<uint64_t> external_number(const TensorProto& tensor, std::string_view key,
                                 uint64_t fallback) {
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() != key) continue;
    uint64_t value = 0;
    const std::string& text = entry.value();
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc() || end != text.data() + text.size()) {
      return tensor_error(tensor, "its external data has the " + std::string(key) + " " +
                                      quote(text) + ", which is no number");
    }
    return value;
  }
  return fallback;
}

/// How the elements are stored; nothing for a type that strata has not.
std::optional<StoredType> stored_type(int32_t onnx_type) {
  switch (onnx_type) {
    case TensorProto::FLOAT:
    case TensorProto::UINT8:
    case TensorProto::INT8:
    case TensorProto::UINT16:
    case TensorProto::INT16:
    case TensorProto::INT32:
    case TensorProto::INT64:
    case TensorProto::BOOL:
    case TensorProto::FLOAT16:
    case TensorProto::DOUBLE:
    case TensorProto::UINT32:
    case TensorProto::UINT64:
    case TensorProto::BFLOAT16:
      return static_cast<StoredType>(onnx_type);
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<graph::DataType> data_type(int32_t onnx_type) {
  if (const auto stored = stored_type(onnx_type)) return held_as(*stored);
  const std::string name =
      TensorProto::DataType_IsValid(onnx_type)
          ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(onnx_type))
          : "number " + std::to_string(onnx_type);
  return unsupported("the element type " + name + " is not supported");
}

Result<OnnxFile> OnnxFile::parse(std::span<const uint8_t> bytes, const std::string& name) {
  if (bytes.size() > kMaxMessageBytes) {
    return unsupported("cannot read '" + name +
                       "': it is larger than 2 GiB, which no ONNX file can be; store its weights "
                       "as external data");
  }
  OnnxFile file;
  google::protobuf::ArenaOptions options;
  options.block_alloc = allocate_block;
  options.block_dealloc = release_block;
  arena_bytes_left = kArenaBytesAtLeast + kArenaBytesPerByte * bytes.size();
  bool parsed = false;
  try {
    file.arena_ = std::make_unique<google::protobuf::Arena>(options);
    auto* model = google::protobuf::Arena::CreateMessage<onnx::ModelProto>(file.arena_.get());
    parsed = model->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    file.model_ = model;
  } catch (const std::bad_alloc&) {
    return resource_exhausted("cannot read '" + name +
                              "': it holds more objects than a model of its size has");
  }
  if (!parsed || !file.model_->has_graph()) {
    return invalid_argument("cannot read '" + name + "': it is not an ONNX model, or damaged");
  }
  return file;
}

Result<OnnxFile> OnnxFile::open(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const MappedFile mapped, MappedFile::open(path));
  STRATA_ASSIGN_OR_RETURN(OnnxFile file, parse(mapped.bytes(), path));
  std::error_code failure;
  file.directory_ = std::filesystem::canonical(path, failure).parent_path();
  if (failure) return io_error("cannot read '" + path + "': " + failure.message());
  return file;
}

Result<std::span<const uint8_t>> OnnxFile::external_bytes(const TensorProto& tensor) {
  std::string location;
  for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
  }
  if (location.empty()) return tensor_error(tensor, "its external data has no location");
  if (directory_.empty()) {
    return tensor_error(tensor, "its data is in the file " + quote(location) +
                                    ", which a model in memory cannot have");
  }
  const std::filesystem::path relative(location);
  const bool leaves = relative.is_absolute() || location.find('\0') != std::string::npos ||
                      std::find(relative.begin(), relative.end(), "..") != relative.end();
  std::error_code failure;
  const std::filesystem::path target =
      leaves ? relative : std::filesystem::weakly_canonical(directory_ / relative, failure);
  const auto [end, rest] =
      std::mismatch(directory_.begin(), directory_.end(), target.begin(), target.end());
  if (leaves || failure || end != directory_.end()) {
    return tensor_error(tensor, "its data is in " + quote(location) +
                                    ", outside the model's directory, where it is not looked for");
  }
  auto found = external_.find(target.native());
  if (found == external_.end()) {
    Result<MappedFile> mapped = MappedFile::open(target.native());
    if (!mapped.ok()) {
      return Status(
          mapped.status().code(),
          "tensor " + quote(tensor.name()) + ": its external data: " + mapped.status().message());
    }
    found = external_.emplace(target.native(), std::move(mapped).value()).first;
  }
  const std::span<const uint8_t> all = found->second.bytes();
  STRATA_ASSIGN_OR_RETURN(const uint64_t offset, external_number(tensor, "offset", 0));
  const uint64_t rest_of_file = offset <= all.size() ? all.size() - offset : 0;
  STRATA_ASSIGN_OR_RETURN(const uint64_t length, external_number(tensor, "length", rest_of_file));
  if (offset > all.size() || length > rest_of_file) {
    return tensor_error(tensor, "its data is at " + std::to_string(offset) + ", " +
                                    std::to_string(length) + " bytes, in " + quote(location) +
                                    ", which has " + std::to_string(all.size()));
  }
  return all.subspan(offset, length);
}

Result<Constant> OnnxFile::read(const TensorProto& tensor) {
  Constant constant;
  const int32_t type = tensor.data_type();
  const Result<graph::DataType> known = data_type(type);
  if (!known.ok()) {
    return Status(known.status().code(),
                  "tensor " + quote(tensor.name()) + ": " + known.status().message());
  }
  constant.type = *known;
  constant.shape.assign(tensor.dims().begin(), tensor.dims().end());
  const Result<int64_t> count = checked_count(constant.shape);
  if (!count.ok()) return tensor_error(tensor, count.status().message());
  if (tensor.has_segment()) return tensor_error(tensor, "it is stored in segments");
  const bool external = tensor.data_location() == TensorProto::EXTERNAL;
  if (external || tensor.has_raw_data()) {
    std::span<const uint8_t> bytes;
    if (external) {
      STRATA_ASSIGN_OR_RETURN(bytes, external_bytes(tensor));
    } else {
      bytes = {reinterpret_cast<const uint8_t*>(tensor.raw_data().data()),
               tensor.raw_data().size()};
    }
    const StoredType stored = *stored_type(type);
    const size_t wanted = static_cast<size_t>(*count) * element_bytes(stored);
    if (bytes.size() != wanted) {
      return tensor_error(tensor, "it has " + std::to_string(bytes.size()) +
                                      " bytes, its shape asks for " + std::to_string(wanted));
    }
    decode_elements(stored, bytes, *count, constant);
  } else {
    STRATA_RETURN_IF_ERROR(decode_fields(tensor, *count, constant));
  }
  return constant;
}

}  // namespace strata::interop
