// The part of rapidcheck that the tests use, for platforms that Debian has no rapidcheck for: the
// same properties of values drawn from a fixed seed, without making a failure smaller. Where
// rapidcheck exists, this folder is not searched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace rc {
namespace detail {

inline constexpr int kCases = 100;  // as many as rapidcheck

struct Failure {
  std::string what;
};
/// Thrown by RC_PRE: the case says nothing about the property.
struct Discarded {};

inline std::mt19937_64& random() {
  static std::mt19937_64 generator;
  return generator;
}

}  // namespace detail

template <typename T>
class Gen {
 public:
  explicit Gen(std::function<T()> draw) : draw_(std::move(draw)) {}
  T operator*() const { return draw_(); }

 private:
  std::function<T()> draw_;
};

namespace gen {

/// Of least, ..., end - 1.
template <typename T>
Gen<T> inRange(T least, T end) {
  return Gen<T>([=] {
    const auto count = static_cast<uint64_t>(end) - static_cast<uint64_t>(least);
    return static_cast<T>(static_cast<uint64_t>(least) + detail::random()() % count);
  });
}

/// Of `size` values; without one, of 0, ..., 100 as rapidcheck.
template <typename Container, typename T>
Gen<Container> container(size_t size, Gen<T> values) {
  return Gen<Container>([=] {
    Container result;
    for (size_t i = 0; i < size; ++i) result.push_back(*values);
    return result;
  });
}
template <typename Container, typename T>
Gen<Container> container(Gen<T> values) {
  return Gen<Container>([=] { return *container<Container>(*inRange<size_t>(0, 101), values); });
}

/// Any integer, small ones more often than their share, or a string or vector of them.
template <typename T>
Gen<T> arbitrary() {
  if constexpr (std::is_same_v<T, bool>) {
    return Gen<T>([] { return detail::random()() % 2 == 0; });
  } else if constexpr (std::is_integral_v<T>) {
    return Gen<T>([] {
      return static_cast<T>(static_cast<T>(detail::random()()) >>
                            detail::random()() % std::numeric_limits<T>::digits);
    });
  } else {
    return container<T>(arbitrary<typename T::value_type>());
  }
}

template <typename Container>
Gen<typename Container::value_type> elementOf(Container values) {
  return Gen<typename Container::value_type>([values = std::move(values)] {
    return values[static_cast<size_t>(detail::random()() % values.size())];
  });
}

template <typename T, typename... Ts>
Gen<T> element(T first, Ts... others) {
  return elementOf(std::vector<T>{std::move(first), static_cast<T>(std::move(others))...});
}

}  // namespace gen

/// True if the property holds for all cases; says on std::cerr which one it does not hold for.
template <typename Property>
bool check(const std::string& name, const Property& property) {
  detail::random().seed(1);
  int passed = 0;
  for (int tried = 0; passed < detail::kCases; ++tried) {
    if (tried == 10 * detail::kCases) {
      std::cerr << name << ": too few cases meet the preconditions\n";
      return false;
    }
    try {
      if constexpr (std::is_same_v<std::invoke_result_t<Property>, bool>) {
        if (!property()) throw detail::Failure{"it returned false"};
      } else {
        property();
      }
      ++passed;
    } catch (const detail::Discarded&) {
      continue;
    } catch (const detail::Failure& failure) {
      std::cerr << name << ", case " << tried << ": " << failure.what << "\n";
      return false;
    }
  }
  return true;
}

}  // namespace rc

#define RC_FAIL(MESSAGE)                           \
  do {                                             \
    std::ostringstream rc_message;                 \
    rc_message << MESSAGE;                         \
    throw ::rc::detail::Failure{rc_message.str()}; \
  } while (false)
#define RC_ASSERT(CONDITION)                                                      \
  do {                                                                            \
    if (!(CONDITION)) RC_FAIL(__FILE__ << ":" << __LINE__ << ": " << #CONDITION); \
  } while (false)
#define RC_PRE(CONDITION)                              \
  do {                                                 \
    if (!(CONDITION)) throw ::rc::detail::Discarded{}; \
  } while (false)
