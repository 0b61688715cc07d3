// Values as codes of 8 bits times a scale that many of them share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace strata {

inline constexpr int kMaxInt8Code = 127;  ///< codes are symmetric: -127..127

inline float decode_int8(int8_t code, float scale) { return static_cast<float>(code) * scale; }

/// The nearest code, ties to even; what is too large becomes the largest. `scale` is positive.
int8_t encode_int8(float value, float scale);

/// The smallest scale of which every value is a code times the scale, bit for bit, as after an
/// earlier rounding; nothing if there is none. 0 if all values are 0.
std::optional<float> exact_int8_scale(std::span<const float> values);

}  // namespace strata
