// NumPy's array format (.npy, versions 1 to 3; the specification is numpy.lib.format) from memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"

namespace strata::interop {

/// Element types that are read; complex numbers, strings, dates and objects are refused.
enum class NpyType : uint8_t {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kFloat32,
  kFloat64,
};

/// As NumPy writes it: "int32".
std::string_view to_string(NpyType type);
size_t element_size(NpyType type);

/// Row-major, little-endian.
struct NpyArray {
  NpyType type = NpyType::kFloat32;
  std::vector<int64_t> shape;  ///< empty: a scalar
  std::vector<uint8_t> bytes;  ///< element_count() elements

  [[nodiscard]] int64_t element_count() const;
};

/// `name` stands for the array in errors. Big-endian data are turned round. Errors: damaged or
/// truncated, an element type that is not read, Fortran order of more than one dimension.
Result<NpyArray> parse_npy(std::span<const uint8_t> file, const std::string& name);

/// The elements as 64-bit integers. Errors: not an integer type, a number above 2^63 - 1.
Result<std::vector<int64_t>> to_integers(const NpyArray& array, const std::string& name);

/// The elements as float32, rounded to the nearest where they do not fit.
std::vector<float> to_floats(const NpyArray& array);

}  // namespace strata::interop
