// std::bit_cast: the standard library of Debian's emscripten does not have it yet.
#pragma once

#include <type_traits>

namespace strata {

/// The value of another type of the same size that consists of the same bits.
template <typename To, typename From>
constexpr To bit_cast(const From& from) noexcept {
  static_assert(sizeof(To) == sizeof(From));
  static_assert(std::is_trivially_copyable_v<To> && std::is_trivially_copyable_v<From>);
  return __builtin_bit_cast(To, from);
}

}  // namespace strata
