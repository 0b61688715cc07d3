// Prefetching by index.
#pragma once

#include <cstdint>

#include "hwy/cache_control.h"

namespace strata::kernels {

/// Of what may lie after the end of an array.
template <typename T>
inline void prefetch(const T* first, int64_t index) {
  const auto offset = static_cast<uintptr_t>(index) * sizeof(T);
  hwy::Prefetch(reinterpret_cast<const T*>(reinterpret_cast<uintptr_t>(first) + offset));
}

}  // namespace strata::kernels
