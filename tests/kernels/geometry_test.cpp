// A convolution by taps over (phase) planes equals the sliding window of the definition, for any
// kernel, stride, dilation, padding and group, whatever lies in memory around the planes.
#include "kernels/sparse_conv/geometry.h"

#include <limits>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kernels/sparse_conv/phase_split.h"
#include "kernels/sparse_conv/tiling.h"
#include "random_data.h"

namespace strata::kernels {
namespace {

struct Case {
  Window window;
  int64_t channels = 1, height = 1, width = 1;
  int64_t output_height = 1, output_width = 1;
};

Case random_case(int64_t largest_stride) {
  Case c;
  c.channels = pick(1, 3);
  int64_t size[2];
  int64_t output[2];
  for (size_t axis = 0; axis < 2; ++axis) {
    c.window.kernel[axis] = pick(1, 5);
    c.window.stride[axis] = pick(1, largest_stride);
    c.window.dilation[axis] = pick(1, 3);
    c.window.pad_begin[axis] = pick(0, 6);
    c.window.pad_end[axis] = pick(0, 6);
    const int64_t reach = c.window.dilation[axis] * (c.window.kernel[axis] - 1) + 1;
    const int64_t padding = c.window.pad_begin[axis] + c.window.pad_end[axis];
    size[axis] = pick(std::max<int64_t>(1, reach - padding), 20);
    output[axis] = (size[axis] + padding - reach) / c.window.stride[axis] + 1;
  }
  c.height = size[0];
  c.width = size[1];
  c.output_height = output[0];
  c.output_width = output[1];
  return c;
}

/// What one tap of one output pixel must read.
float expected(const Case& c, const PlaneLayout& layout, const std::vector<float>& input,
               int64_t channel, int64_t ky, int64_t kx, int64_t y, int64_t x) {
  const int64_t iy = y * c.window.stride[0] + ky * c.window.dilation[0] - c.window.pad_begin[0];
  const int64_t ix = x * c.window.stride[1] + kx * c.window.dilation[1] - c.window.pad_begin[1];
  if (iy < 0 || ix < 0 || iy >= c.height || ix >= c.width) return 0;
  return input[static_cast<size_t>(layout.plane(0, channel) + iy * layout.pitch + ix)];
}

/// Floats that taps read before a plane when nothing is left out.
int64_t zeros_before(const ConvGeometry& geometry, int64_t pitch) {
  return -(geometry.rows().min_shift * pitch + geometry.columns().min_shift);
}

RC_GTEST_PROP(Geometry, EveryTapReadsItsPixelOrZeroThroughPhasePlanes, ()) {
  const Case c = random_case(4);
  const ConvGeometry geometry(c.window, c.height, c.width, c.output_height, c.output_width);
  const PlaneLayout in = random_layout(1, c.channels, c.height, c.width);
  const auto input = random_floats(in.image_stride, 1);
  const int64_t pitch = geometry.min_pitch() + pick(0, 2);
  const ConvTiling tiling = plan_tiling(geometry, pitch, pick(1, 300), {pick(2, 16), pick(0, 6)});
  const int64_t blocks = round_up(c.output_height * pitch, kPixelBlock) / kPixelBlock;
  const PlaneLayout split = geometry.phase_layout(
      1, c.channels, pitch, zeros_before(geometry, pitch), tiling.reach(blocks));
  std::vector<float> planes(static_cast<size_t>(split.image_stride),
                            std::numeric_limits<float>::quiet_NaN());
  phase_split_reference(geometry, c.window, in, input.data(), split, planes.data(), 0, 0,
                        c.channels);
  for (int64_t channel = 0; channel < c.channels; ++channel) {
    for (int64_t ky = 0; ky < c.window.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < c.window.kernel[1]; ++kx) {
        const ConvGeometry::Source tap = geometry.source(pitch, ky, kx);
        const int64_t plane = channel * geometry.phases() + tap.phase;
        for (int64_t y = 0; y < c.output_height; ++y) {
          for (int64_t x = 0; x < c.output_width; ++x) {
            const int64_t place = split.plane(0, plane) + y * pitch + x + tap.offset;
            RC_ASSERT(place >= 0);
            RC_ASSERT(place < split.image_stride);
            RC_ASSERT(planes[static_cast<size_t>(place)] ==
                      expected(c, in, input, channel, ky, kx, y, x));
          }
        }
      }
    }
  }
}

RC_GTEST_PROP(Geometry, StrideOneReadsTheInputsOwnPlanes, ()) {
  const Case c = random_case(1);
  const ConvGeometry geometry(c.window, c.height, c.width, c.output_height, c.output_width);
  RC_ASSERT(geometry.direct());
  RC_ASSERT(geometry.phases() == 1);
  PlaneLayout in{1, c.channels, c.height, c.width, geometry.min_pitch() + pick(0, 2), 0, 0, 0};
  const ConvTiling tiling =
      plan_tiling(geometry, in.pitch, pick(1, 300), {pick(2, 16), pick(0, 6)});
  const int64_t blocks = round_up(c.output_height * in.pitch, kPixelBlock) / kPixelBlock;
  lay_out_planes(in, zeros_before(geometry, in.pitch), tiling.reach(blocks));
  auto input = random_floats(in.image_stride, 1);
  for (int64_t channel = 0; channel < c.channels; ++channel) {
    clear_margins(in, input.data() + in.plane(0, channel));
  }
  RC_ASSERT(margins_are_zero(in, input));
  for (int64_t channel = 0; channel < c.channels; ++channel) {
    for (int64_t ky = 0; ky < c.window.kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < c.window.kernel[1]; ++kx) {
        const int64_t offset = geometry.source(in.pitch, ky, kx).offset;
        for (int64_t y = 0; y < c.output_height; ++y) {
          for (int64_t x = 0; x < c.output_width; ++x) {
            const int64_t place = in.plane(0, channel) + y * in.pitch + x + offset;
            RC_ASSERT(place >= 0);
            RC_ASSERT(place < in.image_stride);
            RC_ASSERT(input[static_cast<size_t>(place)] ==
                      expected(c, in, input, channel, ky, kx, y, x));
          }
        }
      }
    }
  }
}

class PhaseSplit : public ::testing::TestWithParam<Target> {};

TEST_P(PhaseSplit, AgreesWithTheReference) {
  const PhaseSplitFunction split = phase_split_kernel(GetParam());
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    Case c = random_case(3);
    const ConvGeometry geometry(c.window, c.height, c.width, c.output_height, c.output_width);
    const PlaneLayout in = random_layout(2, c.channels, c.height, c.width);
    const auto input = random_floats(2 * in.image_stride, 1);
    const PlaneLayout out = geometry.phase_layout(2, c.channels, geometry.min_pitch() + pick(0, 9),
                                                  pick(0, 40), pick(0, 900));
    std::vector<float> expected(static_cast<size_t>(2 * out.image_stride), -7.0F);
    std::vector<float> actual = expected;
    for (int64_t image = 0; image < 2; ++image) {
      phase_split_reference(geometry, c.window, in, input.data(), out, expected.data(), image, 0,
                            c.channels);
      split(geometry, c.window, in, input.data(), out, actual.data(), image, 0, c.channels);
    }
    RC_ASSERT(expected == actual);
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, PhaseSplit, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

TEST(Geometry, PadsARowByNoMoreThanOneSide) {
  Window window;
  window.kernel = {3, 3};
  window.pad_begin = window.pad_end = {1, 1};
  EXPECT_EQ(ConvGeometry(window, 56, 56, 56, 56).min_pitch(), 57);
}

}  // namespace
}  // namespace strata::kernels
