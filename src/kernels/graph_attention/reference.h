// The oracle: one multiplication after the other.
#pragma once

#include "kernels/graph_attention/graph_attention.h"

namespace strata::kernels::graph_attention_reference {

void sparse_product(const SparseProductArguments& arguments, int64_t begin, int64_t end);
void column_product(const ColumnProductArguments& arguments, int64_t begin, int64_t end);
void head_scores(const HeadScoresArguments& arguments, int64_t begin, int64_t end);
void edge_softmax(const EdgeSoftmaxArguments& arguments, int64_t begin, int64_t end);
void edge_sum(const EdgeSumArguments& arguments, int64_t begin, int64_t end);
void elu(const EluArguments& arguments, int64_t begin, int64_t end);

}  // namespace strata::kernels::graph_attention_reference
