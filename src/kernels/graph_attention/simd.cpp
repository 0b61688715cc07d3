// Lanes run over the features of a head or over the heads, which lie side by side; a width that no
// vector divides is covered by vectors of falling powers of two, so nothing is read beyond an end.
// Sums over entries stay in registers.
#include "kernels/graph_attention/graph_attention.h"
#include "kernels/graph_attention/reference.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/graph_attention/simd.cpp"
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

/// Four vectors of a row at once, so that an entry's column and value are read once for them.
HWY_INLINE int64_t sparse_product_by_four(const SparseProductArguments& a, int64_t row) {
  const hn::CappedTag<float, kMostLanes> d;
  constexpr auto kStep = static_cast<int64_t>(kMostLanes);
  const int32_t first = a.rows.row_begins[row];
  const int32_t last = a.rows.row_begins[row + 1];
  int64_t offset = 0;
  for (; offset + 4 * kStep <= a.width; offset += 4 * kStep) {
    auto sum0 = hn::Zero(d);
    auto sum1 = sum0;
    auto sum2 = sum0;
    auto sum3 = sum0;
    for (int32_t e = first; e < last; ++e) {
      const float* const weight = a.weight + a.rows.columns[e] * a.width + offset;
      const auto value = hn::Set(d, a.values[e]);
      sum0 = hn::MulAdd(value, hn::LoadU(d, weight), sum0);
      sum1 = hn::MulAdd(value, hn::LoadU(d, weight + kStep), sum1);
      sum2 = hn::MulAdd(value, hn::LoadU(d, weight + 2 * kStep), sum2);
      sum3 = hn::MulAdd(value, hn::LoadU(d, weight + 3 * kStep), sum3);
    }
    float* const output = a.output + row * a.width + offset;
    hn::StoreU(sum0, d, output);
    hn::StoreU(sum1, d, output + kStep);
    hn::StoreU(sum2, d, output + 2 * kStep);
    hn::StoreU(sum3, d, output + 3 * kStep);
  }
  return offset;
}

void sparse_product(const SparseProductArguments& a, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const int32_t first = a.rows.row_begins[row];
    const int32_t last = a.rows.row_begins[row + 1];
    const int64_t done = sparse_product_by_four(a, row);
    for_vectors(done, a.width, [&](auto d, int64_t offset) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (int32_t e = first; e < last; ++e) {
        sum = hn::MulAdd(hn::Set(d, a.values[e]),
                         hn::LoadU(d, a.weight + a.rows.columns[e] * a.width + offset), sum);
      }
      hn::StoreU(sum, d, a.output + row * a.width + offset);
    });
  }
}

void head_scores(const HeadScoresArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin * a.heads; i < end * a.heads; ++i) {
    const float* const input = a.input + i * a.size;
    const float* const weight = a.weight + i % a.heads * a.size;
    float total = 0;
    for_vectors(0, a.size, [&](auto d, int64_t k) HWY_ATTR {
      total += hn::GetLane(
          hn::SumOfLanes(d, hn::Mul(hn::LoadU(d, input + k), hn::LoadU(d, weight + k))));
    });
    a.output[i] = total;
  }
}

void edge_softmax(const EdgeSoftmaxArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int32_t first = a.edges.row_begins[i];
    const int32_t last = a.edges.row_begins[i + 1];
    for_vectors(0, a.heads, [&](auto d, int64_t h) HWY_ATTR {
      const auto target = hn::LoadU(d, a.target + i * a.heads + h);
      const auto slope = hn::Set(d, a.slope);
      auto largest = hn::Set(d, -hwy::HighestValue<float>());
      for (int32_t e = first; e < last; ++e) {
        const auto score =
            hn::Add(target, hn::LoadU(d, a.source + a.edges.columns[e] * a.heads + h));
        const auto leaky = hn::Max(score, hn::Mul(score, slope));
        hn::StoreU(leaky, d, a.output + e * a.heads + h);
        largest = hn::Max(largest, leaky);
      }
      auto sum = hn::Zero(d);
      for (int32_t e = first; e < last; ++e) {
        float* const output = a.output + e * a.heads + h;
        const auto share = hn::Exp(d, hn::Sub(hn::LoadU(d, output), largest));
        hn::StoreU(share, d, output);
        sum = hn::Add(sum, share);
      }
      const auto scale = hn::Div(hn::Set(d, 1.0F), sum);
      for (int32_t e = first; e < last; ++e) {
        float* const output = a.output + e * a.heads + h;
        hn::StoreU(hn::Mul(hn::LoadU(d, output), scale), d, output);
      }
    });
  }
}

void edge_sum(const EdgeSumArguments& a, int64_t begin, int64_t end) {
  const int64_t width = a.heads * a.size;
  for (int64_t i = begin; i < end; ++i) {
    const int32_t first = a.edges.row_begins[i];
    const int32_t last = a.edges.row_begins[i + 1];
    for (int64_t h = 0; h < a.heads; ++h) {
      for_vectors(0, a.size, [&](auto d, int64_t k) HWY_ATTR {
        const int64_t offset = h * a.size + k;
        auto sum = hn::Zero(d);
        for (int32_t e = first; e < last; ++e) {
          sum = hn::MulAdd(hn::Set(d, a.shares[e * a.heads + h]),
                           hn::LoadU(d, a.input + a.edges.columns[e] * width + offset), sum);
        }
        hn::StoreU(sum, d, a.output + i * width + offset);
      });
    }
  }
}

void elu(const EluArguments& a, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, a.input + i);
    // Where it is not chosen the exponential may not overflow either.
    const auto below = hn::Mul(hn::Set(d, a.alpha), hn::Expm1(d, hn::Min(x, hn::Zero(d))));
    hn::StoreU(hn::IfThenElse(hn::Gt(x, hn::Zero(d)), x, below), d, a.output + i);
  });
}

GraphAttentionKernel kernel() { return {sparse_product, head_scores, edge_softmax, edge_sum, elu}; }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

GraphAttentionKernel graph_attention_kernel(Target target) {
  namespace reference = graph_attention_reference;
  STRATA_RETURN_FOR_TARGET(
      target, kernel(),
      (GraphAttentionKernel{reference::sparse_product, reference::head_scores,
                            reference::edge_softmax, reference::edge_sum, reference::elu}))
}

}  // namespace strata::kernels
#endif
