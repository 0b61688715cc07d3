// Densities from curves: budgets met, levels nested, sensitive layers kept denser.
#include "train/torch/density_curves.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "train/error.h"

namespace strata::train {
namespace {

DensityCurve curve(int64_t elements, double scale, double cost = 1) {
  DensityCurve curve;
  curve.elements = elements;
  curve.cost = cost;
  curve.densities = {0.05, 0.1, 0.3, 0.6, 0.9};
  for (const double density : curve.densities) {
    curve.distances.push_back(scale * (1 - density) * (1 - density));
  }
  return curve;
}

double cost(const std::vector<DensityCurve>& curves, const std::vector<int64_t>& counts) {
  double sum = 0;
  for (size_t i = 0; i < curves.size(); ++i) {
    sum += curves[i].cost * static_cast<double>(counts[i]);
  }
  return sum;
}

TEST(DensityCurves, SensitiveLayersKeepMore) {
  const std::vector<DensityCurve> curves = {curve(1000, 1), curve(1000, 100)};
  const std::vector<double> shares = {0.3};
  const auto counts = allocate_by_curves(curves, shares);
  EXPECT_LT(counts[0][0], counts[0][1]);
}

TEST(DensityCurves, DearLayersKeepLess) {
  const std::vector<DensityCurve> curves = {curve(1000, 1, 10), curve(1000, 1, 1)};
  const std::vector<double> shares = {0.3};
  const auto counts = allocate_by_curves(curves, shares);
  EXPECT_LT(counts[0][0], counts[0][1]);
}

TEST(DensityCurves, LayersThatAreNotPrunableKeepAll) {
  std::vector<DensityCurve> curves = {curve(1000, 1), curve(100, 1)};
  curves[1].prunable = false;
  const std::vector<double> shares = {0.2, 0.5};
  const auto counts = allocate_by_curves(curves, shares);
  EXPECT_EQ(counts[0][1], 100);
  EXPECT_EQ(counts[1][1], 100);
}

TEST(DensityCurves, ImpossibleSharesAreRefused) {
  std::vector<DensityCurve> curves = {curve(1000, 1), curve(1000, 1)};
  curves[1].prunable = false;
  const std::vector<double> shares = {0.4};
  EXPECT_THROW(static_cast<void>(allocate_by_curves(curves, shares)), Error);
}

RC_GTEST_PROP(DensityCurves, BudgetsAreMetAndLevelsNest, ()) {
  std::vector<DensityCurve> curves;
  const int layers = *rc::gen::inRange(1, 6);
  curves.reserve(static_cast<size_t>(layers));
  for (int i = 0; i < layers; ++i) {
    curves.push_back(
        curve(*rc::gen::inRange(50, 5000), *rc::gen::inRange(1, 1000), *rc::gen::inRange(1, 50)));
  }
  const std::vector<double> shares = {0.15, 0.4, 0.8, 1.0};
  double dense = 0;
  for (const DensityCurve& c : curves) dense += c.cost * static_cast<double>(c.elements);
  const auto counts = allocate_by_curves(curves, shares);
  for (size_t k = 0; k < shares.size(); ++k) {
    RC_ASSERT(cost(curves, counts[k]) <= shares[k] * dense * (1 + 1e-9));
    RC_ASSERT(cost(curves, counts[k]) > shares[k] * dense * 0.9 - 100);
    for (size_t i = 0; i < curves.size(); ++i) {
      RC_ASSERT(counts[k][i] >= 1 && counts[k][i] <= curves[i].elements);
      if (k > 0) RC_ASSERT(counts[k][i] >= counts[k - 1][i]);
    }
  }
}

}  // namespace
}  // namespace strata::train
