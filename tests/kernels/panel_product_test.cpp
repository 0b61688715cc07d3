// Packing into panels loses nothing but the last bits of weights, and on every target of this CPU
// products with panels are those of the matrix.
#include "kernels/sparse_gemm/panel_product.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/bit_cast.h"
#include "random_data.h"

namespace strata::kernels {
namespace {

TEST(EncodeWeight, KeepsTheWeightWithinTwoToTheMinus18) {
  std::mt19937 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const auto weight = bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isnormal(weight)) continue;
    const auto place = static_cast<uint32_t>(random() % kWindowColumns);
    const uint32_t encoded = encode_weight(weight, place);
    ASSERT_EQ(encoded % kWindowColumns, place);
    const double kept = bit_cast<float>(encoded);
    const double most = std::fabs(weight) < 1e38F ? 0x1p-18 : 0x1p-17;
    ASSERT_LE(std::fabs(kept - weight), most * std::fabs(weight)) << weight;
  }
}

TEST(EncodeWeight, NeverMakesAnInfinity) {
  for (const float weight : {std::numeric_limits<float>::max(), -std::numeric_limits<float>::max(),
                             std::numeric_limits<float>::denorm_min(), -1e-45F}) {
    for (uint32_t place = 0; place < kWindowColumns; ++place) {
      const auto kept = bit_cast<float>(encode_weight(weight, place));
      EXPECT_TRUE(std::isfinite(kept));
      EXPECT_EQ(std::signbit(kept), std::signbit(weight));
    }
  }
}

/// Matrices whose rows are of very different density, in increments: some of f16 values, some of
/// codes of 8 bits times a scale of their row.
struct Matrices {
  PanelShape shape;
  uint32_t seed;
  std::vector<std::vector<uint32_t>> positions;  ///< [increment]
  std::vector<std::vector<float>> values;
  std::vector<std::vector<float>> dense;  ///< [level], row-major [rows, columns]

  Matrices(const PanelShape& wanted, size_t levels, uint32_t chosen) : shape(wanted), seed(chosen) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    const auto rows = static_cast<size_t>(shape.rows());
    const auto columns = static_cast<size_t>(shape.columns);
    std::vector<float> density(rows);
    std::vector<float> scale(rows);  // of few bits, so that codes times scale are exact
    for (float& step : scale) step = std::round(1 + 1000 * std::fabs(uniform(random))) * 0x1p-17F;
    for (float& share : density) share = std::fabs(uniform(random)) * std::fabs(uniform(random));
    positions.resize(levels);
    values.resize(levels);
    std::vector<float> sum(rows * columns);
    dense.assign(levels, sum);
    const size_t matrix_rows = rows / static_cast<size_t>(shape.matrices);
    for (size_t position = 0; position < rows * columns; ++position) {
      size_t row = position / columns;
      size_t column = position % columns;
      if (shape.by_input) {
        const size_t matrix = position / (matrix_rows * columns);
        const size_t within = position % (matrix_rows * columns);
        row = matrix * matrix_rows + within % matrix_rows;
        column = within / matrix_rows;
      }
      const size_t level = random() % levels;
      if (std::fabs(uniform(random)) > density[row]) continue;
      float value = uniform(random);
      if ((level + seed) % 3 == 1) value = std::round(value * 512) / 512;
      if ((level + seed) % 3 == 2) value = std::round(value * 127) * scale[row];
      if (value == 0) continue;
      positions[level].push_back(static_cast<uint32_t>(position));
      values[level].push_back(value);
      for (size_t k = level; k < levels; ++k) dense[k][row * columns + column] = value;
    }
  }
};

/// Whether weights made for 0: any value, 1: f16, 2: codes are stored no wider than that.
bool is_as_narrow(PanelCoding coding, size_t kind) {
  return kind == 0 || coding == PanelCoding::kInt8 || (kind == 1 && coding == PanelCoding::kHalf);
}

