// IEEE 754 binary16 (f16) as bits.
#pragma once

#include <cstdint>

namespace strata {

/// Rounded to nearest, ties to even; what is too large becomes infinite.
uint16_t to_half(float value);
float from_half(uint16_t half);

/// Whether f16 has exactly this value, which is not a NaN.
inline bool is_half(float value) { return from_half(to_half(value)) == value; }

}  // namespace strata
