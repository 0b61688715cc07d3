// How many vectors registers hold, and arrays of vectors that are to stay there. Once per target:
// include after hwy/highway.h.
#if defined(STRATA_KERNELS_VECTOR_REGISTERS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRATA_KERNELS_VECTOR_REGISTERS_INL_H_
#undef STRATA_KERNELS_VECTOR_REGISTERS_INL_H_
#else
#define STRATA_KERNELS_VECTOR_REGISTERS_INL_H_
#endif

#include "hwy/highway.h"

namespace strata::kernels {
namespace HWY_NAMESPACE {

inline constexpr bool kManyRegisters =  ///< 32, else 16
    HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON || HWY_TARGET == HWY_SVE_256;

#if HWY_TARGET == HWY_SVE_256
template <typename V>
struct ArrayElementOf;
template <>
struct ArrayElementOf<svfloat32_t> {
  typedef svfloat32_t type
      __attribute__((arm_sve_vector_bits(256)));  // NOLINT(modernize-use-using)
};
template <>
struct ArrayElementOf<svint32_t> {
  typedef svint32_t type __attribute__((arm_sve_vector_bits(256)));  // NOLINT(modernize-use-using)
};
/// A vector V that arrays may hold. SVE's own types have no size that the language knows of; these
/// do and convert to and from them.
template <typename V>
using ArrayElement = typename ArrayElementOf<V>::type;
#else
template <typename V>
using ArrayElement = V;
#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels

#endif  // per-target include guard
