// See ../rapidcheck.h: properties as tests of GoogleTest.
#pragma once

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace rc::detail {

template <typename Result, typename... Arguments>
bool check_function(const std::string& name, Result (*property)(Arguments...)) {
  return check(name, [property] { return property(*gen::arbitrary<Arguments>()...); });
}

}  // namespace rc::detail

#define RC_GTEST_PROP(SUITE, NAME, ARGUMENTS)                                                \
  static void property_##SUITE##_##NAME ARGUMENTS;                                           \
  TEST(SUITE, NAME) {                                                                        \
    EXPECT_TRUE(::rc::detail::check_function(#SUITE "." #NAME, &property_##SUITE##_##NAME)); \
  }                                                                                          \
  static void property_##SUITE##_##NAME ARGUMENTS
