// Narrow values: rounding to the nearest, and that rounding again changes nothing.
#include "format/value_coding.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "core/int8.h"

namespace strata::format {
namespace {

constexpr graph::OutputChannels kRows = {4, 50};     ///< of a random tensor
constexpr graph::OutputChannels kColumns = {50, 1};  ///< of its transpose

sparse::NestedTensor random_tensor(std::mt19937_64& random, double magnitude) {
  sparse::NestedTensor tensor;
  tensor.shape = {4, 50};
  tensor.increments.resize(2);
  std::normal_distribution<double> normal(0, magnitude);
  for (uint32_t i = 0; i < 200; ++i) {
    const auto value = static_cast<float>(normal(random));
    if (value == 0 || !std::isfinite(value)) continue;
    tensor.increments[random() % 2].positions.push_back(i);
    tensor.increments
        .at(tensor.increments[0].positions.empty() || tensor.increments[0].positions.back() != i
                ? 1
                : 0)
        .values.push_back(value);
  }
  return tensor;
}

sparse::NestedTensor decode(const sparse::NestedTensor& tensor,
                            const graph::OutputChannels& channels, const CodedTensor& coded) {
  sparse::NestedTensor back;
  back.shape = tensor.shape;
  for (size_t level = 0; level < coded.places.size(); ++level) {
    auto values = decode_values(coded.values[level], ValueType::kInt8, coded.places[level],
                                channels, coded.scales);
    EXPECT_TRUE(values);
    back.increments.push_back({coded.places[level], *values});
  }
  return back;
}

TEST(Int8, IsWithinHalfAStepAndStableAtEveryMagnitude) {
  std::mt19937_64 random(11);
  for (const double magnitude : {1e-44, 1e-42, 1e-40, 2e-38, 1e-36, 1e-3, 1.0, 1e30, 1e38}) {
    for (int repeat = 0; repeat < 100; ++repeat) {
      const auto tensor = random_tensor(random, magnitude);
      const graph::OutputChannels channels = repeat % 2 == 0 ? kRows : kColumns;
      const CodedTensor coded = encode_values(tensor, channels, ValueType::kInt8, "w").value();
      const auto back = decode(tensor, channels, coded);
      const CodedTensor again = encode_values(back, channels, ValueType::kInt8, "w").value();
      ASSERT_EQ(again.scales, coded.scales);
      ASSERT_EQ(again.values, coded.values);
      ASSERT_EQ(again.places, coded.places);
      if (magnitude < 1e-37) continue;  // steps of sub-normal scales are coarse
      const std::vector<float> before = sparse::densify(tensor, 1);
      const std::vector<float> after = sparse::densify(back, 1);
      for (size_t i = 0; i < before.size(); ++i) {
        const double step = coded.scales[channels.of(static_cast<uint32_t>(i))];
        ASSERT_LE(std::fabs(static_cast<double>(before[i]) - static_cast<double>(after[i])),
                  step * 0.505);
      }
    }
  }
}

/// Weights that are kept, or all of them: clipping the largest costs more than a finer step gains.
TEST(Int8, NoSmallerScaleHasASmallerError) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (const size_t count : {16, 64, 256, 1024}) {
    for (const float least : {0.0F, 1.5F}) {
      sparse::NestedTensor tensor;
      tensor.shape = {static_cast<int64_t>(count)};
      sparse::Increment& increment = tensor.increments.emplace_back();
      for (uint32_t i = 0; i < count; ++i) {
        float value = 0;
        while (value == 0 || std::fabs(value) < least) value = normal(random);
        increment.positions.push_back(i);
        increment.values.push_back(value);
      }
      const auto scale =
          encode_values(tensor, {1, static_cast<int64_t>(count)}, ValueType::kInt8, "w")
              .value()
              .scales[0];
      const auto error = [&](float candidate) {
        double sum = 0;
        for (const float value : increment.values) {
          sum += std::pow(
              double{value} - double{decode_int8(encode_int8(value, candidate), candidate)}, 2);
        }
        return sum;
      };
      for (const float factor : {0.98F, 0.95F, 0.9F, 0.85F, 0.8F, 0.7F}) {
        EXPECT_LT(error(scale), error(factor * scale)) << count << " values, times " << factor;
      }
    }
  }
}

constexpr graph::OutputChannels kTwoRows = {2, 3};

TEST(Int8, ValuesOnAGridAreKeptExactly) {
  sparse::NestedTensor tensor;
  tensor.shape = {2, 3};
  tensor.increments = {{{0, 1, 2, 3}, {0.3F, -0.9F, 1.5F, 7.0F}}};
  const CodedTensor coded = encode_values(tensor, kTwoRows, ValueType::kInt8, "w").value();
  EXPECT_EQ(decode(tensor, kTwoRows, coded).increments[0].values[3], 7.0F);
  EXPECT_EQ(coded.values[0].size(), 4U);
}

TEST(Int8, AChannelWithoutValuesHasNoScale) {
  sparse::NestedTensor tensor;
  tensor.shape = {2, 3};
  tensor.increments = {{{4}, {2.0F}}};
  const CodedTensor coded = encode_values(tensor, kTwoRows, ValueType::kInt8, "w").value();
  EXPECT_EQ(coded.scales[0], 0);
  EXPECT_GT(coded.scales[1], 0);
}

}  // namespace
}  // namespace strata::format
