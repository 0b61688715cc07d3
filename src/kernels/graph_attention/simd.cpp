// Lanes run over the features of a head or over the heads, which lie side by side; a width that no
// vector divides is covered by vectors of falling powers of two, so nothing is read beyond an end.
// Sums over entries stay in registers.
#include <algorithm>

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

/// Rows that column_product() computes together: two vectors of lanes.
constexpr auto kBlockRows = static_cast<int64_t>(2 * kMostLanes);

/// Adds the non-zeros [first, last) times what the block's rows have of their features to the sums
/// of a column. Four sums, for each waits for its last addition.
HWY_INLINE void add_nonzeros(const WeightColumns& weight, int64_t first, int64_t last,
                             const float* block, float* sums) {
  const hn::CappedTag<float, kMostLanes> d;
  constexpr auto kStep = static_cast<int64_t>(kMostLanes);
  auto sum0 = hn::LoadU(d, sums);
  auto sum1 = hn::LoadU(d, sums + kStep);
  auto sum2 = hn::Zero(d);
  auto sum3 = sum2;
  int64_t k = first;
  for (; k + 2 <= last; k += 2) {
    const float* const a = block + weight.nonzero_features[k] * kBlockRows;
    const float* const b = block + weight.nonzero_features[k + 1] * kBlockRows;
    const auto value_a = hn::Set(d, weight.values[k]);
    const auto value_b = hn::Set(d, weight.values[k + 1]);
    sum0 = hn::MulAdd(value_a, hn::LoadU(d, a), sum0);
    sum1 = hn::MulAdd(value_a, hn::LoadU(d, a + kStep), sum1);
    sum2 = hn::MulAdd(value_b, hn::LoadU(d, b), sum2);
    sum3 = hn::MulAdd(value_b, hn::LoadU(d, b + kStep), sum3);
  }
  if (k < last) {
    const float* const a = block + weight.nonzero_features[k] * kBlockRows;
    const auto value = hn::Set(d, weight.values[k]);
    sum0 = hn::MulAdd(value, hn::LoadU(d, a), sum0);
    sum1 = hn::MulAdd(value, hn::LoadU(d, a + kStep), sum1);
  }
  hn::StoreU(hn::Add(sum0, sum2), d, sums);
  hn::StoreU(hn::Add(sum1, sum3), d, sums + kStep);
}

/// Sparse rows become a dense block, transposed, in which lanes run over rows: then only the
/// weight's non-zeros are multiplied.
void column_product(const ColumnProductArguments& a, int64_t begin, int64_t end) {
  const WeightColumns& weight = a.weight;
  float* const block = a.scratch;                            // [feature, row]
  float* const sums = block + weight.features * kBlockRows;  // [column, row]
  std::fill(block, sums, 0.0F);
  for (; begin < end; begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, end - begin);
    const int32_t* const row_begins = a.rows.row_begins + begin;
    for (int64_t row = 0; row < rows; ++row) {
      for (int32_t e = row_begins[row]; e < row_begins[row + 1]; ++e) {
        block[a.rows.columns[e] * kBlockRows + row] += a.values[e];
      }
    }
    std::fill(sums, sums + weight.width * kBlockRows, 0.0F);
    for (int64_t slice = 0; slice < weight.slices; ++slice) {
      const int64_t* const begins = weight.begins + slice * weight.width;
      for (int64_t column = 0; column < weight.width; ++column) {
        add_nonzeros(weight, begins[column], begins[column + 1], block, sums + column * kBlockRows);
      }
    }
    a.transpose(sums, kBlockRows, weight.width, rows, a.output + begin * weight.width,
                weight.width);
    if (row_begins[rows] - row_begins[0] > weight.features) {  // about a line for each feature
      std::fill(block, sums, 0.0F);
      continue;
    }
    for (int64_t row = 0; row < rows; ++row) {
      for (int32_t e = row_begins[row]; e < row_begins[row + 1]; ++e) {
        block[a.rows.columns[e] * kBlockRows + row] = 0.0F;
      }
    }
  }
}

/// The sums of each of four vectors, as four lanes.
template <class D, class V>
HWY_INLINE V four_sums(D d, V v0, V v1, V v2, V v3) {
  const hn::Repartition<uint64_t, D> pairs;
  const auto sum01 =
      hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, v0, v1), hn::InterleaveUpper(d, v0, v1)));
  const auto sum23 =
      hn::BitCast(pairs, hn::Add(hn::InterleaveLower(d, v2, v3), hn::InterleaveUpper(d, v2, v3)));
  return hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, sum01, sum23)),
                 hn::BitCast(d, hn::InterleaveUpper(pairs, sum01, sum23)));
}

/// Scores [begin, ...) of all rows' heads, four at once where a head is whole vectors of four;
/// returns where it ended.
int64_t head_scores_by_four(const HeadScoresArguments& a, int64_t begin, int64_t end) {
  constexpr int64_t kStep = 4;
  if (a.size % kStep != 0) return begin;
  const hn::FixedTag<float, kStep> d;
  const auto next = [&](int64_t head) { return head + 1 == a.heads ? 0 : head + 1; };
  int64_t head = begin % a.heads;
  for (; begin + 4 <= end; begin += 4) {
    const float* const input = a.input + begin * a.size;
    const float* const weight0 = a.weight + head * a.size;
    const float* const weight1 = a.weight + (head = next(head)) * a.size;
    const float* const weight2 = a.weight + (head = next(head)) * a.size;
    const float* const weight3 = a.weight + (head = next(head)) * a.size;
    head = next(head);
    auto sum0 = hn::Zero(d);
    auto sum1 = sum0;
    auto sum2 = sum0;
    auto sum3 = sum0;
    for (int64_t k = 0; k < a.size; k += kStep) {
      const float* const in = input + k;
      sum0 = hn::MulAdd(hn::LoadU(d, in), hn::LoadU(d, weight0 + k), sum0);
      sum1 = hn::MulAdd(hn::LoadU(d, in + a.size), hn::LoadU(d, weight1 + k), sum1);
      sum2 = hn::MulAdd(hn::LoadU(d, in + 2 * a.size), hn::LoadU(d, weight2 + k), sum2);
      sum3 = hn::MulAdd(hn::LoadU(d, in + 3 * a.size), hn::LoadU(d, weight3 + k), sum3);
    }
    hn::StoreU(four_sums(d, sum0, sum1, sum2, sum3), d, a.output + begin);
  }
  return begin;
}

