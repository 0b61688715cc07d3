// One pixel after the other.
#include "kernels/sparse_conv/phase_split-inl.h"

namespace strata::kernels {

void phase_split_reference(const ConvGeometry& geometry, const Window& window,
                           const PlaneLayout& input_layout, const float* input,
                           const PlaneLayout& output_layout, float* output, int64_t image,
                           int64_t channel_begin, int64_t channel_end) {
  split_phases(
      geometry, window, input_layout, input, output_layout, output, image, channel_begin,
      channel_end, [&](const PhaseRows& rows) { split_rows_reference(rows, window.stride[1]); },
      [](float* to, int64_t count) { std::fill_n(to, count, 0.0F); });
}

}  // namespace strata::kernels
