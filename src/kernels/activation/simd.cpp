#include "kernels/activation/activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/activation/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/exponential-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr size_t kMostLanes = HWY_MAX_BYTES / sizeof(float);

/// The exponential is bounded; a sigmoid below this is less than the smallest normal number or two.
constexpr float kNothing = -87.0F;

/// What bounds and comparisons make of NaN is put right.
template <class V>
HWY_INLINE V keep_nan(V x, V value) {
  return hn::IfThenElse(hn::Eq(x, x), value, x);
}

void sigmoids(const float* input, float* output, int64_t count) {
  for_vectors<kMostLanes>(0, count, [&](auto d, int64_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, input + i);
    const auto value = hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, kNothing)), sigmoid(d, x));
    hn::StoreU(keep_nan(x, value), d, output + i);
  });
}

/// Near zero by an odd polynomial (Cephes' tanhf), which keeps the digits there.
void hyperbolic_tangents(const float* input, float* output, int64_t count) {
  for_vectors<kMostLanes>(0, count, [&](auto d, int64_t i) HWY_ATTR {
    const auto set = [d](float value) HWY_ATTR { return hn::Set(d, value); };
    const auto x = hn::LoadU(d, input + i);
    const auto z = hn::Mul(x, x);
    auto p = set(-5.70498872745e-3F);
    p = hn::MulAdd(p, z, set(2.06390887954e-2F));
    p = hn::MulAdd(p, z, set(-5.37397155531e-2F));
    p = hn::MulAdd(p, z, set(1.33314422036e-1F));
    p = hn::MulAdd(p, z, set(-3.33332819422e-1F));
    const auto near = hn::MulAdd(hn::Mul(p, z), x, x);
    const auto is_near = hn::Lt(hn::Abs(x), set(0.625F));
    const auto value = hn::IfThenElse(is_near, near, hyperbolic_tangent(d, x));
    hn::StoreU(keep_nan(x, hn::CopySign(value, x)), d, output + i);  // of -0, too
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
