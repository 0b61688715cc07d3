// Attention over the edges of a graph in compressed rows, and sparse features times a weight. Every
// function computes rows (or elements) [begin, end), each by itself, so that rows can be shared out
// to threads.
#pragma once

#include <cstdint>

#include "kernels/graph_attention/weight_columns.h"
#include "kernels/target.h"
#include "kernels/transpose/transpose.h"

namespace strata::kernels {

/// Entries (edges) row_begins[i] .. row_begins[i + 1] - 1 are those of row (node) i.
struct CompressedRows {
  const int32_t* row_begins = nullptr;
  const int32_t* columns = nullptr;  ///< [entry]
};

/// output[i, :] = sum over entries e of row i of values[e] * weight[columns[e], :].
struct SparseProductArguments {
  CompressedRows rows;
  const float* values = nullptr;  ///< [entry]
  const float* weight = nullptr;  ///< [feature, width]
  int64_t width = 0;
  float* output = nullptr;  ///< [row, width]
};

/// The same for a weight with few non-zeros, from lists of them (weight_columns.h). `scratch` are
/// GraphAttentionKernel::block_rows * (features + width) floats of this call alone.
struct ColumnProductArguments {
  CompressedRows rows;
  const float* values = nullptr;  ///< [entry]
  WeightColumns weight;
  TransposeFunction transpose = nullptr;
  float* scratch = nullptr;
  float* output = nullptr;  ///< [row, width]
};

/// output[i, h] = sum over k of input[i, h, k] * weight[h, k].
struct HeadScoresArguments {
  const float* input = nullptr;   ///< [row, heads * size]
  const float* weight = nullptr;  ///< [heads, size]
  int64_t heads = 0;
  int64_t size = 0;
  float* output = nullptr;  ///< [row, heads]
};

/// output[e, h] = softmax over the edges e of node i of LeakyRelu(target[i, h] +
/// source[columns[e], h]) (Velickovic et al. 2018, equation 3). slope is 0..1.
struct EdgeSoftmaxArguments {
  CompressedRows edges;
  const float* target = nullptr;  ///< [node, heads]
  const float* source = nullptr;  ///< [node, heads]
  int64_t heads = 0;
  float slope = 0;
  float* output = nullptr;  ///< [edge, heads]
};

/// output[i, h, :] = sum over edges e of node i of shares[e, h] * input[columns[e], h, :].
struct EdgeSumArguments {
  CompressedRows edges;
  const float* shares = nullptr;  ///< [edge, heads]
  const float* input = nullptr;   ///< [node, heads * size]
  int64_t heads = 0;
  int64_t size = 0;
  float* output = nullptr;  ///< [node, heads * size]
};

/// output[i] = input[i] if positive, else alpha * (exp(input[i]) - 1) (Clevert et al. 2016).
struct EluArguments {
  const float* input = nullptr;
  float alpha = 1;
  float* output = nullptr;
};

struct GraphAttentionKernel {
  int64_t block_rows = 1;  ///< that column_product() computes together
  void (*sparse_product)(const SparseProductArguments& arguments, int64_t begin, int64_t end);
  void (*column_product)(const ColumnProductArguments& arguments, int64_t begin, int64_t end);
  void (*head_scores)(const HeadScoresArguments& arguments, int64_t begin, int64_t end);
  void (*edge_softmax)(const EdgeSoftmaxArguments& arguments, int64_t begin, int64_t end);
  void (*edge_sum)(const EdgeSumArguments& arguments, int64_t begin, int64_t end);
  void (*elu)(const EluArguments& arguments, int64_t begin, int64_t end);
};

/// The kernel for one target, which must be among supported_targets(); kScalar is the oracle.
GraphAttentionKernel graph_attention_kernel(Target target);

}  // namespace strata::kernels