class PanelProducts : public ::testing::TestWithParam<Target> {};

TEST_P(PanelProducts, AreThoseOfTheMatrix) {
  EXPECT_TRUE(rc::check("products with panels", [&] {
    const Matrices matrices({.matrices = pick(1, 2),
                             .gates = *rc::gen::element<int64_t>(1, 3, 4),
                             .units = pick(1, 4) == 1 ? pick(200, 600) : pick(1, 90),
                             .columns = pick(1, 4) == 1 ? pick(100, 400) : pick(1, 90),
                             .by_input = *rc::gen::arbitrary<bool>()},
                            static_cast<size_t>(pick(1, 3)), static_cast<uint32_t>(pick(0, 1000)));
    const PanelShape& shape = matrices.shape;
    std::vector<PackedPanels> packed;
    std::vector<PanelIncrement> increments;
    for (size_t k = 0; k < matrices.positions.size(); ++k) {
      auto increment =
          PackedPanels::pack(shape, matrices.positions[k], matrices.values[k], "the test");
      RC_ASSERT(increment.ok());
      packed.push_back(std::move(increment).value());
      increments.push_back(packed.back().view());
    }
    for (size_t k = 0; k < increments.size(); ++k) {
      RC_ASSERT(is_as_narrow(increments[k].coding, (k + matrices.seed) % 3));
    }
    const int64_t level = pick(0, static_cast<int64_t>(increments.size()) - 1);
    const PanelWeights weights{increments.data(), level + 1, shape.groups_per_panel(),
                               shape.padded_columns()};
    const PanelProduct product(panel_kernel(GetParam()), shape);
    const int64_t count = *rc::gen::arbitrary<bool>() ? 1 : pick(1, 20);
    const auto vectors = random_floats(count * shape.columns, 9);
    auto input =
        AlignedBuffer<float>::create(static_cast<size_t>(product.input_floats(count)), "the test");
    RC_ASSERT(input.ok());
    for (int64_t i = 0; i < count; ++i) {
      product.load(weights, vectors.data() + i * shape.columns, 1, i, count, input->data());
    }
    const std::vector<float>& dense = matrices.dense[static_cast<size_t>(level)];
    alignas(kCacheLine) PanelSums sums;
    for (int64_t panel = 0; panel < shape.panels(); ++panel) {
      const PanelUnits units = units_of_panel(shape, panel);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t block = product.block(count);
        if (i % block == 0) {
          product.run(weights, panel, input->data(), count, i / block, sums.data());
        }
        for (int64_t g = 0; g < shape.gates; ++g) {
          for (int64_t u = units.begin; u < units.end; ++u) {
            const int64_t row = (units.matrix * shape.gates + g) * shape.units + u;
            double expected = 0;
            for (int64_t c = 0; c < shape.columns; ++c) {
              expected += double{dense[static_cast<size_t>(row * shape.columns + c)]} *
                          vectors[static_cast<size_t>(i * shape.columns + c)];
            }
            const int64_t place = g * shape.units_per_panel() + u - units.begin;
            const float actual = sums[static_cast<size_t>(i % block * kPanelRows + place)];
            RC_ASSERT(std::fabs(actual - expected) <= 1e-4);
          }
        }
      }
    }
  }));
}

/// Products of one row with one vector.
std::vector<float> product_with(Target target, const std::vector<float>& row,
                                const std::vector<float>& vector) {
  const auto columns = static_cast<int64_t>(row.size());
  const PanelShape shape{.columns = columns};
  std::vector<uint32_t> positions(row.size());
  std::iota(positions.begin(), positions.end(), 0U);
  const auto packed = PackedPanels::pack(shape, positions, row, "the test").value();
  const PanelIncrement increment = packed.view();
  EXPECT_EQ(increment.coding, PanelCoding::kInt8);
  const PanelWeights weights{&increment, 1, shape.groups_per_panel(), shape.padded_columns()};
  const PanelProduct product(panel_kernel(target), shape);
  auto input =
      AlignedBuffer<float>::create(static_cast<size_t>(product.input_floats(1)), "the test")
          .value();
  product.load(weights, vector.data(), 1, 0, 1, input.data());
  alignas(kCacheLine) PanelSums sums;
  product.run(weights, 0, input.data(), 1, 0, sums.data());
  return {sums.begin(), sums.begin() + kSlotRows};
}

