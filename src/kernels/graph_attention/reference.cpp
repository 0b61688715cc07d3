#include "kernels/graph_attention/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace strata::kernels::graph_attention_reference {

void sparse_product(const SparseProductArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    float* const output = a.output + i * a.width;
    std::fill(output, output + a.width, 0.0F);
    for (int32_t e = a.rows.row_begins[i]; e < a.rows.row_begins[i + 1]; ++e) {
      const float* const weight = a.weight + a.rows.columns[e] * a.width;
      for (int64_t k = 0; k < a.width; ++k) output[k] += a.values[e] * weight[k];
    }
  }
}

void column_product(const ColumnProductArguments& a, int64_t begin, int64_t end) {
  const int64_t width = a.weight.width;
  float* const row = a.scratch;  // [feature]
  for (int64_t i = begin; i < end; ++i) {
    std::fill(row, row + a.weight.features, 0.0F);
    for (int32_t e = a.rows.row_begins[i]; e < a.rows.row_begins[i + 1]; ++e) {
      row[a.rows.columns[e]] += a.values[e];
    }
    float* const output = a.output + i * width;
    std::fill(output, output + width, 0.0F);
    for (int64_t list = 0; list < a.weight.slices * width; ++list) {
      for (int64_t k = a.weight.begins[list]; k < a.weight.begins[list + 1]; ++k) {
        output[list % width] += row[a.weight.nonzero_features[k]] * a.weight.values[k];
      }
    }
  }
}

void head_scores(const HeadScoresArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t h = 0; h < a.heads; ++h) {
      float sum = 0;
      for (int64_t k = 0; k < a.size; ++k) {
        sum += a.input[(i * a.heads + h) * a.size + k] * a.weight[h * a.size + k];
      }
      a.output[i * a.heads + h] = sum;
    }
  }
}

void edge_softmax(const EdgeSoftmaxArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const int32_t first = a.edges.row_begins[i];
    const int32_t last = a.edges.row_begins[i + 1];
    for (int64_t h = 0; h < a.heads; ++h) {
      float largest = -std::numeric_limits<float>::infinity();
      for (int32_t e = first; e < last; ++e) {
        const float score = a.target[i * a.heads + h] + a.source[a.edges.columns[e] * a.heads + h];
        a.output[e * a.heads + h] = std::max(score, a.slope * score);
        largest = std::max(largest, a.output[e * a.heads + h]);
      }
      float sum = 0;
      for (int32_t e = first; e < last; ++e) {
        a.output[e * a.heads + h] = std::exp(a.output[e * a.heads + h] - largest);
        sum += a.output[e * a.heads + h];
      }
      for (int32_t e = first; e < last; ++e) a.output[e * a.heads + h] /= sum;
    }
  }
}

void edge_sum(const EdgeSumArguments& a, int64_t begin, int64_t end) {
  const int64_t width = a.heads * a.size;
  for (int64_t i = begin; i < end; ++i) {
    std::fill(a.output + i * width, a.output + (i + 1) * width, 0.0F);
    for (int32_t e = a.edges.row_begins[i]; e < a.edges.row_begins[i + 1]; ++e) {
      const float* const input = a.input + a.edges.columns[e] * width;
      for (int64_t k = 0; k < width; ++k) {
        a.output[i * width + k] += a.shares[e * a.heads + k / a.size] * input[k];
      }
    }
  }
}

void elu(const EluArguments& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    a.output[i] = a.input[i] > 0 ? a.input[i] : a.alpha * std::expm1(a.input[i]);
  }
}

}  // namespace strata::kernels::graph_attention_reference
