// The first elements of a vector from memory and to memory, touching nothing beyond them. Once per
// target: include after hwy/highway.h.
#if defined(STRATA_KERNELS_PARTIAL_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRATA_KERNELS_PARTIAL_VECTOR_INL_H_
#undef STRATA_KERNELS_PARTIAL_VECTOR_INL_H_
#else
#define STRATA_KERNELS_PARTIAL_VECTOR_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Zeros in the lanes from `count`, 0..lanes, on.
template <typename D>
HWY_INLINE hn::Vec<D> load_first(D d, const float* from, int64_t count) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_SVE_256
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from);
#else
  HWY_ALIGN float lanes[HWY_LANES(float)] = {};
  std::copy_n(from, count, lanes);
  return hn::Load(d, lanes);
#endif
}

template <typename D>
HWY_INLINE void store_first(hn::Vec<D> v, D d, float* to, int64_t count) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_SVE_256
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, to);
#else
  HWY_ALIGN float lanes[HWY_LANES(float)];
  hn::Store(v, d, lanes);
  std::copy_n(lanes, count, to);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
