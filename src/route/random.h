// The random numbers of the simulator: SplitMix64 and the distributions that it draws. The same
// seed gives the same numbers on one platform; log() and exp() may differ in the last bit between
// two.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace strata::route {

/// SplitMix64 (Steele, Lea and Flood 2014). Streams with different purposes are independent.
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t purpose = 0)
      : state_(mix(seed + kGolden) ^ mix(purpose * kGolden + 1)) {}

  uint64_t bits() { return mix(state_ += kGolden); }
  /// In (0, 1]: never zero, so that its logarithm is finite.
  double uniform() { return (static_cast<double>(bits() >> 11) + 1) * 0x1p-53; }
  /// 0..bound-1, bound >= 1.
  uint64_t below(uint64_t bound) {
    const auto drawn = static_cast<uint64_t>((uniform() - 0x1p-53) * static_cast<double>(bound));
    return drawn < bound ? drawn : bound - 1;
  }
  double exponential(double mean) { return -mean * std::log(uniform()); }
  /// Standard normal by Box and Muller 1958.
  double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }

 private:
  static constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
  static uint64_t mix(uint64_t state) {
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
    state = (state ^ (state >> 27)) * 0x94d049bb133111eb;
    return state ^ (state >> 31);
  }
  uint64_t state_;
};

}  // namespace strata::route
