// The quadratic programs of one layer: that they are solved, that masks nest, and that what is
// frozen stays.
#include "train/torch/layer_reconstruction.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

namespace strata::train {
namespace {

/// A layer of 6 rows and 20 columns that sees correlated inputs, in `groups` groups.
struct Layer {
  at::Tensor weight;
  LayerMoments moments;
};
Layer random_layer(uint64_t seed, int64_t groups = 1) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const at::Tensor mix = at::randn({groups, 20, 20}, generator);
  const at::Tensor x = at::bmm(mix, at::randn({groups, 20, 200}, generator));
  Layer layer;
  layer.weight = at::randn({groups, 6, 20}, generator);
  const at::Tensor y = at::bmm(layer.weight, x);
  layer.moments.gram = at::bmm(x, x.transpose(1, 2));
  layer.moments.cross = at::bmm(y, x.transpose(1, 2));
  layer.moments.energy = y.square().sum().item<double>();
  damp(layer.moments, layer.weight, 1e-4);
  return layer;
}

int64_t count(const at::Tensor& mask) { return mask.sum().item<int64_t>(); }
bool inside(const at::Tensor& a, const at::Tensor& b) { return at::all(a <= b).item<bool>(); }

TEST(LayerReconstruction, MasksNestAndHaveTheirCounts) {
  for (const int64_t groups : {1, 3}) {
    const Layer layer = random_layer(1, groups);
    const std::vector<LayerMoments> moments(3, layer.moments);
    const std::vector<int64_t> counts = {10 * groups, 40 * groups, 90 * groups};
    const MaskPath path = prune_gradually(layer.weight, {}, moments, counts);
    for (size_t k = 0; k < 3; ++k) {
      EXPECT_EQ(count(path.masks[k]), counts[k]);
      EXPECT_TRUE(at::equal(path.values[k] * path.masks[k], path.values[k]));
      if (k > 0) {
        EXPECT_TRUE(inside(path.masks[k - 1], path.masks[k]));
      }
    }
    EXPECT_GT(relative_error(moments[0], path.values[0]),
              relative_error(moments[1], path.values[1]));
  }
}

TEST(LayerReconstruction, ItBeatsTheLargestWeights) {
  const Layer layer = random_layer(2);
  const int64_t kept = 40;
  const MaskPath path = prune_gradually(layer.weight, {}, {&layer.moments, 1}, {&kept, 1});
  const at::Tensor order = std::get<1>(layer.weight.abs().flatten().topk(kept));
  at::Tensor largest = at::zeros_like(layer.weight);
  largest.view({-1}).index_fill_(0, order, 1);
  EXPECT_LT(relative_error(layer.moments, path.values[0]),
            0.5 * relative_error(layer.moments, layer.weight * largest));
}

TEST(LayerReconstruction, ValuesAreTheLeastSquaresOnTheirMask) {
  const Layer layer = random_layer(3);
  const int64_t kept = 60;
  const MaskPath path = prune_gradually(layer.weight, {}, {&layer.moments, 1}, {&kept, 1});
  // At the optimum the gradient is zero where a weight may move.
  const at::Tensor gradient =
      (at::bmm(path.values[0], layer.moments.gram) - layer.moments.cross) * path.masks[0];
  EXPECT_LT(gradient.abs().max().item<float>(),
            1e-3F * layer.moments.cross.abs().max().item<float>());
}

TEST(LayerReconstruction, WithEverythingKeptNothingChanges) {
  const Layer layer = random_layer(4);
  const int64_t all = layer.weight.numel();
  const MaskPath path = prune_gradually(layer.weight, {}, {&layer.moments, 1}, {&all, 1});
  EXPECT_LT(relative_error(layer.moments, path.values[0]), 1e-5);
}

TEST(LayerReconstruction, FrozenWeightsStayBitForBit) {
  const Layer layer = random_layer(5);
  const int64_t few = 20;
  const MaskPath first = prune_gradually(layer.weight, {}, {&layer.moments, 1}, {&few, 1});
  const at::Tensor start = at::where(first.masks[0] > 0, first.values[0], layer.weight);
  const int64_t more = 70;
  const MaskPath second = prune_gradually(start, first.masks[0], {&layer.moments, 1}, {&more, 1});
  EXPECT_EQ(count(second.masks[0]), more);
  EXPECT_TRUE(inside(first.masks[0], second.masks[0]));
  EXPECT_TRUE(at::equal(second.values[0] * first.masks[0], first.values[0]));
  EXPECT_LT(relative_error(layer.moments, second.values[0]),
            relative_error(layer.moments, first.values[0]));
}

TEST(LayerReconstruction, ACompromiseLiesBetweenTheLevels) {
  const Layer layer = random_layer(6);
  const std::vector<LayerMoments> moments(2, layer.moments);
  const std::vector<int64_t> counts = {25, 70};
  const MaskPath path = prune_gradually(layer.weight, {}, moments, counts);
  const std::vector<double> equal = {1, 1};
  const at::Tensor both = solve_values(moments, path.masks, equal, path.values[1], {});
  const auto error = [&](const at::Tensor& values, size_t level) {
    return relative_error(moments[level], values * path.masks[level]);
  };
  EXPECT_LE(error(both, 0), error(path.values[1], 0));
  EXPECT_GE(error(both, 0), error(path.values[0], 0) - 1e-6);
  EXPECT_LE(error(both, 0) + error(both, 1),
            error(path.values[1], 0) + error(path.values[1], 1) + 1e-6);
}

}  // namespace
}  // namespace strata::train
