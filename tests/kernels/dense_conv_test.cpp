// On every target of this CPU the dense kernel agrees with the scalar reference, over any number of
// rows, panels, taps, offsets and blocks, with and without slices, residual, ReLU and mask.
#include "kernels/dense_conv/dense_conv.h"

#include <cmath>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/aligned_buffer.h"
#include "kernels/plane_layout.h"
#include "random_data.h"

namespace strata::kernels {
namespace {

AlignedBuffer<float> aligned_floats(int64_t count, uint32_t seed) {
  auto buffer = AlignedBuffer<float>::create(static_cast<size_t>(count), "test data").value();
  const std::vector<float> values = random_floats(count, seed);
  std::copy(values.begin(), values.end(), buffer.data());
  return buffer;
}

struct Problem {
  int64_t panels = 0;
  int64_t blocks = 0;
  std::vector<int32_t> offsets;
  AlignedBuffer<float> weights, input, residual, output;
  std::vector<float> scale, shift;
  AlignedBuffer<uint32_t> mask;
  DenseConvArguments arguments;
};

Problem random_problem(int64_t panel_rows) {
  constexpr int64_t kMargin = 40;  // that offsets may be off on either side
  Problem p;
  DenseConvArguments& a = p.arguments;
  p.panels = pick(1, 3);
  p.blocks = pick(1, 9);
  const auto seed = static_cast<uint32_t>(pick(0, 1000));
  std::mt19937 random(seed);
  a.panel_rows = panel_rows;
  a.rows = pick((p.panels - 1) * panel_rows + 1, p.panels * panel_rows);
  a.taps = pick(0, 30);
  a.panel_stride = panel_rows * (a.taps + pick(0, 2));
  for (int64_t t = 0; t < a.taps; ++t) {
    p.offsets.push_back(static_cast<int32_t>(random() % (2 * kMargin)) -
                        static_cast<int32_t>(kMargin));
  }
  const int64_t floats = p.blocks * kPixelBlock;
  p.weights = aligned_floats(p.panels * a.panel_stride + 1, seed + 1);
  p.input = aligned_floats(floats + 2 * kMargin, seed + 2);
  p.scale = random_floats(a.rows, seed + 3);
  p.shift = random_floats(a.rows, seed + 4);
  p.residual = aligned_floats(a.rows * floats, seed + 5);
  p.output = aligned_floats(a.rows * floats, seed + 6);
  p.mask = AlignedBuffer<uint32_t>::create(static_cast<size_t>(floats), "mask").value();
  for (size_t i = 0; i < p.mask.size(); ++i) p.mask[i] = random() % 4 ? ~0U : 0U;
  a.input = p.input.data() + kMargin;
  a.offsets = p.offsets.data();
  a.weights = p.weights.data();
  a.first_slice = *rc::gen::arbitrary<bool>();
  a.last_slice = *rc::gen::arbitrary<bool>();
  a.scale = p.scale.data();
  a.shift = p.shift.data();
  if (*rc::gen::arbitrary<bool>()) {
    a.residual = p.residual.data();
    a.residual_stride = floats;
  }
  if (*rc::gen::arbitrary<bool>()) a.mask = p.mask.data();
  a.relu = *rc::gen::arbitrary<bool>();
  a.output = p.output.data();
  a.output_stride = floats;
  return p;
}

std::vector<float> copy_of(const AlignedBuffer<float>& buffer) {
  return {buffer.data(), buffer.data() + buffer.size()};
}

class DenseConv : public ::testing::TestWithParam<Target> {};

TEST_P(DenseConv, AgreesWithTheReferenceAndWritesNothingElse) {
  const DenseConvKernel kernel = dense_conv_kernel(GetParam());
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    Problem p = random_problem(kernel.panel_rows);
    const int64_t panel_begin = pick(0, p.panels - 1);
    const int64_t panel_end = pick(panel_begin, p.panels);
    const int64_t block_begin = pick(0, p.blocks - 1);
    const int64_t block_end = pick(block_begin, p.blocks);
    const std::vector<float> before = copy_of(p.output);
    dense_conv_reference(p.arguments, panel_begin, panel_end, block_begin, block_end);
    const std::vector<float> expected = copy_of(p.output);
    std::copy(before.begin(), before.end(), p.output.data());
    kernel.run(p.arguments, panel_begin, panel_end, block_begin, block_end);
    RC_ASSERT(nearly_equal(expected, copy_of(p.output)));
  }));
}

TEST_P(DenseConv, BitsDoNotDependOnHowTheWorkIsCut) {
  const DenseConvKernel kernel = dense_conv_kernel(GetParam());
  EXPECT_TRUE(rc::check("any cut gives the same bits", [&] {
    Problem p = random_problem(kernel.panel_rows);
    const std::vector<float> before = copy_of(p.output);
    kernel.run(p.arguments, 0, p.panels, 0, p.blocks);
    const std::vector<float> whole = copy_of(p.output);
    std::copy(before.begin(), before.end(), p.output.data());
    const int64_t tile = pick(1, p.blocks);
    const int64_t cut = pick(0, p.arguments.taps);  // in two slices of taps
    for (int64_t panel = 0; panel < p.panels; ++panel) {
      for (int64_t block = 0; block < p.blocks; block += tile) {
        DenseConvArguments first = p.arguments;
        first.taps = cut;
        first.last_slice = false;
        DenseConvArguments second = p.arguments;
        second.first_slice = false;
        second.offsets += cut;
        second.weights += cut * kernel.panel_rows;
        second.taps -= cut;
        for (const DenseConvArguments& slice : {first, second}) {
          kernel.run(slice, panel, panel + 1, block, std::min(block + tile, p.blocks));
        }
      }
    }
    RC_ASSERT(whole == copy_of(p.output));
  }));
}

TEST_P(DenseConv, MaskedPixelsAreZeroWhateverLiesThere) {
  const DenseConvKernel kernel = dense_conv_kernel(GetParam());
  auto input = AlignedBuffer<float>::create(kPixelBlock, "input").value();
  std::fill_n(input.data(), kPixelBlock, std::nanf(""));
  auto output = AlignedBuffer<float>::create(kPixelBlock, "output").value();
  std::fill_n(output.data(), kPixelBlock, 5.0F);
  const auto mask = AlignedBuffer<uint32_t>::create(kPixelBlock, "mask").value();
  const std::vector<float> weights(static_cast<size_t>(kernel.panel_rows), 1.0F);
  const int32_t offset = 0;
  const float one = 1;
  DenseConvArguments arguments;
  arguments.input = input.data();
  arguments.offsets = &offset;
  arguments.taps = 1;
  arguments.weights = weights.data();
  arguments.panel_rows = arguments.panel_stride = kernel.panel_rows;
  arguments.rows = 1;
  arguments.scale = arguments.shift = &one;
  arguments.output = output.data();
  arguments.mask = mask.data();
  kernel.run(arguments, 0, 1, 0, 1);
  EXPECT_EQ(copy_of(output), std::vector<float>(kPixelBlock, 0.0F));
}

INSTANTIATE_TEST_SUITE_P(Targets, DenseConv, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
