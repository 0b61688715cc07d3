#include "kernels/activation/activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/activation/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/vector_loop-inl.h"
// After Highway, which it needs.
#include "hwy/contrib/math/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

/// By Highway's functions, whose bounds would make a number of NaN.
template <class V>
HWY_INLINE V keep_nan(V x, V value) {
  return hn::IfThenElse(hn::Eq(x, x), value, x);
}

void sigmoids(const float* input, float* output, int64_t count) {
  for_vectors(0, count, [&](auto d, int64_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, input + i);
    const auto one = hn::Set(d, 1.0F);
    const auto value = hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(x))));
    hn::StoreU(keep_nan(x, value), d, output + i);
  });
}

void hyperbolic_tangents(const float* input, float* output, int64_t count) {
  for_vectors(0, count, [&](auto d, int64_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, input + i);
    hn::StoreU(keep_nan(x, hn::Tanh(d, x)), d, output + i);
  });
}

ActivationKernel activations() { return {sigmoids, hyperbolic_tangents}; }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

ActivationKernel activation_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, activations(), activation_reference())
}

}  // namespace strata::kernels
#endif
