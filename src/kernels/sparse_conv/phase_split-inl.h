// The walk over channels and row phases that the scalar and the vector version of phase_split.h
// share; they differ in how they distribute the pixels of a row over the column phases.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/sparse_conv/phase_split.h"

namespace strata::kernels {

/// The rows of one row phase of an input plane, and where its column phases go.
struct PhaseRows {
  const float* pixels = nullptr;
  int64_t row_stride = 0;  ///< floats from row to row
  int64_t rows = 0;        ///< that exist, at most `height`
  int64_t width = 0;
  const std::vector<int64_t>& phases;  ///< of the columns, in use, ascending
  float* target = nullptr;             ///< plane of the first of them
  int64_t target_stride = 0;           ///< to the plane of the next
  int64_t height = 0;                  ///< of every plane, whose rows ...
  int64_t pitch = 0;                   ///< ... of so many floats are filled up with zeros
};

/// Pixel by pixel.
inline void split_rows_reference(const PhaseRows& from, int64_t stride) {
  float* plane = from.target;
  for (const int64_t phase : from.phases) {
    for (int64_t y = 0; y < from.height; ++y) {
      const int64_t width = y < from.rows ? from.width : 0;
      const int64_t count = std::max<int64_t>(0, (width - phase + stride - 1) / stride);
      const float* pixels = from.pixels + (count > 0 ? y * from.row_stride + phase : 0);
      float* to = plane + y * from.pitch;
      for (int64_t x = 0; x < count; ++x) to[x] = pixels[x * stride];
      std::fill(to + count, to + from.pitch, 0.0F);
    }
    plane += from.target_stride;
  }
}

/// `split(rows)` distributes rows, `zero(from, count)` zeroes floats.
template <typename Split, typename Zero>
inline void split_phases(const ConvGeometry& geometry, const Window& window,
                         const PlaneLayout& input_layout, const float* input,
                         const PlaneLayout& output_layout, float* output, int64_t image,
                         int64_t channel_begin, int64_t channel_end, const Split& split,
                         const Zero& zero) {
  const std::vector<int64_t>& columns = geometry.columns().phases;
  const int64_t stride = window.stride[0];
  const int64_t floats = output_layout.height * output_layout.pitch;
  const int64_t tail = output_layout.plane_stride - output_layout.head - floats;
  for (int64_t channel = channel_begin; channel < channel_end; ++channel) {
    const float* source = input + input_layout.plane(image, channel);
    float* plane = output + output_layout.plane(image, channel * geometry.phases());
    for (const int64_t phase : geometry.rows().phases) {
      const int64_t rows =
          std::max<int64_t>(0, (input_layout.height - phase + stride - 1) / stride);
      split(PhaseRows{source + (rows > 0 ? phase * input_layout.pitch : 0),
                      stride * input_layout.pitch, std::min(rows, output_layout.height),
                      input_layout.width, columns, plane, output_layout.plane_stride,
                      output_layout.height, output_layout.pitch});
      for (size_t column = 0; column < columns.size(); ++column) {
        zero(plane - output_layout.head, output_layout.head);
        zero(plane + floats, tail);
        plane += output_layout.plane_stride;
      }
    }
  }
}

}  // namespace strata::kernels