/// Longer than sums of 32 bits can be.
TEST_P(PanelProducts, OfTheLargestCodesDoNotOverflow) {
  constexpr size_t kColumns = 3000;
  std::vector<float> row(kColumns, 127 * 0.5F);
  row[0] = 0.5F;  // or the scale would be another
  for (const float value : {0.999F, -1.0F, 1e30F, -1e-30F}) {
    const std::vector<float> sums =
        product_with(GetParam(), row, std::vector<float>(kColumns, value));
    const double expected = double{value} * (127 * 0.5 * (kColumns - 1) + 0.5);
    EXPECT_NEAR(sums[0], expected, 1e-4 * std::fabs(expected)) << value;
    for (size_t i = 1; i < sums.size(); ++i) EXPECT_EQ(sums[i], 0);
  }
}

TEST_P(PanelProducts, OfCodesSeeSmallInputsBesideALargeOne) {
  const std::vector<float> row = {127, -1, 2, 3};
  const std::vector<float> sums = product_with(GetParam(), row, {1, 1e-3F, 1e-4F, 1e-5F});
  EXPECT_NEAR(sums[0], 127 - 1e-3 + 2e-4 + 3e-5, 2e-5);
  EXPECT_EQ(product_with(GetParam(), row, {0, 0, 0, 0})[0], 0);
}

TEST_P(PanelProducts, OfCodesWithWhatIsNotFiniteAreNotFinite) {
  const std::vector<float> row = {127, -1, 2, 3};
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float value : {infinity, -infinity, std::nanf("")}) {
    EXPECT_FALSE(std::isfinite(product_with(GetParam(), row, {1, value, 1, 1})[0])) << value;
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, PanelProducts, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

TEST(PackedPanels, TakeLittleMoreThanFourBytesPerNonZeroThreeOrTwo) {
  std::mt19937 random(1);
  const PanelShape shape{.gates = 4, .units = 1024, .columns = 1024};
  std::vector<uint32_t> positions;
  for (uint32_t i = 0; i < 4096 * 1024; ++i) {
    if (random() % 10'000 < 1338) positions.push_back(i);
  }
  const auto bytes_per_nonzero = [&](auto value_of) {
    std::vector<float> values;
    for (const uint32_t position : positions) values.push_back(value_of(position));
    const auto packed = PackedPanels::pack(shape, positions, values, "the test");
    EXPECT_TRUE(packed.ok());
    return static_cast<double>(packed->bytes()) / static_cast<double>(positions.size());
  };
  const auto fraction = [](uint32_t position) { return static_cast<float>(1 + position % 1021); };
  EXPECT_LT(bytes_per_nonzero([&](uint32_t i) { return fraction(i) / 1021; }), 5.0);
  EXPECT_LT(bytes_per_nonzero([&](uint32_t i) { return fraction(i) / 1024; }), 3.8) << "f16";
  EXPECT_LT(bytes_per_nonzero([](uint32_t i) { return static_cast<float>(1 + i % 127); }), 2.6)
      << "codes";
}

TEST(PackedPanels, RefuseMoreColumnsThanWindowsReach) {
  const auto packed = PackedPanels::pack({.columns = int64_t{1} << 21}, {}, {}, "weights 'w'");
  EXPECT_EQ(packed.status().message(),
            "weights 'w' have 2097152 columns, too many for the runtime");
}

}  // namespace
}  // namespace strata::kernels
