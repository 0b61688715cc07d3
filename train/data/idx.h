// IDX arrays (the MNIST family's format) and the gzip around them, parsed from memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace strata::data {

/// An IDX array of unsigned bytes, row-major.
struct IdxArray {
  std::vector<int64_t> dims;
  std::vector<uint8_t> values;
};

/// `dims` is how many dimensions the file must have (3 for images, 1 for labels); `name` stands for
/// the file in errors. Throws Error: wrong magic number, element type, length.
IdxArray parse_idx(std::span<const uint8_t> bytes, size_t dims, const std::string& name);

/// Decompresses gzip (RFC 1952), several members included. Throws Error: damaged, truncated,
/// followed by something else, or larger than `max_bytes`.
std::vector<uint8_t> gunzip(std::span<const uint8_t> bytes, size_t max_bytes,
                            const std::string& name);

/// Does it begin like a gzip file?
bool is_gzip(std::span<const uint8_t> bytes);

}  // namespace strata::data
