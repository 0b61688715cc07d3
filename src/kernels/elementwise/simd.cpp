// Lanes run over the pixels of a row; its last pixels are computed one by one.
#include "kernels/elementwise/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

HWY_INLINE void run_row(const float* input, const float* addend, float scale, float shift,
                        bool relu, int64_t width, float* output) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t x = 0;
  for (; x + lanes <= width; x += lanes) {
    auto value = hn::MulAdd(hn::LoadU(d, input + x), hn::Set(d, scale), hn::Set(d, shift));
    if (addend != nullptr) value = hn::Add(value, hn::LoadU(d, addend + x));
    if (relu) value = hn::Max(value, hn::Zero(d));
    hn::StoreU(value, d, output + x);
  }
  for (; x < width; ++x) {
    float value = input[x] * scale + shift;
    if (addend != nullptr) value += addend[x];
    output[x] = relu && value < 0 ? 0.0F : value;
  }
}

void run(const ElementwiseArguments& arguments, int64_t image, int64_t channel_begin,
         int64_t channel_end) {
  const PlaneLayout& out = arguments.output_layout;
  for (int64_t channel = channel_begin; channel < channel_end; ++channel) {
    const float* input = arguments.input + arguments.input_layout.plane(image, channel);
    const float* addend = arguments.addend == nullptr
                              ? nullptr
                              : arguments.addend + arguments.addend_layout.plane(image, channel);
    float* output = arguments.output + out.plane(image, channel);
    for (int64_t y = 0; y < out.height; ++y) {
      run_row(input + y * arguments.input_layout.pitch,
              addend == nullptr ? nullptr : addend + y * arguments.addend_layout.pitch,
              arguments.scale[channel], arguments.shift[channel], arguments.relu, out.width,
              output + y * out.pitch);
    }
    clear_margins(out, output);
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

ElementwiseFunction elementwise_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, run, elementwise_reference)
}

}  // namespace strata::kernels
#endif
