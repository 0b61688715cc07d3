// Multiply-adds: hand-counted examples, and what must hold for any convolution.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "graph/builder.h"
#include "one_node.h"

namespace strata::graph {
namespace {

NodeCost only_cost(const Model& model, const Bindings& bindings = {}) {
  const Result<std::vector<NodeCost>> costs = count_macs(model, model.graphs[0], bindings);
  EXPECT_TRUE(costs.ok()) << costs.status().message();
  EXPECT_EQ(costs->size(), 1U);
  return costs->front();
}

/// One node whose input 1 is the weight "w".
Model weighted(const std::string& op, const Shape& input, Ints weight, Attributes attributes = {}) {
  Model model = one_node(op, {input}, std::move(attributes));
  model.parameters.push_back({"w", std::move(weight), ParameterRole::kWeight, true});
  model.graphs[0].nodes[0].inputs.emplace_back("w");
  return model;
}

TEST(CountMacs, HandCounted) {
  const NodeCost conv = only_cost(weighted("Conv", {1, 3, 8, 8}, {16, 3, 3, 3}));
  EXPECT_EQ(conv.dense_macs, 16 * 3 * 9 * 36);
  EXPECT_EQ(conv.macs_per_nonzero, 36);
  EXPECT_EQ(conv.weight, "w");
  EXPECT_EQ(conv.node, 0U);
  const NodeCost gemm =
      only_cost(weighted("Gemm", {"n", 64}, {10, 64}, {{"transB", int64_t{1}}}), {{"n", 4}});
  EXPECT_EQ(gemm.dense_macs, 4 * 640);
  EXPECT_EQ(gemm.macs_per_nonzero, 4);
  const NodeCost matmul = only_cost(weighted("MatMul", {2, 7, 64}, {64, 10}));
  EXPECT_EQ(matmul.dense_macs, 2 * 7 * 640);
  EXPECT_EQ(matmul.macs_per_nonzero, 14);
}

RC_GTEST_PROP(CountMacs, EveryWeightIsUsedOncePerOutputPosition, ()) {
  const auto pick = [](int64_t most) { return *rc::gen::inRange<int64_t>(1, most + 1); };
  const int64_t batch = pick(3), in = pick(4), out = pick(4), group = pick(3);
  const int64_t kernel = pick(3), size = pick(9) + 2, stride = pick(3);
  const Model model =
      weighted("Conv", {batch, in * group, size, size}, {out * group, in, kernel, kernel},
               {{"group", group}, {"strides", Ints{stride, stride}}});
  int64_t count = 0;
  for (int64_t y = 0; y + kernel <= size; y += stride) {
    for (int64_t x = 0; x + kernel <= size; x += stride) {
      for (int64_t o = 0; o < out * group; ++o) count += in * kernel * kernel;
    }
  }
  const NodeCost cost = only_cost(model);
  RC_ASSERT(cost.dense_macs == count * batch);
  RC_ASSERT(cost.macs_per_nonzero * model.parameters[0].element_count() == cost.dense_macs);
}

TEST(CountMacs, LeavesOutProductsWithoutAWeight) {
  const Model model = one_node("MatMul", {Shape{4, 3}, Shape{3, 5}});
  const Result<std::vector<NodeCost>> costs = count_macs(model, model.graphs[0], {});
  ASSERT_TRUE(costs.ok());
  EXPECT_TRUE(costs->empty());
}

TEST(CountMacs, AsksForUnboundSymbols) {
  const Model model = weighted("Conv", {"n", 3, 8, 8}, {16, 3, 3, 3});
  EXPECT_EQ(count_macs(model, model.graphs[0], {}).status().message(),
            "graph 'main': node 'n' (Conv): how often it applies its weight depends on a size "
            "that is not known; bind every symbol");
}

}  // namespace
}  // namespace strata::graph
