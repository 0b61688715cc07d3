// Codes the places of an increment against the places that lower levels have taken. The bit stream
// is specified in format/layout.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace strata::format {

enum class PositionCoding : uint8_t {
  kEvery = 0,  ///< all free places are taken
  kTaken = 1,  ///< gaps between the taken places
  kLeft = 2,   ///< gaps between the places left over
};

struct PositionCode {
  PositionCoding coding = PositionCoding::kTaken;
  uint32_t golomb = 1;  ///< divisor m
};

struct CodedPositions {
  PositionCode code;
  std::vector<uint8_t> bytes;
};

/// `positions` and `occupied` are ascending, disjoint and below `elements` (at most 2^32 - 1).
CodedPositions encode_positions(std::span<const uint32_t> positions,
                                std::span<const uint32_t> occupied, uint64_t elements);

/// `count` places, or nothing if `bytes` is not exactly the code of that many places. Allocates
/// 4 * count bytes; takes time in proportion to count + occupied.size() + bytes.size().
std::optional<std::vector<uint32_t>> decode_positions(PositionCode code,
                                                      std::span<const uint8_t> bytes,
                                                      uint64_t count,
                                                      std::span<const uint32_t> occupied,
                                                      uint64_t elements);

/// log2 of how many ways there are to take `taken` of `free` places: the bound for any code that
/// knows only these counts.
double entropy_bits(uint64_t free, uint64_t taken);

}  // namespace strata::format
