// The operators of domain ai.strata that graph attention needs, over the kernels beside this file.
// What the data must hold before a kernel may follow it is checked in every call.
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>

#include "kernels/graph_attention/graph_attention.h"
#include "kernels/operators/support.h"

namespace strata::kernels {
namespace {

/// Sizes of a matrix in compressed rows, the first two inputs of an operator.
struct RowsSpec {
  int64_t rows = 0;
  int64_t entries = 0;
  int64_t columns = 0;  ///< of the matrix

  RowsSpec(const OperatorSite& site, int64_t column_count)
      : rows(site.inputs[0].shape[0] - 1),
        entries(site.inputs[1].shape[0]),
        columns(column_count) {}

  [[nodiscard]] int64_t per_row(int64_t cost) const {
    return rows == 0 ? 1 : entries * cost / rows + 1;
  }

  [[nodiscard]] Status check(const CompressedRows& in, ThreadPool& pool) const {
    if (in.row_begins[0] != 0 || in.row_begins[rows] != entries) {
      return invalid_argument("its rows must begin at 0 and end at " + std::to_string(entries) +
                              ", they begin at " + std::to_string(in.row_begins[0]) +
                              " and end at " + std::to_string(in.row_begins[rows]));
    }
    bool falls = false;
    for (int64_t i = 0; i < rows; ++i) falls |= in.row_begins[i] > in.row_begins[i + 1];
    if (falls) return invalid_argument("the begins of its rows must not fall");
    std::atomic<bool> sound = true;
    for_ranges(pool, entries, 1, [&](int64_t begin, int64_t end) {
      uint32_t largest = 0;  // a negative column is a large one
      for (int64_t e = begin; e < end; ++e) {
        largest = std::max(largest, static_cast<uint32_t>(in.columns[e]));
      }
      if (static_cast<int64_t>(largest) >= columns) sound.store(false, std::memory_order_relaxed);
    });
    if (sound) return {};
    const auto* const bad = std::find_if(in.columns, in.columns + entries, [&](int32_t column) {
      return column < 0 || column >= columns;
    });
    return out_of_range("entry " + std::to_string(bad - in.columns) + " names column " +
                        std::to_string(*bad) + ", there are columns 0 to " +
                        std::to_string(columns - 1));
  }
};

/// Both inputs are required, hence never null.
CompressedRows rows_of(const OperatorData& data) {
  return {static_cast<const int32_t*>(data.inputs[0]), static_cast<const int32_t*>(data.inputs[1])};
}

/// Multiplies every entry by a whole row of the weight, or, where the weight has few non-zeros and
/// rows have many entries, only the non-zeros, by rows made dense.
class SparseProductOperator final : public OperatorKernel {
 public:
  SparseProductOperator(const OperatorSite& site, const GraphAttentionKernel& kernel,
                        TransposeFunction transpose)
      : kernel_(kernel),
        transpose_(transpose),
        spec_(site, site.inputs[kWeight].shape[0]),
        width_(site.inputs[kWeight].shape[1]),
        packed_(site.weights[kWeight] && lists_are_faster(0)) {}

  [[nodiscard]] std::optional<int64_t> column_slice(size_t index) const override {
    if (index != kWeight || !packed_) return {};
    return slice_features();
  }

