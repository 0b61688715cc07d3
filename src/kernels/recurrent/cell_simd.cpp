// Both functions come from one exponential: sigmoid(x) = 1 / (1 + e^-x), tanh(x) = 1 - 2 / (e^2x +
// 1). The latter loses digits near zero, relative to the result but not to 1, which is what the
// gates add up to.
#include "kernels/recurrent/cell.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/cell_simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/vector_loop-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

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

template <class D, class V = hn::Vec<D>>
HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  return hn::Div(one, hn::Add(one, exponential(d, hn::Neg(x))));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V hyperbolic_tangent(D d, V x) {
  const V one = hn::Set(d, 1.0F);
  const V two = hn::Set(d, 2.0F);
  return hn::Sub(one, hn::Div(two, hn::Add(exponential(d, hn::Add(x, x)), one)));
}

void lstm(const LstmCellArguments& a, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto gate = [&](int64_t index)
                          HWY_ATTR { return hn::LoadU(d, a.gates + index * a.hidden + i); };
    const auto candidate = hn::Mul(sigmoid(d, gate(0)), hyperbolic_tangent(d, gate(3)));
    const auto c = hn::MulAdd(sigmoid(d, gate(2)), hn::LoadU(d, a.c + i), candidate);
    hn::StoreU(c, d, a.c + i);
    hn::StoreU(hn::Mul(sigmoid(d, gate(1)), hyperbolic_tangent(d, c)), d, a.h + i);
  });
}

void gru_reset(const GruResetArguments& a, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto addend = a.addend == nullptr ? hn::Zero(d) : hn::LoadU(d, a.addend + i);
    const auto gate = sigmoid(d, hn::LoadU(d, a.gate + i));
    hn::StoreU(hn::MulAdd(gate, hn::LoadU(d, a.operand + i), addend), d, a.output + i);
  });
}

void gru_update(const GruUpdateArguments& a, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto candidate = hyperbolic_tangent(d, hn::LoadU(d, a.candidate + i));
    const auto gate = sigmoid(d, hn::LoadU(d, a.gate + i));
    const auto change = hn::Sub(hn::LoadU(d, a.h + i), candidate);
    hn::StoreU(hn::MulAdd(gate, change, candidate), d, a.output + i);
  });
}

CellKernel cells() { return {lstm, gru_reset, gru_update}; }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

CellKernel cell_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, cells(), cell_reference())
}

}  // namespace strata::kernels
#endif
