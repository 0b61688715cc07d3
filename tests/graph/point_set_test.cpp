// Operators over sets of points: what is inferred, and what is refused.
#include <gtest/gtest.h>

#include "one_node.h"

namespace strata::graph {
namespace {

constexpr auto kInt = DataType::kInt32;

const Input cloud = {{"batch", "points", 3}};
const Input centres = {{"batch", 128, 3}};
const Attributes query = {{"count", int64_t{32}}, {"radius", 0.2F}};

TEST(PointSet, SamplesAndNeighboursAreIndices) {
  const Model sampling = ours("FarthestPointSampling", {cloud}, {{"count", int64_t{512}}});
  EXPECT_EQ(inferred(sampling), "[batch,512]");
  EXPECT_EQ(inferred(sampling, {{"points", 512}}), "[batch,512]");
  const auto table = infer_shapes(sampling, sampling.graphs[0]);
  EXPECT_EQ(table->at("y").type, kInt);
  EXPECT_EQ(inferred(ours("GatherPoints", {{{"batch", "points", 6}}, {{"batch", 128}, kInt}})),
            "[batch,128,6]");
  EXPECT_EQ(inferred(ours("BallQuery", {centres, cloud}, query)), "[batch,128,32]");
}

TEST(PointSet, GroupsHaveChannelsFirstAndCentresLast) {
  const Input neighbours = {{"batch", 128, 32}, kInt};
  EXPECT_EQ(inferred(ours("GroupPoints", {centres, cloud, neighbours})), "[batch,3,32,128]");
  EXPECT_EQ(inferred(ours("GroupPoints", {centres, cloud, neighbours, {{"batch", 64, "points"}}})),
            "[batch,67,32,128]");
  EXPECT_EQ(
      inferred(ours("GroupPoints", {centres, cloud, neighbours, {{"batch", 64, 1, "points"}}})),
      "[batch,67,32,128]");
}

TEST(PointSet, FewerPointsThanAskedAreRefused) {
  const Model sampling = ours("FarthestPointSampling", {cloud}, {{"count", int64_t{512}}});
  EXPECT_EQ(
      inferred(sampling, {{"points", 511}}),
      refusal("FarthestPointSampling", "a cloud has 511 points, but 512 are to be chosen of it"));
  EXPECT_EQ(
      inferred(sampling, {{"points", 0}}),
      refusal("FarthestPointSampling", "a cloud has 0 points, but 512 are to be chosen of it"));
  EXPECT_EQ(inferred(ours("BallQuery", {centres, cloud}, query), {{"points", 0}}),
            refusal("BallQuery", "the cloud is empty"));
}

TEST(PointSet, ErrorsNameTheReason) {
  const std::string sampling = "FarthestPointSampling";
  EXPECT_EQ(inferred(ours(sampling, {{{"batch", "points", 2}}}, {{"count", int64_t{1}}})),
            refusal(sampling, "the points have 2 coordinates, expected 3"));
  EXPECT_EQ(inferred(ours(sampling, {cloud})),
            refusal(sampling, "attribute 'count' must be given and at least 1"));
  EXPECT_EQ(inferred(ours(sampling, {{{"batch", "points", 3}, kInt}}, {{"count", int64_t{1}}})),
            refusal(sampling, "the points must be of type float32"));
  EXPECT_EQ(inferred(ours("BallQuery", {centres, cloud}, {{"count", int64_t{1}}})),
            refusal("BallQuery", "attribute 'radius' must be given and a number above 0"));
  EXPECT_EQ(inferred(ours("BallQuery", {{{2, 128, 3}}, {{3, 128, 3}}}, query)),
            refusal("BallQuery", "the batches of inputs 0 and 1 differ: 2 and 3"));
  EXPECT_EQ(
      inferred(ours("GroupPoints", {centres, cloud, {{"batch", 127, 32}, kInt}})),
      refusal("GroupPoints", "the counts of centres and of their neighbours differ: 128 and 127"));
  const Input neighbours = {{"batch", 128, 32}, kInt};
  EXPECT_EQ(
      inferred(ours("GroupPoints", {centres, cloud, neighbours, {{"batch", 64, 2, "points"}}})),
      refusal("GroupPoints",
              "the features have shape [batch,64,2,points], expected [batch,channels,points] or "
              "[batch,channels,1,points]"));
  EXPECT_EQ(
      inferred(ours("GroupPoints", {centres, {{"batch", 9, 3}}, neighbours, {{"batch", 64, 8}}})),
      refusal("GroupPoints", "the counts of points and of their features differ: 9 and 8"));
  EXPECT_EQ(inferred(ours("GatherPoints", {cloud, {{"batch", 5}}})),
            refusal("GatherPoints", "the list of indices must be of type int32"));
}

}  // namespace
}  // namespace strata::graph
