// See int8.h.
#include "core/int8.h"

#include <algorithm>
#include <cmath>

namespace strata {

int8_t encode_int8(float value, float scale) {
  const double code = std::nearbyint(static_cast<double>(value) / static_cast<double>(scale));
  return static_cast<int8_t>(std::clamp<double>(code, -kMaxInt8Code, kMaxInt8Code));
}

std::optional<float> exact_int8_scale(std::span<const float> values) {
  float maximum = 0;
  for (const float value : values) maximum = std::max(maximum, std::fabs(value));
  if (maximum == 0) return 0;
  // Were the scale known, so would the maximum's code be.
  for (int code = kMaxInt8Code; code >= 1; --code) {
    const float scale = maximum / static_cast<float>(code);
    if (scale > 0 && std::all_of(values.begin(), values.end(), [scale](float value) {
          return decode_int8(encode_int8(value, scale), scale) == value;
        })) {
      return scale;
    }
  }
  return std::nullopt;
}

}  // namespace strata
