// That tanh loses digits near zero does not matter here: the gates add up to 1.
#include "kernels/recurrent/cell.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/cell_simd.cpp"
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

void lstm(const LstmCellArguments& a, int64_t begin, int64_t end) {
  for_vectors<kMostLanes>(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto gate = [&](int64_t index)
                          HWY_ATTR { return hn::LoadU(d, a.gates + index * a.hidden + i); };
    const auto candidate = hn::Mul(sigmoid(d, gate(0)), hyperbolic_tangent(d, gate(3)));
    const auto c = hn::MulAdd(sigmoid(d, gate(2)), hn::LoadU(d, a.c + i), candidate);
    hn::StoreU(c, d, a.c + i);
    hn::StoreU(hn::Mul(sigmoid(d, gate(1)), hyperbolic_tangent(d, c)), d, a.h + i);
  });
}

void gru_reset(const GruResetArguments& a, int64_t begin, int64_t end) {
  for_vectors<kMostLanes>(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto addend = a.addend == nullptr ? hn::Zero(d) : hn::LoadU(d, a.addend + i);
    const auto gate = sigmoid(d, hn::LoadU(d, a.gate + i));
    hn::StoreU(hn::MulAdd(gate, hn::LoadU(d, a.operand + i), addend), d, a.output + i);
  });
}

void gru_update(const GruUpdateArguments& a, int64_t begin, int64_t end) {
  for_vectors<kMostLanes>(begin, end, [&](auto d, int64_t i) HWY_ATTR {
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
