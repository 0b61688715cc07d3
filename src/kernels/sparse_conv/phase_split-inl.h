// The walk over channels, phases and rows that the scalar and the vector version of phase_split.h
// share; they differ in how they copy every stride-th pixel of a row.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/sparse_conv/phase_split.h"

namespace strata::kernels {

/// `copy(from, stride, count, to)` does to[x] = from[x * stride] for x < count.
template <typename Copy>
inline void split_phases(const ConvGeometry& geometry, const Window& window,
                         const PlaneLayout& input_layout, const float* input,
                         const PlaneLayout& output_layout, float* output, int64_t image,
                         int64_t channel_begin, int64_t channel_end, const Copy& copy) {
  const int64_t row_stride = window.stride[0];
  const int64_t column_stride = window.stride[1];
  for (int64_t channel = channel_begin; channel < channel_end; ++channel) {
    int64_t plane_index = channel * geometry.phases();
    const float* source = input + input_layout.plane(image, channel);
    for (const int64_t row_phase : geometry.rows().phases) {
      for (const int64_t column_phase : geometry.columns().phases) {
        float* plane = output + output_layout.plane(image, plane_index++);
        const int64_t count = std::max<int64_t>(
            0, (input_layout.width - column_phase + column_stride - 1) / column_stride);
        for (int64_t y = 0; y < output_layout.height; ++y) {
          float* to = plane + y * output_layout.pitch;
          const int64_t row = y * row_stride + row_phase;
          const int64_t filled = row < input_layout.height ? count : 0;
          if (filled > 0) {
            copy(source + row * input_layout.pitch + column_phase, column_stride, filled, to);
          }
          std::fill(to + filled, to + output_layout.pitch, 0.0F);
        }
        clear_ends(output_layout, plane, output_layout.height * output_layout.pitch);
      }
    }
  }
}

}  // namespace strata::kernels
