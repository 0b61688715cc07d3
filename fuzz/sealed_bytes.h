// For targets that fuzz small files with a checksum at their end.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "format/layout.h"

namespace strata::fuzz {

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// Puts the checksum that the reader asks for at the end.
inline void seal(std::span<uint8_t> bytes) {
  if (bytes.size() < sizeof(uint64_t)) return;
  const uint64_t sum = format::checksum(bytes.first(bytes.size() - sizeof(uint64_t)));
  std::memcpy(bytes.data() + bytes.size() - sizeof sum, &sum, sizeof sum);
}

}  // namespace strata::fuzz
