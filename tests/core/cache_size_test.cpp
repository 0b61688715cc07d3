#include "core/cache_size.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

TEST(CacheSize, IsThatOfSomeCore) {
  EXPECT_GE(first_level_cache_bytes(), 32 << 10);
  EXPECT_LE(first_level_cache_bytes(), 64 << 10);
  EXPECT_GE(last_level_cache_bytes(), 32 << 10);
  EXPECT_LT(last_level_cache_bytes(), int64_t{4} << 30);
}

}  // namespace
}  // namespace strata
