// The monotonic clock that durations are measured with, and the place where tests put another one.
#pragma once

#include <chrono>
#include <cstdint>

namespace strata {

/// Nanoseconds since an arbitrary start; never goes back. The reading of std::chrono::steady_clock.
/// No system call on Linux (vDSO).
inline int64_t monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// What a session reads the time from: monotonic_ns() unless a test wants to be the one who says
/// what time it is. A value of two words; a reading costs one indirect call more.
struct Clock {
  int64_t (*read)(void* context) = [](void* /*context*/) { return monotonic_ns(); };
  void* context = nullptr;  ///< handed to `read`

  [[nodiscard]] int64_t now_ns() const { return read(context); }
};

}  // namespace strata
