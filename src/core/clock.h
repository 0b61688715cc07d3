// The monotonic clock that durations are measured with.
#pragma once

#include <chrono>
#include <cstdint>

namespace strata {

/// Nanoseconds since an arbitrary start; never goes back. No system call on Linux (vDSO).
inline int64_t monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace strata
