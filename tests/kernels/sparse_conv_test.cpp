// On every target of this CPU the tap kernel agrees with the scalar reference, over any number of
// rows, slices, increments, taps, shifts and blocks, with and without bundles, overhang, residual,
// ReLU and mask.
#include "kernels/sparse_conv/sparse_conv.h"

#include <algorithm>
#include <numeric>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/aligned_buffer.h"
#include "kernels/plane_layout.h"
#include "random_data.h"

namespace strata::kernels {
namespace {

AlignedBuffer<float> aligned_copy(const std::vector<float>& values) {
  auto buffer = AlignedBuffer<float>::create(values.size(), "test data").value();
  std::copy(values.begin(), values.end(), buffer.data());
  return buffer;
}

struct Problem {
  int64_t rows = 0;
  int64_t blocks = 0;  ///< of the output
  struct Bounds {
    std::vector<uint32_t> begin, end;  ///< [run], with taps of higher levels in between
  };
  AlignedBuffer<float> weights;
  std::vector<uint16_t> tap_blocks;
  std::vector<Bounds> bounds;  ///< [list]
  std::vector<uint32_t> row_order;
  std::vector<int32_t> shifts;
  std::vector<float> scale, shift;
  AlignedBuffer<float> input, residual, output;
  AlignedBuffer<uint32_t> mask;
  SparseConvArguments arguments;

