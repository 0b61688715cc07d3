// A loop by the vector over any number of floats. Once per target: include after hwy/highway.h.
#if defined(STRATA_KERNELS_VECTOR_LOOP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRATA_KERNELS_VECTOR_LOOP_INL_H_
#undef STRATA_KERNELS_VECTOR_LOOP_INL_H_
#else
#define STRATA_KERNELS_VECTOR_LOOP_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

inline constexpr size_t kMostLanes = HWY_MAX_BYTES / sizeof(float);

/// Covers begin..end-1 by vectors of kLanes and calls body(tag, offset) for each; what they do not
/// divide is covered by vectors of falling powers of two.
template <size_t kLanes = kMostLanes, typename Body>
HWY_INLINE void for_vectors(int64_t begin, int64_t end, const Body& body) {
  const hn::CappedTag<float, kLanes> d;
  constexpr auto kStep = static_cast<int64_t>(kLanes);
  for (; begin + kStep <= end; begin += kStep) body(d, begin);
  if constexpr (kLanes > 1) {
    if (begin < end) for_vectors<kLanes / 2>(begin, end, body);
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
