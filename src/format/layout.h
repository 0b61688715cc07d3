// The .strata file, version 1.0. Every number is little-endian; every region starts at a multiple
// of 64 bytes and is filled up with zeros to the next one, so that a region includes its padding.
//
//   region      bytes                     content
//   header      [0, H)                    fixed fields, level table, checksum
//   metadata    [H, align64(H + M))       FlatBuffers (model.fbs): graphs, parameters, properties,
//                                         training record, how each increment is coded
//   level 0     [align64(H + M), end 0)   increment 0: the sparsest level
//   level k     [end k-1, end k)          increment k: what level k has and level k-1 has not
//
// Header:
//   offset  size  field
//   0       8     magic: 89 'S' 'T' 'R' 'A' 'T' 'A' 0A
//   8       2     container version, major: a reader refuses a newer one
//   10      2     container version, minor: a reader accepts a newer one and ignores what it adds
//   12      4     schema version of the metadata, the lowest that it needs: a reader refuses a
//   newer
//                 one than it knows
//   16      4     level count L, 1..256
//   20      4     zero
//   24      8     H: offset of the metadata and size of the header, a multiple of 64
//   32      8     M: bytes of the metadata without padding, below 2^31
//   40      8     checksum of the metadata region
//   48      16*L  level table, per level: end (8), checksum of the level's region (8)
//   ...           zero; later minor versions may put fields here
//   H-8     8     checksum of the header up to here
//
// A checksum is XXH3-64 with seed 0 over a whole region, so every byte of a file is under one.
//
// The size of the file stands nowhere: a file that is cut where a level ends is the file of the
// levels up to that one, and its size says which. Any other size is refused.
//
// A level's region holds, in the order of the model's parameters and without gaps,
//   1. per weight: the places of the increment's non-zeros, then their values;
//   2. per bias, scale and shift: that level's vector as f32. Normalisation is folded, therefore
//      means (0) and variances (1) are not stored. So that a small file cannot ask for much memory,
//      all of them together may have 4096 elements plus one per byte of the level's region.
//
// Places are numbered 0..F-1 over the elements (row-major) that no lower level has taken. With n of
// the F taken, they are coded in one of three ways, chosen for each tensor and level:
//   every  n = F: nothing is stored
//   taken  Golomb codes of the gaps between the taken places
//   left   Golomb codes of the gaps between the places that are not taken, fewer than the taken
// A gap is the count of places skipped since the one coded before. Golomb code with divisor m, as
// bits from the least significant upwards: gap / m in unary (that many ones, then a zero), then
// gap % m in truncated binary: with b = ceil(log2 m) and c = 2^b - m, remainders below c take b - 1
// bits; others are r + c in b bits, of which the upper b - 1 come first. The last byte is filled up
// with zeros.
//
// Values follow the order of their places: f32, f16 (IEEE 754 binary16) or int8 times the f32 scale
// of the element's channel (model.fbs says which that is). A narrow value is rounded once, so that
// it is the same in every level; what rounds to zero is left out of all levels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"

namespace strata::format {

inline constexpr uint16_t kContainerMajor = 1;
inline constexpr uint16_t kContainerMinor = 0;
inline constexpr uint32_t kSchemaWithConstants = 2;
inline constexpr uint32_t kSchemaWithScaleStrides = 3;
inline constexpr uint32_t kSchemaVersion = kSchemaWithScaleStrides;  ///< the newest
inline constexpr uint32_t kMaxLevels = 256;
inline constexpr uint64_t kAlignment = 64;
inline constexpr uint64_t kFreeStatistics =
    4096;  ///< elements of means and variances, see 2. above

constexpr uint64_t align(uint64_t offset) { return (offset + kAlignment - 1) & ~(kAlignment - 1); }

/// XXH3-64.
uint64_t checksum(std::span<const uint8_t> bytes);

struct Region {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t checksum = 0;
  [[nodiscard]] uint64_t size() const { return end - begin; }
};

struct Layout {
  uint32_t schema = kSchemaVersion;
  uint64_t metadata_size = 0;    ///< without padding
  uint64_t header_checksum = 0;  ///< as read; 0 in a layout that was not read
  Region metadata;
  std::vector<Region> levels;  ///< as declared; a file may hold fewer
};

/// Bytes of the header of a file with that many levels.
uint64_t header_size(size_t levels);

/// Reads the header, which `bytes` must hold; the rest of the file may be missing from `bytes`.
/// Verifies the header's checksum, none of the others. `name` is the file's, for errors.
Result<Layout> parse_header(std::span<const uint8_t> bytes, const std::string& name);

/// How many levels a file of that size holds: at least one, and the size must be where one ends.
Result<int> count_levels(const Layout& layout, uint64_t file_size, const std::string& name);

/// Writes the header of `layout` into the first header_size() bytes, checksums excepted.
void write_header(const Layout& layout, std::span<uint8_t> bytes);

/// Computes the checksums of the regions that are there, then the header's, and stores them. Leaves
/// what is not laid out like a .strata file as it is.
void seal(std::span<uint8_t> file);

}  // namespace strata::format