void head_scores(const HeadScoresArguments& a, int64_t begin, int64_t end) {
  const int64_t last = end * a.heads;
  for (int64_t i = head_scores_by_four(a, begin * a.heads, last); i < last; ++i) {
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

/// With one head, lanes run over the edges.
void softmax_of_one_head(const EdgeSoftmaxArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int32_t first = a.edges.row_begins[i];
    const int32_t last = a.edges.row_begins[i + 1];
    float largest = -hwy::HighestValue<float>();
    for (int32_t e = first; e < last; ++e) {
      const float score = a.target[i] + a.source[a.edges.columns[e]];
      a.output[e] = std::max(score, score * a.slope);
      largest = std::max(largest, a.output[e]);
    }
    float sum = 0;
    for_vectors(first, last, [&](auto d, int64_t e) HWY_ATTR {
      const auto share = hn::Exp(d, hn::Sub(hn::LoadU(d, a.output + e), hn::Set(d, largest)));
      hn::StoreU(share, d, a.output + e);
      sum += hn::GetLane(hn::SumOfLanes(d, share));
    });
    const float scale = 1.0F / sum;
    for_vectors(first, last, [&](auto d, int64_t e) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::LoadU(d, a.output + e), hn::Set(d, scale)), d, a.output + e);
    });
  }
}

void edge_softmax(const EdgeSoftmaxArguments& a, int64_t begin, int64_t end) {
  if (a.heads == 1) return softmax_of_one_head(a, begin, end);
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

/// Four vectors of a row at once, each inside one head: an edge's column is read once for them, and
/// none waits for the others' additions. Returns where it ended.
template <size_t kLanes>
HWY_INLINE int64_t edge_sum_by_four(const EdgeSumArguments& a, int64_t row) {
  constexpr auto kStep = static_cast<int64_t>(kLanes);
  const int64_t width = a.heads * a.size;
  if (a.size % kStep != 0) {
    if constexpr (kLanes > 4) return edge_sum_by_four<kLanes / 2>(a, row);
    return 0;
  }
  const hn::CappedTag<float, kLanes> d;
  const int32_t first = a.edges.row_begins[row];
  const int32_t last = a.edges.row_begins[row + 1];
  int64_t offset = 0;
  for (; offset + 4 * kStep <= width; offset += 4 * kStep) {
    const int64_t head0 = offset / a.size;
    const int64_t head1 = (offset + kStep) / a.size;
    const int64_t head2 = (offset + 2 * kStep) / a.size;
    const int64_t head3 = (offset + 3 * kStep) / a.size;
    auto sum0 = hn::Zero(d);
    auto sum1 = sum0;
    auto sum2 = sum0;
    auto sum3 = sum0;
    for (int32_t e = first; e < last; ++e) {
      const float* const shares = a.shares + e * a.heads;
      const float* const input = a.input + a.edges.columns[e] * width + offset;
      sum0 = hn::MulAdd(hn::Set(d, shares[head0]), hn::LoadU(d, input), sum0);
      sum1 = hn::MulAdd(hn::Set(d, shares[head1]), hn::LoadU(d, input + kStep), sum1);
      sum2 = hn::MulAdd(hn::Set(d, shares[head2]), hn::LoadU(d, input + 2 * kStep), sum2);
      sum3 = hn::MulAdd(hn::Set(d, shares[head3]), hn::LoadU(d, input + 3 * kStep), sum3);
    }
    float* const output = a.output + row * width + offset;
    hn::StoreU(sum0, d, output);
    hn::StoreU(sum1, d, output + kStep);
    hn::StoreU(sum2, d, output + 2 * kStep);
    hn::StoreU(sum3, d, output + 3 * kStep);
  }
  return offset;
}

void edge_sum(const EdgeSumArguments& a, int64_t begin, int64_t end) {
  const int64_t width = a.heads * a.size;
  for (int64_t i = begin; i < end; ++i) {
    const int32_t first = a.edges.row_begins[i];
    const int32_t last = a.edges.row_begins[i + 1];
    for (int64_t done = edge_sum_by_four<kMostLanes>(a, i); done < width;) {
      const int64_t head = done / a.size;
      const int64_t head_end = (head + 1) * a.size;
      for_vectors(done, head_end, [&](auto d, int64_t offset) HWY_ATTR {
        auto sum = hn::Zero(d);
        for (int32_t e = first; e < last; ++e) {
          sum = hn::MulAdd(hn::Set(d, a.shares[e * a.heads + head]),
                           hn::LoadU(d, a.input + a.edges.columns[e] * width + offset), sum);
        }
        hn::StoreU(sum, d, a.output + i * width + offset);
      });
      done = head_end;
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

GraphAttentionKernel kernel() {
  return {kBlockRows, sparse_product, column_product, head_scores, edge_softmax, edge_sum, elu};
}

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
      (GraphAttentionKernel{1, reference::sparse_product, reference::column_product,
                            reference::head_scores, reference::edge_softmax, reference::edge_sum,
                            reference::elu}))
}

}  // namespace strata::kernels
#endif
