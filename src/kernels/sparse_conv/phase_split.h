// Copies an activation into the phase planes that a strided convolution reads (see geometry.h).
#pragma once

#include <cstdint>

#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/geometry.h"
#include "kernels/target.h"
#include "kernels/window.h"

namespace strata::kernels {

/// Copies channels [channel_begin, channel_end) of one image into its phase planes, margins zeroed.
/// `input` and `output` point at the start of the memory that the layouts describe; no two planes
/// of the output overlap, and any input layout does.
using PhaseSplitFunction = void (*)(const ConvGeometry& geometry, const Window& window,
                                    const PlaneLayout& input_layout, const float* input,
                                    const PlaneLayout& output_layout, float* output, int64_t image,
                                    int64_t channel_begin, int64_t channel_end);

/// The kernel for one target, which must be among supported_targets().
PhaseSplitFunction phase_split_kernel(Target target);

/// The oracle.
void phase_split_reference(const ConvGeometry& geometry, const Window& window,
                           const PlaneLayout& input_layout, const float* input,
                           const PlaneLayout& output_layout, float* output, int64_t image,
                           int64_t channel_begin, int64_t channel_end);

}  // namespace strata::kernels
