// On every target of this CPU scale, shift, addition and ReLU agree with the scalar reference.
#include "kernels/elementwise/elementwise.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

class Elementwise : public ::testing::TestWithParam<Target> {};

TEST_P(Elementwise, AgreesWithTheReference) {
  const ElementwiseFunction elementwise = elementwise_kernel(GetParam());
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    const int64_t batch = pick(1, 2);
    const int64_t channels = pick(1, 4);
    const int64_t height = pick(1, 5);
    const int64_t width = pick(1, 40);
    ElementwiseArguments arguments;
    arguments.input_layout = random_layout(batch, channels, height, width);
    arguments.addend_layout = random_layout(batch, channels, height, width);
    arguments.output_layout = random_layout(batch, channels, height, width);
    const auto input = random_floats(batch * arguments.input_layout.image_stride, 1);
    const auto addend = random_floats(batch * arguments.addend_layout.image_stride, 2);
    const auto scale = random_floats(channels, 3);
    const auto shift = random_floats(channels, 4);
    arguments.input = input.data();
    if (*rc::gen::arbitrary<bool>()) arguments.addend = addend.data();
    arguments.scale = scale.data();
    arguments.shift = shift.data();
    arguments.relu = *rc::gen::arbitrary<bool>();
    const auto floats = static_cast<size_t>(batch * arguments.output_layout.image_stride);
    std::vector<float> expected(floats, -7.0F);
    std::vector<float> actual(floats, -7.0F);
    for (int64_t image = 0; image < batch; ++image) {
      arguments.output = expected.data();
      elementwise_reference(arguments, image, 0, channels);
      arguments.output = actual.data();
      elementwise(arguments, image, 0, channels);
    }
    RC_ASSERT(nearly_equal(expected, actual));
    RC_ASSERT(margins_are_zero(arguments.output_layout, actual));
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, Elementwise, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
