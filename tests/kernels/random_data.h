// Random data for kernel tests, drawn by rapidcheck's shrinkable seeds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <rapidcheck.h>

#include "kernels/plane_layout.h"

namespace strata::kernels {

inline int64_t pick(int64_t least, int64_t most) { return *rc::gen::inRange(least, most + 1); }

inline std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = uniform(random);
  return values;
}

/// Any valid layout of these sizes: compact, or with gaps, heads and long strides.
inline PlaneLayout random_layout(int64_t batch, int64_t channels, int64_t height, int64_t width) {
  if (*rc::gen::arbitrary<bool>()) return compact_layout(batch, channels, height, width);
  PlaneLayout layout{batch, channels, height, width, width + pick(0, 3), pick(0, 5), 0, 0};
  layout.plane_stride = layout.head + height * layout.pitch + pick(0, 20);
  layout.image_stride = layout.plane_stride * channels;
  return layout;
}

/// Whether everything of a tensor but its pixels is zero.
inline bool margins_are_zero(const PlaneLayout& layout, const std::vector<float>& data) {
  std::vector<uint8_t> pixel(data.size());
  for (int64_t n = 0; n < layout.batch; ++n) {
    for (int64_t c = 0; c < layout.channels; ++c) {
      for (int64_t y = 0; y < layout.height; ++y) {
        std::fill_n(pixel.begin() + layout.plane(n, c) + y * layout.pitch, layout.width, 1);
      }
    }
  }
  for (size_t i = 0; i < data.size(); ++i) {
    if (pixel[i] == 0 && data[i] != 0) return false;
  }
  return true;
}

/// Equal up to rounding of sums of values of size about one.
inline bool nearly_equal(const std::vector<float>& a, const std::vector<float>& b,
                         float tolerance = 1e-4F) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const float scale = std::max(1.0F, std::fabs(a[i]));
    if (!(std::fabs(a[i] - b[i]) <= tolerance * scale)) return false;
  }
  return true;
}

}  // namespace strata::kernels
