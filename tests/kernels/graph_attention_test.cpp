// On every target of this CPU the kernels of graph attention agree with the scalar reference, for
// any heads and widths, rows without entries included.
#include "kernels/graph_attention/graph_attention.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

struct RandomRows {
  std::vector<int32_t> begins = {0};
  std::vector<int32_t> columns;

  RandomRows(int64_t rows, int64_t column_count) {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t entries = pick(0, 9);
      for (int64_t e = 0; e < entries; ++e) {
        columns.push_back(static_cast<int32_t>(pick(0, column_count - 1)));
      }
      begins.push_back(static_cast<int32_t>(columns.size()));
    }
  }
  [[nodiscard]] int64_t entries() const { return static_cast<int64_t>(columns.size()); }
  [[nodiscard]] CompressedRows view() const { return {begins.data(), columns.data()}; }
};

class GraphAttention : public ::testing::TestWithParam<Target> {
 protected:
  /// Runs a kernel of this target and the oracle over all rows, in two parts, and compares.
  template <typename Arguments>
  static void compare(Arguments arguments, int64_t rows, int64_t outputs,
                      void (*GraphAttentionKernel::*function)(const Arguments&, int64_t, int64_t)) {
    std::vector<float> expected(static_cast<size_t>(outputs), -7.0F);
    std::vector<float> actual = expected;
    const int64_t middle = pick(0, rows);
    arguments.output = expected.data();
    (graph_attention_kernel(Target::kScalar).*function)(arguments, 0, rows);
    arguments.output = actual.data();
    (graph_attention_kernel(GetParam()).*function)(arguments, 0, middle);
    (graph_attention_kernel(GetParam()).*function)(arguments, middle, rows);
    RC_ASSERT(nearly_equal(expected, actual));
  }
};

TEST_P(GraphAttention, SparseProductAgreesWithTheReference) {
  EXPECT_TRUE(rc::check("sparse product", [] {
    const int64_t rows = pick(0, 12);
    const int64_t features = pick(1, 20);
    const int64_t width = pick(1, 150);
    const RandomRows places(rows, features);
    const auto values = random_floats(places.entries(), 1);
    const auto weight = random_floats(features * width, 2);
    compare<SparseProductArguments>({places.view(), values.data(), weight.data(), width, nullptr},
                                    rows, rows * width, &GraphAttentionKernel::sparse_product);
  }));
}

TEST_P(GraphAttention, ColumnProductAgreesWithTheReference) {
  EXPECT_TRUE(rc::check("column product", [] {
    const int64_t rows = pick(0, 40);
    const int64_t features = pick(1, 30);
    const int64_t width = pick(1, 40);
    const RandomRows places(rows, features);
    const auto values = random_floats(places.entries(), 1);
    auto weight = random_floats(features * width, 2);
    const int64_t kept = pick(0, 9);  // of ten
    for (size_t i = 0; i < weight.size(); ++i) {
      if (static_cast<int64_t>(i * 7 % 10) >= kept) weight[i] = 0;
    }
    const auto count = static_cast<size_t>(rows * width);
    std::vector<float> expected(count, -7.0F);
    graph_attention_kernel(Target::kScalar)
        .sparse_product({places.view(), values.data(), weight.data(), width, expected.data()}, 0,
                        rows);
    const PackedColumns columns(weight.data(), features, width, pick(1, features));
    for (const Target target : {GetParam(), Target::kScalar}) {
      const GraphAttentionKernel kernel = graph_attention_kernel(target);
      std::vector<float> scratch(static_cast<size_t>(kernel.block_rows * (features + width)));
      std::vector<float> actual(count, -7.0F);
      const ColumnProductArguments arguments{places.view(),  values.data(),
                                             columns.view(), transpose_kernel(target),
                                             scratch.data(), actual.data()};
      const int64_t middle = pick(0, rows);
      kernel.column_product(arguments, 0, middle);
      kernel.column_product(arguments, middle, rows);
      RC_ASSERT(nearly_equal(expected, actual));
    }
  }));
}

TEST_P(GraphAttention, HeadScoresAgreeWithTheReference) {
  EXPECT_TRUE(rc::check("head scores", [] {
    const int64_t rows = pick(0, 12);
    const int64_t heads = pick(1, 9);
    const int64_t size = *rc::gen::arbitrary<bool>() ? 4 * pick(1, 6) : pick(1, 40);
    const auto input = random_floats(rows * heads * size, 1);
    const auto weight = random_floats(heads * size, 2);
    compare<HeadScoresArguments>({input.data(), weight.data(), heads, size, nullptr}, rows,
                                 rows * heads, &GraphAttentionKernel::head_scores);
  }));
}

TEST_P(GraphAttention, EdgeSoftmaxAgreesWithTheReference) {
  EXPECT_TRUE(rc::check("edge softmax", [] {
    const int64_t nodes = pick(1, 12);
    const int64_t heads = *rc::gen::arbitrary<bool>() ? 1 : pick(1, 20);
    const RandomRows edges(nodes, nodes);
    auto target = random_floats(nodes * heads, 1);
    const auto source = random_floats(nodes * heads, 2);
    for (float& score : target) score *= 100;  // far beyond what exp() takes as it is
    compare<EdgeSoftmaxArguments>(
        {edges.view(), target.data(), source.data(), heads, 0.2F, nullptr}, nodes,
        edges.entries() * heads, &GraphAttentionKernel::edge_softmax);
  }));
}

TEST_P(GraphAttention, EdgeSumAgreesWithTheReference) {
  EXPECT_TRUE(rc::check("edge sum", [] {
    const int64_t nodes = pick(1, 12);
    const int64_t heads = pick(1, 9);
    const int64_t size = *rc::gen::arbitrary<bool>() ? 8 * pick(1, 4) : pick(1, 40);
    const RandomRows edges(nodes, nodes);
    const auto shares = random_floats(edges.entries() * heads, 1);
    const auto input = random_floats(nodes * heads * size, 2);
    compare<EdgeSumArguments>({edges.view(), shares.data(), input.data(), heads, size, nullptr},
                              nodes, nodes * heads * size, &GraphAttentionKernel::edge_sum);
  }));
}

TEST_P(GraphAttention, EluAgreesWithTheReference) {
  EXPECT_TRUE(rc::check("elu", [] {
    const int64_t count = pick(0, 100);
    auto input = random_floats(count, 1);
    for (float& value : input) value *= static_cast<float>(pick(1, 200));
    compare<EluArguments>({input.data(), 1.5F, nullptr}, count, count, &GraphAttentionKernel::elu);
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, GraphAttention, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
