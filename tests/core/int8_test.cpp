// Codes of 8 bits: rounding to the nearest, and scales that lose nothing.
#include "core/int8.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace strata {
namespace {

TEST(Int8, RoundsToTheNearestCodeTiesToEven) {
  EXPECT_EQ(encode_int8(0.74F, 0.5F), 1);
  EXPECT_EQ(encode_int8(0.76F, 0.5F), 2);
  EXPECT_EQ(encode_int8(0.75F, 0.5F), 2);
  EXPECT_EQ(encode_int8(-1.25F, 0.5F), -2);
  EXPECT_EQ(encode_int8(1000, 0.5F), 127);
  EXPECT_EQ(encode_int8(-1000, 0.5F), -127);
}

TEST(Int8, AnExactScaleGivesEveryValueBack) {
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 200; ++repeat) {
    const float scale = static_cast<float>(1 + random() % (1U << 17)) * 0x1p-20F;
    std::vector<float> values;
    const uint32_t count = 1 + random() % 20;
    for (uint32_t i = 0; i < count; ++i) {
      values.push_back(
          decode_int8(static_cast<int8_t>(static_cast<int>(random() % 255) - 127), scale));
    }
    const std::optional<float> found = exact_int8_scale(values);
    ASSERT_TRUE(found);
    EXPECT_LE(*found, scale);
    for (const float value : values) {
      const bool zero = *found == 0;
      EXPECT_EQ(zero ? 0 : decode_int8(encode_int8(value, *found), *found), value);
    }
  }
}

TEST(Int8, ValuesOffEveryGridHaveNoExactScale) {
  EXPECT_FALSE(exact_int8_scale(std::vector<float>{1, 0.7071067F, 0.3183098F}));
  EXPECT_EQ(exact_int8_scale(std::vector<float>{0, 0}), 0.0F);
  EXPECT_EQ(exact_int8_scale({}), 0.0F);
}

}  // namespace
}  // namespace strata
