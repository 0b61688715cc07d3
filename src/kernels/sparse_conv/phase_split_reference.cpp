// One pixel after the other.
#include "kernels/sparse_conv/phase_split-inl.h"

namespace strata::kernels {

void phase_split_reference(const ConvGeometry& geometry, const Window& window,
                           const PlaneLayout& input_layout, const float* input,
                           const PlaneLayout& output_layout, float* output, int64_t image,
                           int64_t channel_begin, int64_t channel_end) {
  split_phases(geometry, window, input_layout, input, output_layout, output, image, channel_begin,
               channel_end, [](const float* from, int64_t stride, int64_t count, float* to) {
                 for (int64_t x = 0; x < count; ++x) to[x] = from[x * stride];
               });
}

}  // namespace strata::kernels
