// Operators over compressed rows: what is inferred, what is refused, what they cost.
#include <gtest/gtest.h>

#include "graph/builder.h"
#include "one_node.h"

namespace strata::graph {
namespace {

constexpr auto kInt = DataType::kInt32;
constexpr auto kFloat = DataType::kFloat32;

const Input row_begins = {{"nodes+1"}, kInt};
const Input columns = {{"edges"}, kInt};

TEST(CompressedRows, RowsAreOneFewerThanTheirBegins) {
  const std::vector<Input> inputs = {row_begins, columns, {{"edges"}}, {{50, 64}}};
  EXPECT_EQ(inferred(ours("SparseProduct", inputs)), "[nodes,64]");
  EXPECT_EQ(inferred(ours("SparseProduct", inputs), {{"nodes+1", 8}}), "[7,64]");
  const std::vector<Input> other = {{{"n"}, kInt}, columns, {{"edges"}}, {{50, 64}}};
  EXPECT_EQ(inferred(ours("SparseProduct", other)), "[?,64]");
}

TEST(CompressedRows, AttentionKeepsHeadsApart) {
  EXPECT_EQ(inferred(ours("HeadScores", {{{"nodes", 64}}, {{8, 8}}})), "[nodes,8]");
  EXPECT_EQ(inferred(ours("EdgeSoftmax", {row_begins, columns, {{"nodes", 8}}, {{"nodes", 8}}})),
            "[edges,8]");
  EXPECT_EQ(inferred(ours("EdgeSum", {row_begins, columns, {{"edges", 8}}, {{"nodes", 64}}})),
            "[nodes,64]");
  EXPECT_EQ(inferred(ours("EdgeSum", {row_begins, columns, {{"edges", 8}}, {{"nodes", 64}}},
                          {{"mean_of_heads", int64_t{1}}})),
            "[nodes,8]");
}

TEST(CompressedRows, ErrorsNameTheReason) {
  EXPECT_EQ(inferred(ours("SparseProduct", {{{4}}, columns, {{"edges"}}, {{50, 64}}})),
            refusal("SparseProduct", "input 0 must be of type int32"));
  EXPECT_EQ(
      inferred(ours("SparseProduct", {{{int64_t{0}}, kInt}, columns, {{"edges"}}, {{50, 64}}})),
      refusal("SparseProduct", "the list of row begins is empty"));
  EXPECT_EQ(inferred(ours("SparseProduct", {{{4}, kInt}, {{5}, kInt}, {{6}}, {{50, 64}}})),
            refusal("SparseProduct", "the counts of columns and of values differ: 5 and 6"));
  EXPECT_EQ(inferred(ours("SparseProduct", {{{4}, kInt}, {{5}, kInt}, {{5}}, {{50}}})),
            refusal("SparseProduct", "the weight has shape [50], expected 2 dimensions"));
  EXPECT_EQ(inferred(ours("HeadScores", {{{"nodes", 60}}, {{8, 8}}})),
            refusal("HeadScores", "input has 60 features, the weight of shape [8,8] expects 64"));
  EXPECT_EQ(inferred(ours("EdgeSoftmax", {{{4}, kInt}, columns, {{3, 8}}, {{3, 7}}})),
            refusal("EdgeSoftmax", "the heads of targets and of sources differ: 8 and 7"));
  EXPECT_EQ(inferred(ours("EdgeSoftmax", {{{4}, kInt}, columns, {{4, 8}}, {{4, 8}}})),
            refusal("EdgeSoftmax", "the rows and the scored targets differ: 3 and 4"));
  EXPECT_EQ(inferred(ours("EdgeSoftmax", {row_begins, columns, {{"nodes", 8}}, {{"nodes", 8}}},
                          {{"negative_slope", 2.0F}})),
            refusal("EdgeSoftmax", "attribute 'negative_slope' must be a number from 0 to 1"));
  EXPECT_EQ(inferred(ours("EdgeSum", {row_begins, columns, {{"edges", 8}}, {{"nodes", 60}}})),
            refusal("EdgeSum", "input has 60 features, which do not divide among 8 heads"));
  EXPECT_EQ(inferred("Dropout", {Shape{3}}, {{"ratio", 1.0F}}),
            refusal("Dropout", "attribute 'ratio' must be at least 0 and below 1"));
}

TEST(CompressedRows, AWeightIsUsedByEveryEntryOnTheAverage) {
  Model model;
  GraphBuilder builder(model, "main");
  builder.input("begins", {"nodes+1"}, kInt);
  builder.input("columns", {"entries"}, kInt);
  builder.input("values", {"entries"});
  builder.parameter("w", {10, 6}, ParameterRole::kWeight);
  builder.parameter("a", {2, 3}, ParameterRole::kWeight);
  const std::string domain(kStrataDomain);
  builder.node("x", "SparseProduct", {"begins", "columns", "values", "w"}, {}, domain);
  builder.output(builder.node("s", "HeadScores", {"x", "a"}, {}, domain), "scores", {"nodes", 2});
  builder.finish();
  const auto costs =
      count_macs(model, model.graphs[0], {{"nodes", 7}, {"nodes+1", 8}, {"entries", 47}});
  ASSERT_TRUE(costs.ok()) << costs.status().message();
  ASSERT_EQ(costs->size(), 2U);
  EXPECT_EQ(costs->at(0).macs_per_nonzero, 5);  // 47 / 10, rounded
  EXPECT_EQ(costs->at(1).macs_per_nonzero, 7);
  EXPECT_EQ(costs->at(1).dense_macs, 7 * 6);
}

TEST(UsualSizes, AreReadFromTheMetadata) {
  Model model;
  EXPECT_TRUE(usual_sizes(model)->empty());
  model.metadata["sizes"] = "nodes=7 nodes+1=8";
  EXPECT_EQ(*usual_sizes(model), (Bindings{{"nodes", 7}, {"nodes+1", 8}}));
  for (const char* bad : {"nodes", "nodes=", "=3", "nodes=-1", "nodes=3x", "nodes=99999999999"}) {
    model.metadata["sizes"] = bad;
    EXPECT_EQ(usual_sizes(model).status().message(),
              "the model's metadata 'sizes' hold '" + std::string(bad) + "', expected SYMBOL=SIZE");
  }
}

}  // namespace
}  // namespace strata::graph
