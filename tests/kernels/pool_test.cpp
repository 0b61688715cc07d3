// On every target of this CPU pooling agrees with the scalar reference; the reference itself with
// values worked out by hand.
#include "kernels/pool/pool.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

class Pool : public ::testing::TestWithParam<Target> {};

TEST_P(Pool, AgreesWithTheReference) {
  const PoolFunction pool = pool_kernel(GetParam());
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    PoolArguments arguments;
    arguments.kind = *rc::gen::element(PoolKind::kMax, PoolKind::kAverage);
    arguments.count_include_pad = *rc::gen::arbitrary<bool>();
    int64_t size[2];
    int64_t output[2];
    for (size_t axis = 0; axis < 2; ++axis) {
      Window& window = arguments.window;
      window.kernel[axis] = pick(1, 5);
      window.stride[axis] = pick(1, 3);
      window.pad_begin[axis] = pick(0, window.kernel[axis] - 1);
      window.pad_end[axis] = pick(0, window.kernel[axis] - 1);
      size[axis] = pick(window.kernel[axis], 40);
      const int64_t padded = size[axis] + window.pad_begin[axis] + window.pad_end[axis];
      output[axis] = (padded - window.kernel[axis]) / window.stride[axis] + 1;
    }
    const int64_t batch = pick(1, 2);
    const int64_t channels = pick(1, 3);
    arguments.input_layout = random_layout(batch, channels, size[0], size[1]);
    arguments.output_layout = random_layout(batch, channels, output[0], output[1]);
    const auto input = random_floats(batch * arguments.input_layout.image_stride, 1);
    arguments.input = input.data();
    const auto floats = static_cast<size_t>(batch * arguments.output_layout.image_stride);
    std::vector<float> expected(floats, -7.0F);
    std::vector<float> actual(floats, -7.0F);
    std::vector<float> row(
        static_cast<size_t>(pool_row_floats(arguments.window, size[1], output[1])));
    for (int64_t image = 0; image < batch; ++image) {
      arguments.output = expected.data();
      pool_reference(arguments, image, 0, channels, row.data());
      arguments.output = actual.data();
      pool(arguments, image, 0, channels, row.data());
    }
    RC_ASSERT(nearly_equal(expected, actual));
    RC_ASSERT(margins_are_zero(arguments.output_layout, actual));
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, Pool, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

TEST(PoolReference, KnowsTheDivisorsOfPaddedAverages) {
  // A 2x2 image under a 3x3 window with padding 1: every window sees all 4 pixels and 5 zeros of
  // padding.
  const std::vector<float> input = {1, 2, 3, 4};
  std::vector<float> output(4);
  std::vector<float> row(2);
  PoolArguments arguments;
  arguments.kind = PoolKind::kAverage;
  arguments.window.kernel = {3, 3};
  arguments.window.pad_begin = arguments.window.pad_end = {1, 1};
  arguments.input = input.data();
  arguments.input_layout = arguments.output_layout = compact_layout(1, 1, 2, 2);
  arguments.output = output.data();
  pool_reference(arguments, 0, 0, 1, row.data());
  EXPECT_EQ(output, std::vector<float>(4, 2.5F));
  arguments.count_include_pad = true;
  pool_reference(arguments, 0, 0, 1, row.data());
  EXPECT_EQ(output, std::vector<float>(4, 10.0F / 9.0F));
  arguments.kind = PoolKind::kMax;
  pool_reference(arguments, 0, 0, 1, row.data());
  EXPECT_EQ(output, std::vector<float>(4, 4.0F));
}

}  // namespace
}  // namespace strata::kernels
