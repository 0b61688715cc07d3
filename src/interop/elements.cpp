#include "interop/elements.h"

#include <bit>
#include <cstring>
#include <vector>

#include "core/bit_cast.h"
#include "core/half.h"

namespace strata::interop {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are stored little-endian");

/// Reads `count` elements of type T and converts each.
template <typename T, typename Out, typename Convert>
void decode(std::span<const uint8_t> bytes, int64_t count, std::vector<Out>& out,
            const Convert& convert) {
  out.resize(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) {
    T element;
    std::memcpy(&element, bytes.data() + i * sizeof(T), sizeof(T));
    out[i] = convert(element);
  }
}

}  // namespace

float from_brain(uint16_t bits) { return bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

size_t element_bytes(StoredType type) {
  switch (type) {
    case StoredType::kBool:
    case StoredType::kInt8:
    case StoredType::kUint8:
      return 1;
    case StoredType::kFloat16:
    case StoredType::kBfloat16:
    case StoredType::kInt16:
    case StoredType::kUint16:
      return 2;
    case StoredType::kFloat32:
    case StoredType::kInt32:
    case StoredType::kUint32:
      return 4;
    default:
      return 8;
  }
}

graph::DataType held_as(StoredType type) {
  switch (type) {
    case StoredType::kFloat32:
    case StoredType::kFloat64:
    case StoredType::kFloat16:
    case StoredType::kBfloat16:
      return graph::DataType::kFloat32;
    case StoredType::kBool:
      return graph::DataType::kBool;
    case StoredType::kUint8:
      return graph::DataType::kUint8;
    case StoredType::kInt8:
      return graph::DataType::kInt8;
    case StoredType::kInt16:
    case StoredType::kUint16:
    case StoredType::kInt32:
      return graph::DataType::kInt32;
    default:
      return graph::DataType::kInt64;
  }
}

void decode_elements(StoredType type, std::span<const uint8_t> bytes, int64_t count,
                     Constant& out) {
  const auto to_float = [](auto value) { return static_cast<float>(value); };
  const auto to_integer = [](auto value) { return static_cast<int64_t>(value); };
  switch (type) {
    case StoredType::kFloat32:
      out.floats.resize(static_cast<size_t>(count));
      if (count > 0) std::memcpy(out.floats.data(), bytes.data(), out.floats.size() * 4);
      break;
    case StoredType::kFloat64:
      decode<double>(bytes, count, out.floats, to_float);
      break;
    case StoredType::kFloat16:
      decode<uint16_t>(bytes, count, out.floats, from_half);
      break;
    case StoredType::kBfloat16:
      decode<uint16_t>(bytes, count, out.floats, from_brain);
      break;
    case StoredType::kBool:
      decode<uint8_t>(bytes, count, out.integers, [](uint8_t b) { return int64_t{b != 0}; });
      break;
    case StoredType::kUint8:
      decode<uint8_t>(bytes, count, out.integers, to_integer);
      break;
    case StoredType::kInt8:
      decode<int8_t>(bytes, count, out.integers, to_integer);
      break;
    case StoredType::kUint16:
      decode<uint16_t>(bytes, count, out.integers, to_integer);
      break;
    case StoredType::kInt16:
      decode<int16_t>(bytes, count, out.integers, to_integer);
      break;
    case StoredType::kUint32:
      decode<uint32_t>(bytes, count, out.integers, to_integer);
      break;
    case StoredType::kInt32:
      decode<int32_t>(bytes, count, out.integers, to_integer);
      break;
    default:
      decode<int64_t>(bytes, count, out.integers, to_integer);
  }
}

}  // namespace strata::interop
