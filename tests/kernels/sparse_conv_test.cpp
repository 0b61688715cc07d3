// On every target of this CPU the tap kernel agrees with the scalar reference, over any number of
// rows, increments, taps and blocks, with and without residual, ReLU and mask.
#include "kernels/sparse_conv/sparse_conv.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kernels/plane_layout.h"
#include "random_data.h"

namespace strata::kernels {
namespace {

struct Problem {
  int64_t rows = 0;
  int64_t blocks = 0;
  std::vector<std::vector<Tap>> taps;
  std::vector<std::vector<uint32_t>> row_begin;
  std::vector<TapIncrement> increments;
  std::vector<float> input, scale, shift, residual;
  std::vector<uint32_t> mask;
  SparseConvArguments arguments;
};

Problem random_problem() {
  Problem p;
  p.rows = pick(1, 9);
  p.blocks = pick(1, 33);
  const int64_t planes = pick(1, 6);
  const int64_t margin = 40;
  const int64_t stride = p.blocks * kPixelBlock + pick(0, 24);
  const auto seed = static_cast<uint32_t>(pick(0, 1000));
  std::mt19937 random(seed);
  p.input = random_floats(planes * stride + 2 * margin, seed + 1);
  const auto levels = static_cast<size_t>(pick(1, 3));
  for (size_t level = 0; level < levels; ++level) {
    auto& taps = p.taps.emplace_back();
    auto& row_begin = p.row_begin.emplace_back(1, 0U);
    for (int64_t row = 0; row < p.rows; ++row) {
      for (int64_t count = pick(0, 12); count > 0; --count) {
        const auto plane = static_cast<int64_t>(random() % static_cast<uint32_t>(planes));
        const int64_t shift = static_cast<int64_t>(random() % (2 * margin + 1)) - margin;
        taps.push_back({std::uniform_real_distribution<float>(-1, 1)(random),
                        static_cast<int32_t>((plane * stride + shift) * 4)});
      }
      row_begin.push_back(static_cast<uint32_t>(taps.size()));
    }
  }
  for (size_t level = 0; level < levels; ++level) {
    p.increments.push_back({p.taps[level].data(), p.row_begin[level].data()});
  }
  p.scale = random_floats(p.rows, seed + 2);
  p.shift = random_floats(p.rows, seed + 3);
  p.residual = random_floats(p.rows * stride, seed + 4);
  for (int64_t i = 0; i < p.blocks * kPixelBlock; ++i) p.mask.push_back(random() % 4 ? ~0U : 0U);
  SparseConvArguments& a = p.arguments;
  a.input = p.input.data() + margin;
  a.increments = p.increments.data();
  a.increment_count = pick(1, static_cast<int64_t>(levels));
  a.scale = p.scale.data();
  a.shift = p.shift.data();
  if (*rc::gen::arbitrary<bool>()) {
    a.residual = p.residual.data();
    a.residual_stride = stride;
  }
  if (*rc::gen::arbitrary<bool>()) a.mask = p.mask.data();
  a.relu = *rc::gen::arbitrary<bool>();
  a.output_stride = p.blocks * kPixelBlock;
  return p;
}

class SparseConv : public ::testing::TestWithParam<Target> {};

TEST_P(SparseConv, AgreesWithTheReference) {
  const SparseConvKernel kernel = sparse_conv_kernel(GetParam());
  EXPECT_GE(kernel.tile_blocks, 1);
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    Problem p = random_problem();
    const auto size = static_cast<size_t>(p.rows * p.arguments.output_stride);
    std::vector<float> expected(size, -7.0F);
    std::vector<float> actual(size, -7.0F);
    const int64_t row_begin = pick(0, p.rows - 1);
    const int64_t row_end = pick(row_begin, p.rows);
    const int64_t block_begin = pick(0, p.blocks - 1);
    const int64_t block_end = pick(block_begin, p.blocks);
    p.arguments.output = expected.data();
    sparse_conv_reference(p.arguments, row_begin, row_end, block_begin, block_end);
    p.arguments.output = actual.data();
    kernel.run(p.arguments, row_begin, row_end, block_begin, block_end);
    RC_ASSERT(nearly_equal(expected, actual));
  }));
}

TEST_P(SparseConv, BitsDoNotDependOnHowTheWorkIsCut) {
  const SparseConvKernel kernel = sparse_conv_kernel(GetParam());
  EXPECT_TRUE(rc::check("any cut gives the same bits", [&] {
    Problem p = random_problem();
    const auto size = static_cast<size_t>(p.rows * p.arguments.output_stride);
    std::vector<float> whole(size);
    std::vector<float> cut(size);
    p.arguments.output = whole.data();
    kernel.run(p.arguments, 0, p.rows, 0, p.blocks);
    p.arguments.output = cut.data();
    const int64_t tile = pick(1, p.blocks);
    for (int64_t row = 0; row < p.rows; ++row) {
      for (int64_t block = 0; block < p.blocks; block += tile) {
        kernel.run(p.arguments, row, row + 1, block, std::min(block + tile, p.blocks));
      }
    }
    RC_ASSERT(whole == cut);
  }));
}

TEST_P(SparseConv, MaskedPixelsAreZeroWhateverLiesThere) {
  const SparseConvKernel kernel = sparse_conv_kernel(GetParam());
  std::vector<float> input(kPixelBlock, std::nanf(""));
  const std::vector<uint32_t> mask(kPixelBlock, 0);
  const std::vector<Tap> taps = {{1.0F, 0}};
  const std::vector<uint32_t> row_begin = {0, 1};
  const TapIncrement increment{taps.data(), row_begin.data()};
  const float one = 1;
  std::vector<float> output(kPixelBlock, 5.0F);
  SparseConvArguments arguments;
  arguments.input = input.data();
  arguments.increments = &increment;
  arguments.increment_count = 1;
  arguments.scale = arguments.shift = &one;
  arguments.output = output.data();
  arguments.mask = mask.data();
  kernel.run(arguments, 0, 1, 0, 1);
  EXPECT_EQ(output, std::vector<float>(kPixelBlock, 0.0F));
}

INSTANTIATE_TEST_SUITE_P(Targets, SparseConv, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