  [[nodiscard]] size_t scratch_bytes(int threads) const override {
    return packed_ ? static_cast<size_t>(threads * thread_floats()) * sizeof(float) : 0;
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const CompressedRows rows = rows_of(data);
    STRATA_RETURN_IF_ERROR(spec_.check(rows, pool));
    const auto* const weight = packed_ ? data.input<WeightColumns>(kWeight) : nullptr;
    if (weight == nullptr || !lists_are_faster(weight->nonzeros())) {
      const float* const dense = packed_ ? weight->dense : data.input<float>(kWeight);
      const SparseProductArguments arguments{rows, data.input<float>(2), dense, width_,
                                             data.output<float>(0)};
      for_ranges(pool, spec_.rows, spec_.per_row(width_), [&](int64_t begin, int64_t end) {
        kernel_.sparse_product(arguments, begin, end);
      });
      return {};
    }
    auto* const scratch = reinterpret_cast<float*>(data.scratch);
    const int64_t blocks = (spec_.rows + kernel_.block_rows - 1) / kernel_.block_rows;
    const int64_t tasks = pool.threads() == 1 ? 1 : std::min(blocks, int64_t{4} * pool.threads());
    pool.parallel_for(static_cast<int>(tasks), [&](int task, int thread) {
      const ColumnProductArguments arguments{rows,
                                             data.input<float>(2),
                                             *weight,
                                             transpose_,
                                             scratch + thread * thread_floats(),
                                             data.output<float>(0)};
      kernel_.column_product(
          arguments, blocks * task / tasks * kernel_.block_rows,
          std::min(blocks * (task + 1) / tasks * kernel_.block_rows, spec_.rows));
    });
    return {};
  }

 private:
  static constexpr size_t kWeight = 3;

  [[nodiscard]] int64_t thread_floats() const {
    const int64_t floats = kernel_.block_rows * (spec_.columns + width_);
    return (floats + 15) / 16 * 16;
  }

  [[nodiscard]] int64_t slice_features() const {
    // Of the first-level cache three quarters of the smallest, 32 KiB.
    constexpr int64_t kSliceFloats = (24 << 10) / sizeof(float);
    return std::max<int64_t>(1, kSliceFloats / kernel_.block_rows);
  }

  /// By what both took on an AMD EPYC (Zen 3) with AVX2, in picoseconds.
  [[nodiscard]] bool lists_are_faster(int64_t nonzeros) const {
    constexpr double kMultiplication = 75;  // of an entry by one weight of its row
    constexpr double kEntry = 2000;         // put into a block and taken out again
    constexpr double kNonzero = 800;        // times a block
    constexpr double kList = 2500;          // for a block
    const auto entries = static_cast<double>(spec_.entries);
    const auto width = static_cast<double>(width_);
    const double blocks = static_cast<double>(spec_.rows) / static_cast<double>(kernel_.block_rows);
    const double slices =
        std::ceil(static_cast<double>(spec_.columns) / static_cast<double>(slice_features()));
    return entries * kEntry +
               blocks * (static_cast<double>(nonzeros) * kNonzero + slices * width * kList) <
           entries * width * kMultiplication;
  }

  GraphAttentionKernel kernel_;
  TransposeFunction transpose_;
  RowsSpec spec_;
  int64_t width_;
  bool packed_;  ///< the weight comes as WeightColumns: it is the model's, and lists may pay
};

class HeadScoresOperator final : public OperatorKernel {
 public:
  HeadScoresOperator(const OperatorSite& site, const GraphAttentionKernel& kernel)
      : kernel_(kernel),
        rows_(site.inputs[0].shape[0]),
        heads_(site.inputs[1].shape[0]),
        size_(site.inputs[1].shape[1]) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const HeadScoresArguments arguments{data.input<float>(0), data.input<float>(1), heads_, size_,
                                        data.output<float>(0)};
    for_ranges(pool, rows_, heads_ * size_,
               [&](int64_t begin, int64_t end) { kernel_.head_scores(arguments, begin, end); });
    return {};
  }

 private:
  GraphAttentionKernel kernel_;
  int64_t rows_, heads_, size_;
};

class EdgeSoftmaxOperator final : public OperatorKernel {
 public:
  EdgeSoftmaxOperator(const OperatorSite& site, const GraphAttentionKernel& kernel)
      : kernel_(kernel),
        spec_(site, site.inputs[3].shape[0]),
        heads_(site.inputs[2].shape[1]),
        slope_(site.node.attribute_float("negative_slope", 0.2F)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const EdgeSoftmaxArguments arguments{
        rows_of(data), data.input<float>(2), data.input<float>(3), heads_,
        slope_,        data.output<float>(0)};
    STRATA_RETURN_IF_ERROR(spec_.check(arguments.edges, pool));
    constexpr int64_t kCostOfExp = 8;
    for_ranges(pool, spec_.rows, spec_.per_row(heads_ * kCostOfExp),
               [&](int64_t begin, int64_t end) { kernel_.edge_softmax(arguments, begin, end); });
    return {};
  }

