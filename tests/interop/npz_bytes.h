// Writes .npy and .npz bytes as NumPy does, for the tests of the readers.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace strata::interop::testing {

using Blob = std::vector<uint8_t>;

Blob blob(const std::string& text);

/// An array of version 1 (2 or 3 on wish) with this header text, padded to 64 bytes.
Blob npy_with_header(const std::string& header, const Blob& data, uint8_t version = 1);

/// "{'descr': DESCR, 'fortran_order': False, 'shape': SHAPE, }"
Blob npy(const std::string& descr, const std::string& shape, const Blob& data);

template <typename T>
Blob bytes_of(const std::vector<T>& values) {
  Blob bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

struct ZipEntry {
  std::string name;  ///< with ".npy"
  Blob data;
  bool deflated = false;
  bool wide = false;     ///< sizes and offset in the 64-bit extension
  uint16_t method = 99;  ///< 99: as `deflated` says
  uint16_t flags = 0;
};

Blob zip(const std::vector<ZipEntry>& entries, const std::string& comment = {});

}  // namespace strata::interop::testing
