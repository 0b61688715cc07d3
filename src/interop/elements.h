// Elements of tensors as files store them, little-endian and one after the other, as constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "interop/constant.h"

namespace strata::interop {

/// How an element is stored, numbered as onnx.TensorProto.DataType.
enum class StoredType : uint8_t {
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kBfloat16 = 16,
};

size_t element_bytes(StoredType type);

/// The type that strata holds such elements in.
graph::DataType held_as(StoredType type);

/// Appends `count` elements to the floats or the integers of `out`. Precondition: bytes.size() is
/// count * element_bytes(type).
void decode_elements(StoredType type, std::span<const uint8_t> bytes, int64_t count, Constant& out);

/// Two bytes as the upper half of a float32.
float from_brain(uint16_t bits);

}  // namespace strata::interop