 private:
  GraphAttentionKernel kernel_;
  RowsSpec spec_;
  int64_t heads_;
  float slope_;
};

class EdgeSumOperator final : public OperatorKernel {
 public:
  EdgeSumOperator(const OperatorSite& site, const GraphAttentionKernel& kernel)
      : kernel_(kernel),
        spec_(site, site.inputs[3].shape[0]),
        heads_(site.inputs[2].shape[1]),
        size_(site.inputs[3].shape[1] / heads_),
        mean_(site.node.attribute_int("mean_of_heads", 0) != 0 && heads_ > 1) {}

  [[nodiscard]] size_t scratch_bytes(int /*threads*/) const override {
    return mean_ ? static_cast<size_t>(spec_.rows * heads_ * size_) * sizeof(float) : 0;
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    auto* const sums = mean_ ? reinterpret_cast<float*>(data.scratch) : data.output<float>(0);
    const EdgeSumArguments arguments{
        rows_of(data), data.input<float>(2), data.input<float>(3), heads_, size_, sums};
    STRATA_RETURN_IF_ERROR(spec_.check(arguments.edges, pool));
    for_ranges(pool, spec_.rows, spec_.per_row(heads_ * size_), [&](int64_t begin, int64_t end) {
      kernel_.edge_sum(arguments, begin, end);
      if (mean_) average(sums, begin, end, data.output<float>(0));
    });
    return {};
  }

 private:
  void average(const float* sums, int64_t begin, int64_t end, float* output) const {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t k = 0; k < size_; ++k) {
        float sum = 0;
        for (int64_t h = 0; h < heads_; ++h) sum += sums[(i * heads_ + h) * size_ + k];
        output[i * size_ + k] = sum / static_cast<float>(heads_);
      }
    }
  }

  GraphAttentionKernel kernel_;
  RowsSpec spec_;
  int64_t heads_, size_;
  bool mean_;
};

class EluOperator final : public OperatorKernel {
 public:
  EluOperator(const OperatorSite& site, const GraphAttentionKernel& kernel)
      : kernel_(kernel),
        count_(site.outputs[0].elements()),
        alpha_(site.node.attribute_float("alpha", 1.0F)) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const EluArguments arguments{data.input<float>(0), alpha_, data.output<float>(0)};
    for_ranges(pool, count_, 1,
               [&](int64_t begin, int64_t end) { kernel_.elu(arguments, begin, end); });
    return {};
  }

 private:
  GraphAttentionKernel kernel_;
  int64_t count_;
  float alpha_;
};

template <typename Operator>
MadeOperator make_attention_operator(const OperatorSite& site) {
  STRATA_ASSIGN_OR_RETURN(const Target target, default_target());
  return MadeOperator(std::make_shared<Operator>(site, graph_attention_kernel(target)));
}

MadeOperator make_sparse_product(const OperatorSite& site) {
  STRATA_ASSIGN_OR_RETURN(const Target target, default_target());
  return MadeOperator(std::make_shared<SparseProductOperator>(site, graph_attention_kernel(target),
                                                              transpose_kernel(target)));
}

MadeOperator make_elu_operator(const OperatorSite& site) {
  STRATA_RETURN_IF_ERROR(require_float(site));
  return make_attention_operator<EluOperator>(site);
}

}  // namespace

std::span<const OperatorEntry> graph_attention_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{"", "Elu", make_elu_operator},
      OperatorEntry{graph::kStrataDomain, "EdgeSoftmax",
                    make_attention_operator<EdgeSoftmaxOperator>},
      OperatorEntry{graph::kStrataDomain, "EdgeSum", make_attention_operator<EdgeSumOperator>},
      OperatorEntry{graph::kStrataDomain, "HeadScores",
                    make_attention_operator<HeadScoresOperator>},
      OperatorEntry{graph::kStrataDomain, "SparseProduct", make_sparse_product},
  };
  return kEntries;
}

}  // namespace strata::kernels
