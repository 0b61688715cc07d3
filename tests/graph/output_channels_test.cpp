// What makes one output of a node, in how its weight is stored.
#include "graph/output_channels.h"

#include <gtest/gtest.h>

namespace strata::graph {
namespace {

OutputChannels channels(std::vector<int64_t> shape, const Node& node) {
  Model model;
  model.parameters = {{"w", std::move(shape)}};
  model.graphs = {{"empty", {}, {}, {}}, {"main", {}, {}, {node}}};
  return output_channels(model, model.parameters[0]);
}

Node node(const char* op_type, std::vector<std::string> inputs,
          std::map<std::string, Attribute, std::less<>> attributes = {}) {
  return {"node", op_type, "", std::move(inputs), {"y"}, std::move(attributes)};
}

TEST(OutputChannels, OfAConvolutionAreItsFilters) {
  EXPECT_EQ(channels({8, 3, 5, 5}, node("Conv", {"x", "w"})), (OutputChannels{8, 75}));
}

TEST(OutputChannels, OfAProductAreRowsOrColumns) {
  const Attribute yes = int64_t{1};
  EXPECT_EQ(channels({8, 3}, node("Gemm", {"x", "w"}, {{"transB", yes}})), (OutputChannels{8, 3}));
  EXPECT_EQ(channels({8, 3}, node("Gemm", {"x", "w"})), (OutputChannels{3, 1}));
  EXPECT_EQ(channels({8, 3}, node("Gemm", {"w", "x"})), (OutputChannels{8, 3}));
  EXPECT_EQ(channels({8, 3}, node("Gemm", {"w", "x"}, {{"transA", yes}})), (OutputChannels{3, 1}));
  EXPECT_EQ(channels({4, 8, 3}, node("MatMul", {"x", "w"})), (OutputChannels{3, 1}));
  EXPECT_EQ(channels({4, 8, 3}, node("MatMul", {"w", "x"})), (OutputChannels{8, 3}));
}

TEST(OutputChannels, OfARecurrentLayerAreTheRowsOfItsGates) {
  EXPECT_EQ(channels({2, 12, 5}, node("LSTM", {"x", "w", "r"})), (OutputChannels{24, 5}));
  EXPECT_EQ(channels({1, 9, 3}, node("GRU", {"x", "r", "w"})), (OutputChannels{9, 3}));
}

TEST(OutputChannels, OfASparseProductAreColumns) {
  Node product = node("SparseProduct", {"rows", "columns", "values", "w"});
  product.domain = kStrataDomain;
  EXPECT_EQ(channels({30, 8}, product), (OutputChannels{8, 1}));
}

TEST(OutputChannels, OfAnythingElseFollowDimensionZero) {
  EXPECT_EQ(channels({30, 8}, node("Gather", {"w", "x"})), (OutputChannels{30, 8}));
  EXPECT_EQ(channels({30, 8}, node("Relu", {"x"})), (OutputChannels{30, 8}));
  EXPECT_EQ(channels({6}, node("MatMul", {"x", "w"})), (OutputChannels{6, 1}));
  EXPECT_EQ(channels({}, node("Mul", {"x", "w"})), (OutputChannels{1, 1}));
}

TEST(OutputChannels, DivideAllElements) {
  const OutputChannels columns{3, 2};
  for (uint32_t position = 0; position < 12; ++position) {
    EXPECT_EQ(columns.of(position), position / 2 % 3);
  }
}

}  // namespace
}  // namespace strata::graph
