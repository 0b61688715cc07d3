// One pixel after the other.
#include <algorithm>

#include "kernels/elementwise/elementwise.h"

namespace strata::kernels {

void elementwise_reference(const ElementwiseArguments& arguments, int64_t image,
                           int64_t channel_begin, int64_t channel_end) {
  const PlaneLayout& out = arguments.output_layout;
  for (int64_t channel = channel_begin; channel < channel_end; ++channel) {
    const float* input = arguments.input + arguments.input_layout.plane(image, channel);
    const float* addend = arguments.addend == nullptr
                              ? nullptr
                              : arguments.addend + arguments.addend_layout.plane(image, channel);
    float* output = arguments.output + out.plane(image, channel);
    for (int64_t y = 0; y < out.height; ++y) {
      for (int64_t x = 0; x < out.width; ++x) {
        float value = input[y * arguments.input_layout.pitch + x] * arguments.scale[channel] +
                      arguments.shift[channel];
        if (addend != nullptr) value += addend[y * arguments.addend_layout.pitch + x];
        output[y * out.pitch + x] = arguments.relu ? std::max(value, 0.0F) : value;
      }
    }
    clear_margins(out, output);
  }
}

}  // namespace strata::kernels
