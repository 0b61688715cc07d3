// For SIMD sources that Highway's foreach_target.h includes once per target: the selection of one
// at run time without Highway's library. Use STRATA_RETURN_FOR_TARGET in the HWY_ONCE section.
// Which targets are built is a definition in CMakeLists.txt, for Highway's headers must see it
// first.
#ifndef STRATA_KERNELS_DISPATCH_INL_H_
#define STRATA_KERNELS_DISPATCH_INL_H_

#include "hwy/detect_targets.h"
#include "kernels/target.h"

#if HWY_TARGETS & HWY_SSE4
#define STRATA_CASE_SSE4(NAME)           \
  case ::strata::kernels::Target::kSse4: \
    return N_SSE4::NAME;
#else
#define STRATA_CASE_SSE4(NAME)
#endif
#if HWY_TARGETS & HWY_AVX2
#define STRATA_CASE_AVX2(NAME)           \
  case ::strata::kernels::Target::kAvx2: \
    return N_AVX2::NAME;
#else
#define STRATA_CASE_AVX2(NAME)
#endif
#if HWY_TARGETS & HWY_AVX3
#define STRATA_CASE_AVX3(NAME)           \
  case ::strata::kernels::Target::kAvx3: \
    return N_AVX3::NAME;
#else
#define STRATA_CASE_AVX3(NAME)
#endif
#if HWY_TARGETS & HWY_NEON
#define STRATA_CASE_NEON(NAME)           \
  case ::strata::kernels::Target::kNeon: \
    return N_NEON::NAME;
#else
#define STRATA_CASE_NEON(NAME)
#endif
#if HWY_TARGETS & HWY_SVE_256
#define STRATA_CASE_SVE256(NAME)           \
  case ::strata::kernels::Target::kSve256: \
    return N_SVE_256::NAME;
#else
#define STRATA_CASE_SVE256(NAME)
#endif
#if HWY_TARGETS & HWY_WASM
#define STRATA_CASE_WASM(NAME)           \
  case ::strata::kernels::Target::kWasm: \
    return N_WASM::NAME;
#else
#define STRATA_CASE_WASM(NAME)
#endif

/// Returns, from a function, NAME as compiled for TARGET; FALLBACK where it was not.
#define STRATA_RETURN_FOR_TARGET(TARGET, NAME, FALLBACK) \
  switch (TARGET) {                                      \
    STRATA_CASE_SSE4(NAME)                               \
    STRATA_CASE_AVX2(NAME)                               \
    STRATA_CASE_AVX3(NAME)                               \
    STRATA_CASE_NEON(NAME)                               \
    STRATA_CASE_SVE256(NAME)                             \
    STRATA_CASE_WASM(NAME)                               \
    default:                                             \
      return FALLBACK;                                   \
  }

#if defined(__clang__)
#define STRATA_UNROLL _Pragma("unroll")
#else
#define STRATA_UNROLL _Pragma("GCC unroll 32")
#endif

#endif  // STRATA_KERNELS_DISPATCH_INL_H_
