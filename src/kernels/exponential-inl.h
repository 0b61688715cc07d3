// e^x, and sigmoid and tanh, which come from it. Once per target: include after hwy/highway.h.
#if defined(STRATA_KERNELS_EXPONENTIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef STRATA_KERNELS_EXPONENTIAL_INL_H_
#undef STRATA_KERNELS_EXPONENTIAL_INL_H_
#else
#define STRATA_KERNELS_EXPONENTIAL_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

/// Runs body(d, i) for i in begin..end-1 by the vector; what no vector divides is covered by
/// vectors of falling powers of two.
template <size_t kLanes, typename Body>
HWY_INLINE void for_vectors(int64_t begin, int64_t end, const Body& body) {
  const hn::CappedTag<float, kLanes> d;
  constexpr auto kStep = static_cast<int64_t>(kLanes);
  for (; begin + kStep <= end; begin += kStep) body(d, begin);
  if constexpr (kLanes > 1) {
    if (begin < end) for_vectors<kLanes / 2>(begin, end, body);
  }
}

/// e^x for |x| up to 87, beyond which it stays: 2^n times a polynomial of degree 6 in the rest
/// (Cephes' expf).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exponential(D d, V x) {
  constexpr float kLargest = 87.0F;
  const auto set = [d](float value) HWY_ATTR { return hn::Set(d, value); };
  x = hn::Min(hn::Max(x, set(-kLargest)), set(kLargest));
  const V n = hn::Round(hn::Mul(x, set(1.44269504F)));
  V r = hn::NegMulAdd(n, set(0.693359375F), x);
  r = hn::NegMulAdd(n, set(-2.12194440e-4F), r);
  V p = set(1.9875691500e-4F);
  p = hn::MulAdd(p, r, set(1.3981999507e-3F));
  p = hn::MulAdd(p, r, set(8.3334519073e-3F));
  p = hn::MulAdd(p, r, set(4.1665795894e-2F));
  p = hn::MulAdd(p, r, set(1.6666665459e-1F));
  p = hn::MulAdd(p, r, set(5.0000001201e-1F));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), set(1.0F));
  const hn::RebindToSigned<D> di;
  constexpr int kMantissaBits = 23;
  constexpr int kBias = 127;
  const auto power =
      hn::ShiftLeft<kMantissaBits>(hn::Add(hn::ConvertTo(di, n), hn::Set(di, kBias)));
  return hn::Mul(p, hn::BitCast(d, power));
}

/// 1 / (1 + e^-x)
template <class D, class V = hn::Vec<D>>
HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, exponential(d, hn::Neg(x))));
}

/// 1 - 2 / (e^2x + 1): loses digits near zero, relative to the result but not to 1.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V hyperbolic_tangent(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  const V two = hn::Set(d, 2.0F);
  return hn::Sub(one, hn::Div(two, hn::Add(exponential(d, hn::Add(x, x)), one)));
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#endif
