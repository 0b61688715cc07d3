// What a convolution kernel does with its sums, the same for every kernel.
#pragma once

#include <cstdint>

namespace strata::kernels {

/// output[r][p] = activation(scale[r] * sum + shift[r] + residual[r][p]), and 0 where the mask is
/// 0. Rows are output channels; pixels p count through the rows of a plane at the output's pitch.
/// Sums may be computed in slices of the taps, one call after the other. Whole blocks are read and
/// written, on cache-line boundaries.
struct ConvOutput {
  bool first_slice = true;          ///< else the sums of the slices before are in `output`
  bool last_slice = true;           ///< else `output` gets the plain sums
  const float* scale = nullptr;     ///< [row]
  const float* shift = nullptr;     ///< [row]
  const float* residual = nullptr;  ///< pixel 0 of row 0, or null
  int64_t residual_stride = 0;      ///< floats from row to row
  float* output = nullptr;          ///< pixel 0 of row 0
  int64_t output_stride = 0;        ///< floats from row to row
  const uint32_t* mask = nullptr;   ///< [pixel]: all bits set or 0; null: all set
  bool relu = false;

  /// The oracle of the last slice.
  [[nodiscard]] float finish(float sum, int64_t row, int64_t pixel) const {
    float value = sum * scale[row] + shift[row];
    if (residual != nullptr) value += residual[row * residual_stride + pixel];
    if (relu && value < 0) value = 0;
    return mask != nullptr && mask[pixel] == 0 ? 0.0F : value;
  }
};

}  // namespace strata::kernels
