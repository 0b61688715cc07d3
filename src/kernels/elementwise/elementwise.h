// Per-channel scale and shift, addition of a second tensor, ReLU: what could not be fused into the
// step before it.
#pragma once

#include <cstdint>

#include "kernels/plane_layout.h"
#include "kernels/target.h"

namespace strata::kernels {

/// output = activation(scale[c] * input + shift[c] + addend). Pointers are at the start of the
/// memory that the layouts describe; the layouts agree in sizes and may differ in anything else.
struct ElementwiseArguments {
  const float* input = nullptr;
  PlaneLayout input_layout;
  const float* scale = nullptr;   ///< [channel]
  const float* shift = nullptr;   ///< [channel]
  const float* addend = nullptr;  ///< or null
  PlaneLayout addend_layout;
  float* output = nullptr;
  PlaneLayout output_layout;
  bool relu = false;
};

/// Computes channels [channel_begin, channel_end) of one image and zeroes the margins of their
/// planes.
using ElementwiseFunction = void (*)(const ElementwiseArguments& arguments, int64_t image,
                                     int64_t channel_begin, int64_t channel_end);

/// The kernel for one target, which must be among supported_targets().
ElementwiseFunction elementwise_kernel(Target target);

/// The oracle.
void elementwise_reference(const ElementwiseArguments& arguments, int64_t image,
                           int64_t channel_begin, int64_t channel_end);

}  // namespace strata::kernels
