// See half.h.
#include "core/half.h"

#include <cmath>

#include "core/bit_cast.h"

namespace strata {

uint16_t to_half(float value) {
  const auto bits = bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return sign | 0x7E00;
  if (magnitude >= 65520.0F) return sign | 0x7C00;  // half way to the next power of two
  if (magnitude < 0x1p-14F) {
    // Sub-normal: a multiple of 2^-24; the scaling is exact and the conversion rounds to even.
    return sign | static_cast<uint16_t>(std::nearbyint(magnitude * 0x1p24F));
  }
  // Drop 13 bits of the significand, rounding to even; a carry moves on to the exponent.
  const uint32_t magnitude_bits = bits & 0x7FFFFFFF;
  const uint32_t rounded = magnitude_bits + 0xFFF + (magnitude_bits >> 13 & 1);
  constexpr uint32_t kBiasDifference = (127 - 15) << 10;
  return sign | static_cast<uint16_t>((rounded >> 13) - kBiasDifference);
}

float from_half(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 0x1F;
  const uint32_t significand = half & 0x3FF;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(significand) * 0x1p-24F;
    return bit_cast<float>(bit_cast<uint32_t>(magnitude) | sign);
  }
  const uint32_t wide_exponent = exponent == 0x1F ? 0xFF : exponent + (127 - 15);
  return bit_cast<float>(sign | wide_exponent << 23 | significand << 13);
}

}  // namespace strata