  [[nodiscard]] int64_t row_at(int64_t place) const {
    return row_order.empty() ? place : row_order[static_cast<size_t>(place)];
  }
  /// All outputs whose values are defined after computing the places [begin, end) of the blocks
  /// [block_begin, block_end).
  [[nodiscard]] std::vector<float> defined(int64_t begin, int64_t end, int64_t block_begin,
                                           int64_t block_end) const {
    std::vector<float> values;
    const int64_t lost = arguments.overhang ? 0 : std::max(0, shifts.back());
    for (int64_t place = begin; place < end; ++place) {
      const int64_t row = row_at(place);
      for (int64_t p = block_begin * kPixelBlock; p < block_end * kPixelBlock - lost; ++p) {
        values.push_back(output[static_cast<size_t>(row * arguments.output_stride + p)]);
      }
    }
    return values;
  }
};

/// Most output blocks of a tile of the problem.
int64_t most_blocks(const SparseConvKernel& kernel, const Problem& p) {
  const bool bundled = p.arguments.taps.bundle > 1;
  return (bundled ? kernel.tiles.bundled : kernel.tiles.most) - (p.arguments.overhang ? 1 : 0);
}

Problem random_problem(const SparseConvKernel& kernel) {
  Problem p;
  SparseConvArguments& a = p.arguments;
  const bool bundled = kernel.tiles.bundled > 0 && *rc::gen::arbitrary<bool>();
  a.taps.bundle = bundled ? kBundleRows : 1;
  p.rows = pick(1, bundled ? 4 : 9) * a.taps.bundle;
  p.blocks = pick(1, 20);
  const int64_t input_blocks = pick(1, 12);  // that a tap can be off
  const auto seed = static_cast<uint32_t>(pick(0, 1000));
  std::mt19937 random(seed);
  a.overhang =
      (bundled ? kernel.tiles.bundled : kernel.tiles.most) > 1 && *rc::gen::arbitrary<bool>();
  const auto first = static_cast<int32_t>(a.overhang ? 0 : pick(-15, 15));
  for (int32_t s = first; s <= std::min(first + 15, 15); ++s) {
    if (random() % 4 == 0) p.shifts.push_back(s);
  }
  if (p.shifts.empty()) p.shifts.push_back(first);
  const auto shift_count = static_cast<int64_t>(p.shifts.size());
  a.run_multiple = bundled ? 1 : *rc::gen::element<int64_t>(1, kRunMultiple);
  if (bundled && *rc::gen::arbitrary<bool>()) {
    p.row_order.resize(static_cast<size_t>(p.rows));
    std::iota(p.row_order.begin(), p.row_order.end(), 0U);
    std::shuffle(p.row_order.begin(), p.row_order.end(), random);
  }
  p.bounds.resize(static_cast<size_t>(pick(1, kMostTapLists)));
  std::vector<float> weights;
  for (Problem::Bounds& list : p.bounds) {
    const auto step = [&] {
      return static_cast<uint32_t>(p.tap_blocks.size()) / static_cast<uint32_t>(a.taps.bundle);
    };
    for (int64_t run = 0; run < p.rows / a.taps.bundle * shift_count; ++run) {
      list.begin.push_back(step());
      for (const bool runs : {true, false}) {  // then what only a higher level runs
        const int64_t count = random() % 3 == 0 ? 0 : static_cast<int64_t>(random() % 9);
        for (int64_t i = 0; i < round_up(count, a.run_multiple) * a.taps.bundle; ++i) {
          weights.push_back(i < count * a.taps.bundle
                                ? std::uniform_real_distribution<float>(-1, 1)(random)
                                : 0.0F);
          p.tap_blocks.push_back(
              static_cast<uint16_t>(random() % static_cast<uint32_t>(input_blocks)));
        }
        if (runs) list.end.push_back(step());
      }
    }
  }
  p.weights = aligned_copy(weights);
  const int64_t floats = p.blocks * kPixelBlock;
  p.input = aligned_copy(random_floats((p.blocks + input_blocks + 2) * kPixelBlock, seed + 1));
  p.scale = random_floats(p.rows, seed + 2);
  p.shift = random_floats(p.rows, seed + 3);
  p.residual = aligned_copy(random_floats(p.rows * floats, seed + 4));
  p.output = aligned_copy(random_floats(p.rows * floats, seed + 5));
  p.mask = AlignedBuffer<uint32_t>::create(static_cast<size_t>(floats), "mask").value();
  for (size_t i = 0; i < p.mask.size(); ++i) p.mask[i] = random() % 4 ? ~0U : 0U;
  a.input = p.input.data() + kPixelBlock;  // a negative shift reads before
  a.taps.weights = p.weights.data();
  a.taps.blocks = p.tap_blocks.data();
  a.taps.count = static_cast<int64_t>(p.bounds.size());
  if (!p.row_order.empty()) a.taps.rows = p.row_order.data();
  for (size_t i = 0; i < p.bounds.size(); ++i) {
    a.taps.lists[i] = {p.bounds[i].begin.data(), p.bounds[i].end.data()};
  }
  a.shifts = p.shifts.data();
  a.shift_count = shift_count;
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

class SparseConv : public ::testing::TestWithParam<Target> {};

TEST_P(SparseConv, AgreesWithTheReference) {
  const SparseConvKernel kernel = sparse_conv_kernel(GetParam());
  EXPECT_GE(kernel.tiles.most, 2);
  EXPECT_TRUE(rc::check("SIMD agrees with the reference", [&] {
    Problem p = random_problem(kernel);
    const int64_t bundle = p.arguments.taps.bundle;
    const int64_t begin = pick(0, p.rows / bundle - 1) * bundle;
    const int64_t end = pick(begin / bundle, p.rows / bundle) * bundle;
    const int64_t most = most_blocks(kernel, p);
    const int64_t block_begin = pick(0, p.blocks - 1);
    const int64_t block_end = std::min(p.blocks, block_begin + pick(1, most));
    const std::vector<float> before(p.output.data(), p.output.data() + p.output.size());
    sparse_conv_reference(p.arguments, begin, end, block_begin, block_end);
    const auto expected = p.defined(begin, end, block_begin, block_end);
    std::copy(before.begin(), before.end(), p.output.data());
    kernel.run(p.arguments, begin, end, block_begin, block_end);
    RC_ASSERT(nearly_equal(expected, p.defined(begin, end, block_begin, block_end)));
    // Nothing else is written.
    for (int64_t place = 0; place < p.rows; ++place) {
      for (int64_t i = 0; i < p.blocks * kPixelBlock; ++i) {
        const bool computed = place >= begin && place < end && i >= block_begin * kPixelBlock &&
                              i < block_end * kPixelBlock;
        const auto at = static_cast<size_t>(p.row_at(place) * p.arguments.output_stride + i);
        RC_ASSERT(computed || p.output[at] == before[at]);
      }
    }
  }));
}

TEST_P(SparseConv, BitsDoNotDependOnHowTheWorkIsCut) {
  const SparseConvKernel kernel = sparse_conv_kernel(GetParam());
  EXPECT_TRUE(rc::check("any cut gives the same bits", [&] {
    Problem p = random_problem(kernel);
    // Longer runs are for tiles of few vectors, which add up in another order.
    const bool movable = p.arguments.run_multiple == 1 &&
                         (p.arguments.overhang || p.shifts == std::vector<int32_t>{0});
    const int64_t bundle = p.arguments.taps.bundle;
    const int64_t blocks = std::min(p.blocks, most_blocks(kernel, p));
    const std::vector<float> before(p.output.data(), p.output.data() + p.output.size());
    kernel.run(p.arguments, 0, p.rows, 0, blocks);
    const auto whole = p.defined(0, p.rows, 0, blocks);
    std::copy(before.begin(), before.end(), p.output.data());
    const int64_t tile = movable ? pick(1, blocks) : blocks;
    for (int64_t place = 0; place < p.rows; place += bundle) {
      for (int64_t block = 0; block < blocks; block += tile) {
        kernel.run(p.arguments, place, place + bundle, block, std::min(block + tile, blocks));
      }
    }
    RC_ASSERT(whole == p.defined(0, p.rows, 0, blocks));
  }));
}

TEST_P(SparseConv, MaskedPixelsAreZeroWhateverLiesThere) {
  const SparseConvKernel kernel = sparse_conv_kernel(GetParam());
  const auto input = aligned_copy(std::vector<float>(kPixelBlock, std::nanf("")));
  const auto mask = AlignedBuffer<uint32_t>::create(kPixelBlock, "mask").value();
  auto output = aligned_copy(std::vector<float>(kPixelBlock, 5.0F));
  const float one = 1;
  const uint16_t block = 0;
  const uint32_t begin = 0;
  const uint32_t end = 1;
  const int32_t no_shift = 0;
  SparseConvArguments arguments;
  arguments.input = input.data();
  arguments.taps.weights = &one;
  arguments.taps.blocks = &block;
  arguments.taps.lists[0] = {&begin, &end};
  arguments.shifts = &no_shift;
  arguments.scale = arguments.shift = &one;
  arguments.output = output.data();
  arguments.mask = mask.data();
  kernel.run(arguments, 0, 1, 0, 1);
  EXPECT_EQ(std::vector<float>(output.data(), output.data() + kPixelBlock),
            std::vector<float>(kPixelBlock, 0.0F));
}

INSTANTIATE_TEST_SUITE_P(Targets, SparseConv, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
