// f16 as bits: rounding to the nearest, and that rounding again changes nothing.
#include "core/half.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace strata {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Half, EveryHalfIsItself) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float value = from_half(static_cast<uint16_t>(half));
    if (std::isnan(value)) continue;
    ASSERT_EQ(to_half(value), half);
  }
}

TEST(Half, RoundsToNearestWithTiesToEven) {
  for (uint16_t half = 0; half < 0x7C00; ++half) {
    const auto next = static_cast<uint16_t>(half + 1);
    const float low = from_half(half);
    const float high = next == 0x7C00 ? 65536.0F : from_half(next);
    const float middle = (low + high) / 2;  // exact
    ASSERT_EQ(to_half(middle), half % 2 == 0 ? half : next);
    ASSERT_EQ(to_half(std::nextafter(middle, 0.0F)), half);
    ASSERT_EQ(to_half(std::nextafter(middle, kInfinity)), next);
    ASSERT_EQ(to_half(-middle), to_half(middle) | 0x8000);
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(from_half(0x3C00), 1.0F);
  EXPECT_EQ(from_half(0xC000), -2.0F);
  EXPECT_EQ(from_half(0x7BFF), 65504.0F);
  EXPECT_EQ(from_half(0x0001), 0x1p-24F);
  EXPECT_EQ(from_half(0x7C00), kInfinity);
  EXPECT_EQ(to_half(1e-10F), 0);
  EXPECT_EQ(to_half(std::numeric_limits<float>::max()), 0x7C00);
}

TEST(Half, TellsWhatItHasExactly) {
  for (const float value : {0.0F, 1.0F, -0.5F, 65504.0F, 0x1p-24F, 0x1.8p-14F}) {
    EXPECT_TRUE(is_half(value)) << value;
  }
  for (const float value : {0.1F, 1.0F + 0x1p-11F, 65520.0F, -1e30F, 0x1p-25F, 0x1.8p-24F}) {
    EXPECT_FALSE(is_half(value)) << value;
  }
}

}  // namespace
}  // namespace strata
