// Allocation of density to layers: exact totals, bounds, order, formulae, FLOPs.
#include "sparse/allocation.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace strata::sparse {
namespace {

struct Network {
  std::vector<LayerBudget> layers;
  std::vector<std::vector<float>> magnitudes;

  [[nodiscard]] int64_t elements() const {
    int64_t total = 0;
    for (const LayerBudget& layer : layers) total += layer.elements;
    return total;
  }
  [[nodiscard]] int64_t needed() const {
    int64_t total = 0;
    for (const LayerBudget& layer : layers) total += lower(layer);
    return total;
  }
  [[nodiscard]] static int64_t lower(const LayerBudget& layer) {
    return layer.prunable ? std::max<int64_t>(1, layer.at_least) : layer.elements;
  }
  [[nodiscard]] double dense_macs() const {
    double total = 0;
    for (const LayerBudget& layer : layers) {
      total += static_cast<double>(layer.elements * layer.macs_per_nonzero);
    }
    return total;
  }
  [[nodiscard]] double macs(const std::vector<int64_t>& counts) const {
    double total = 0;
    for (size_t i = 0; i < layers.size(); ++i) {
      total += static_cast<double>(counts[i] * layers[i].macs_per_nonzero);
    }
    return total;
  }
  /// How far from `target` multiply-adds an allocation may be: no closer than elements allow.
  [[nodiscard]] double flops_tolerance(double target) const {
    int64_t dearest = 0;
    for (const LayerBudget& each : layers) {
      if (lower(each) < each.elements) dearest = std::max(dearest, each.macs_per_nonzero);
    }
    return std::max(1.0001e-3 * target, 0.5001 * static_cast<double>(dearest));
  }
  [[nodiscard]] Result<std::vector<int64_t>> allocate(AllocationMethod method,
                                                      const LevelBudget& budget) const {
    return sparse::allocate(
        method, layers, budget,
        std::vector<std::span<const float>>(magnitudes.begin(), magnitudes.end()));
  }
};

LayerBudget layer(std::string name, std::vector<int64_t> shape, int64_t macs_per_nonzero) {
  const int64_t elements =
      std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  return {.name = std::move(name),
          .shape = std::move(shape),
          .elements = elements,
          .macs_per_nonzero = macs_per_nonzero};
}

Network any_network(int64_t smallest_width = 1, int64_t largest_width = 20) {
  Network network;
  std::mt19937 random(*rc::gen::arbitrary<uint32_t>());
  // Few distinct magnitudes in some networks, so that there are ties.
  std::uniform_int_distribution<int> magnitude(0, *rc::gen::element(0, 3, 1 << 20));
  const auto count = *rc::gen::inRange(1, 8);
  for (int i = 0; i < count; ++i) {
    LayerBudget next =
        layer("layer" + std::to_string(i),
              {*rc::gen::inRange(smallest_width, largest_width),
               *rc::gen::inRange(smallest_width, largest_width), *rc::gen::inRange<int64_t>(1, 4)},
              *rc::gen::element<int64_t>(0, 1, 7, 49, 196, 784, 12544));
    next.prunable = *rc::gen::inRange(0, 5) != 0;
    next.at_least = *rc::gen::inRange<int64_t>(0, next.elements / 4 + 1);
    std::vector<float>& values =
        network.magnitudes.emplace_back(static_cast<size_t>(next.elements));
    for (float& value : values) value = static_cast<float>(magnitude(random)) * 0x1p-20F;
    network.layers.push_back(std::move(next));
  }
  return network;
}

AllocationMethod any_method() {
  return *rc::gen::element(AllocationMethod::kUniform, AllocationMethod::kErdosRenyiKernel,
                           AllocationMethod::kGlobalMagnitude);
}

/// A network of which at least the first layer costs multiply-adds.
Network any_costly_network(int64_t smallest_width = 1, int64_t largest_width = 20) {
  Network network = any_network(smallest_width, largest_width);
  network.layers[0].macs_per_nonzero = *rc::gen::element<int64_t>(1, 49, 12544);
  return network;
}

/// A share that the network can meet.
double any_share(const Network& network) {
  const double total = static_cast<double>(network.elements());
  return static_cast<double>(*rc::gen::inRange(network.needed(), network.elements() + 1)) / total;
}

void expect_within_bounds(const Network& network, const std::vector<int64_t>& counts,
                          double share) {
  RC_ASSERT(counts.size() == network.layers.size());
  int64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    RC_ASSERT(counts[i] >= Network::lower(network.layers[i]));
    RC_ASSERT(counts[i] <= network.layers[i].elements);
    total += counts[i];
  }
  RC_ASSERT(total == std::llround(share * static_cast<double>(network.elements())));
}

RC_GTEST_PROP(Allocation, MeetsTheWeightsBudgetExactlyWithinEveryBound, ()) {
  const Network network = any_network();
  const double share = any_share(network);
  const auto counts = network.allocate(any_method(), {.weights = share, .flops = {}});
  RC_ASSERT(counts.ok());
  expect_within_bounds(network, counts.value(), share);
}

RC_GTEST_PROP(Allocation, ALargerBudgetTakesFromNoLayer, ()) {
  Network network = any_network();
  const AllocationMethod method = any_method();
  double small = any_share(network);
  double large = any_share(network);
  if (small > large) std::swap(small, large);
  const auto sparser = network.allocate(method, {.weights = small, .flops = {}});
  const auto denser = network.allocate(method, {.weights = large, .flops = {}});
  RC_ASSERT(sparser.ok() && denser.ok());
  for (size_t i = 0; i < network.layers.size(); ++i) {
    RC_ASSERT(denser.value()[i] >= sparser.value()[i] - 1);  // remainders may move one element
    network.layers[i].at_least = sparser.value()[i];
  }
  const auto nested = network.allocate(method, {.weights = large, .flops = {}});
  RC_ASSERT(nested.ok());
  expect_within_bounds(network, nested.value(), large);
}

RC_GTEST_PROP(Allocation, ABudgetBelowTheLeastIsRefusedWithTheLeast, ()) {
  Network network = any_network();
  network.layers.push_back(layer("last", {4, 5}, 1));  // so that at least two elements are needed
  network.magnitudes.emplace_back(20, 0.5F);
  const double total = static_cast<double>(network.elements());
  const double share = (static_cast<double>(network.needed()) - 1.0) / total;
  const AllocationMethod method = any_method();
  const auto refused = network.allocate(method, {.weights = share, .flops = {}});
  RC_ASSERT(!refused.ok());
  const std::string marker = "nearest reachable share is ";
  const size_t place = refused.status().message().find(marker);
  RC_ASSERT(place != std::string::npos);
  const double named =
      0.01 * std::strtod(refused.status().message().c_str() + place + marker.size(), nullptr);
  RC_ASSERT(network.allocate(method, {.weights = named, .flops = {}}).ok());
}

RC_GTEST_PROP(Allocation, MeetsBothBudgetsOrNamesWhatItCanReach, ()) {
  const Network network = any_costly_network();
  const AllocationMethod method = any_method();
  const double share = any_share(network);
  const double flops = *rc::gen::inRange(1, 1001) * 1e-3;
  const auto counts = network.allocate(method, {.weights = share, .flops = flops});
  if (counts.ok()) {
    expect_within_bounds(network, counts.value(), share);
    const double target = flops * network.dense_macs();
    RC_ASSERT(std::abs(network.macs(counts.value()) - target) <= network.flops_tolerance(target));
  } else {
    RC_ASSERT(counts.status().message().find("nearest reachable FLOPs share is ") !=
              std::string::npos);
  }
}

/// Multiply-adds when the budget goes to the cheapest (or dearest) layers first.
double extreme_macs(const Network& network, double share, bool cheapest) {
  std::vector<size_t> order(network.layers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const int64_t cost_a = network.layers[a].macs_per_nonzero;
    const int64_t cost_b = network.layers[b].macs_per_nonzero;
    return cheapest ? cost_a < cost_b : cost_a > cost_b;
  });
  std::vector<int64_t> counts;
  for (const LayerBudget& each : network.layers) counts.push_back(Network::lower(each));
  int64_t left = std::llround(share * static_cast<double>(network.elements())) - network.needed();
  for (const size_t i : order) {
    const int64_t more = std::min(left, network.layers[i].elements - counts[i]);
    counts[i] += more;
    left -= more;
  }
  return network.macs(counts);
}

RC_GTEST_PROP(Allocation, ReachesEveryFlopsShareBetweenTheExtremes, ()) {
  const Network network =
      *rc::gen::arbitrary<bool>() ? any_costly_network(60, 120) : any_costly_network();
  const double share = any_share(network);
  const double part = *rc::gen::inRange(0, 101) * 0.01;
  const double low = extreme_macs(network, share, true);
  const double high = extreme_macs(network, share, false);
  const double flops = (low + part * (high - low)) / network.dense_macs();
  const auto counts = network.allocate(any_method(), {.weights = share, .flops = flops});
  if (!counts.ok()) RC_FAIL(counts.status().message());
}

RC_GTEST_PROP(Allocation, AFlopsShareBeyondTheExtremesIsRefusedWithTheExtreme, ()) {
  const Network network = any_costly_network();
  const double share = any_share(network);
  const double most = extreme_macs(network, share, false) / network.dense_macs();
  const double element = network.flops_tolerance(0.0) / network.dense_macs();
  const bool below = *rc::gen::arbitrary<bool>() || 1.02 * most + element > 1.0;
  const double extreme = below ? extreme_macs(network, share, true) / network.dense_macs() : most;
  const double flops = below ? 0.98 * extreme - element : 1.02 * extreme + element;
  RC_PRE(flops > 0.0);
  const auto refused = network.allocate(any_method(), {.weights = share, .flops = flops});
  RC_ASSERT(!refused.ok());
  const std::string marker = "nearest reachable FLOPs share is ";
  const size_t place = refused.status().message().find(marker);
  RC_ASSERT(place != std::string::npos);
  const double named =
      std::strtod(refused.status().message().c_str() + place + marker.size(), nullptr);
  RC_ASSERT(std::abs(named - 100.0 * extreme) <= 1e-3 * 100.0 * extreme + 1e-4);
}

TEST(Uniform, EveryLayerHasTheSameDensity) {
  const std::vector<LayerBudget> layers{layer("a", {100, 10}, 1), layer("b", {30, 10}, 9),
                                        layer("c", {7, 10}, 4)};
  const auto counts = allocate(AllocationMethod::kUniform, layers, {.weights = 0.1, .flops = {}});
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(counts.value(), (std::vector<int64_t>{100, 30, 7}));
}

TEST(Uniform, LargestRemaindersGetWhatIsLeft) {
  const std::vector<LayerBudget> layers{layer("a", {7}, 1), layer("b", {9}, 1), layer("c", {9}, 1)};
  const auto counts = allocate(AllocationMethod::kUniform, layers, {.weights = 0.48, .flops = {}});
  ASSERT_TRUE(counts.ok());  // of 3.36, 4.32 and 4.32
  EXPECT_EQ(counts.value(), (std::vector<int64_t>{4, 4, 4}));
}

TEST(Uniform, WhatDenseAndFullLayersTakeComesFromTheOthers) {
  std::vector<LayerBudget> layers{layer("first", {10, 10}, 1), layer("a", {30, 10}, 9),
                                  layer("b", {60, 10}, 4)};
  layers[0].prunable = false;
  const auto counts = allocate(AllocationMethod::kUniform, layers, {.weights = 0.55, .flops = {}});
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(counts.value(), (std::vector<int64_t>{100, 150, 300}));
}

TEST(ErdosRenyiKernel, DensityFollowsSumOverProductOfDimensions) {
  const std::vector<LayerBudget> layers{layer("a", {64, 64, 3, 3}, 1),
                                        layer("b", {128, 64, 1, 1}, 1), layer("c", {1000, 512}, 1)};
  const auto counts =
      allocate(AllocationMethod::kErdosRenyiKernel, layers, {.weights = 0.005, .flops = {}});
  ASSERT_TRUE(counts.ok());
  const double unit = static_cast<double>(counts.value()[0]) / (64 + 64 + 3 + 3);
  EXPECT_NEAR(static_cast<double>(counts.value()[1]) / (128 + 64 + 1 + 1), unit, 0.02 * unit);
  EXPECT_NEAR(static_cast<double>(counts.value()[2]) / (1000 + 512), unit, 0.02 * unit);
}

TEST(ErdosRenyiKernel, ALayerAtItsCapPassesTheRestOn) {
  const std::vector<LayerBudget> layers{layer("tiny", {2, 2}, 1), layer("a", {100, 100}, 1),
                                        layer("b", {200, 100}, 1)};
  const auto counts =
      allocate(AllocationMethod::kErdosRenyiKernel, layers, {.weights = 0.1, .flops = {}});
  ASSERT_TRUE(counts.ok());
  EXPECT_EQ(counts.value()[0], 4);
  EXPECT_EQ(counts.value()[1] + counts.value()[2], 2996);
  EXPECT_NEAR(static_cast<double>(counts.value()[2]) / static_cast<double>(counts.value()[1]), 1.5,
              0.002);
}

RC_GTEST_PROP(GlobalMagnitude, KeepsTheLargestWhereverTheyAre, ()) {
  Network network = any_network();
  std::vector<float> all(static_cast<size_t>(network.elements()));  // all different
  std::iota(all.begin(), all.end(), 1.0F);
  std::shuffle(all.begin(), all.end(), std::mt19937(*rc::gen::arbitrary<uint32_t>()));
  auto next = all.begin();
  for (size_t i = 0; i < network.layers.size(); ++i) {
    network.layers[i].prunable = true;
    network.layers[i].at_least = 0;
    for (float& magnitude : network.magnitudes[i]) magnitude = *next++;
  }
  const double share = any_share(network);
  const auto counts =
      network.allocate(AllocationMethod::kGlobalMagnitude, {.weights = share, .flops = {}});
  RC_ASSERT(counts.ok());
  std::sort(all.begin(), all.end(), std::greater<>());
  const auto kept = static_cast<size_t>(std::llround(share * static_cast<double>(all.size())));
  int64_t forced = 0;  // layers whose only element is there because every layer keeps one
  std::vector<int64_t> largest(network.layers.size(), 0);
  for (size_t i = 0; i < network.layers.size(); ++i) {
    for (const float magnitude : network.magnitudes[i]) {
      if (magnitude >= all[kept - 1]) ++largest[i];
    }
    if (largest[i] == 0) ++forced;
  }
  for (size_t i = 0; i < network.layers.size(); ++i) {
    if (forced == 0) {
      RC_ASSERT(counts.value()[i] == largest[i]);
    } else {
      RC_ASSERT(std::abs(counts.value()[i] - largest[i]) <= forced);
    }
  }
}

TEST(GlobalMagnitude, EqualMagnitudesAreSharedInProportion) {
  Network network;
  network.layers = {layer("a", {100}, 1), layer("b", {300}, 1)};
  network.magnitudes = {std::vector<float>(100, 0.5F), std::vector<float>(300, 0.5F)};
  const auto counts =
      network.allocate(AllocationMethod::kGlobalMagnitude, {.weights = 0.5, .flops = {}});
  ASSERT_TRUE(counts.ok());
  EXPECT_NEAR(static_cast<double>(counts.value()[0]), 50.0, 1.0);
  EXPECT_EQ(counts.value()[0] + counts.value()[1], 200);
}

TEST(GlobalMagnitude, NeedsMagnitudesThatFit) {
  Network network;
  network.layers = {layer("a", {2}, 1), layer("b", {3}, 1)};
  const LevelBudget half{.weights = 0.5, .flops = {}};
  for (const std::vector<std::vector<float>>& bad :
       std::vector<std::vector<std::vector<float>>>{{},
                                                    {{1, 2}},
                                                    {{1, 2}, {1, 2}},
                                                    {{1, 2}, {1, 2, -3}},
                                                    {{1, 2}, {1, 2, NAN}},
                                                    {{1, INFINITY}, {1, 2, 3}}}) {
    network.magnitudes = bad;
    EXPECT_FALSE(network.allocate(AllocationMethod::kGlobalMagnitude, half).ok());
  }
  network.magnitudes = {{1, 2}, {1, 2, 3}};
  EXPECT_TRUE(network.allocate(AllocationMethod::kGlobalMagnitude, half).ok());
}

TEST(Allocation, RefusesSharesThatAreNoShares) {
  const std::vector<LayerBudget> layers{layer("a", {10}, 1)};
  for (const double share : {0.0, -0.1, 1.0001, std::nan("")}) {
    EXPECT_FALSE(
        allocate(AllocationMethod::kUniform, layers, {.weights = share, .flops = {}}).ok());
    EXPECT_FALSE(
        allocate(AllocationMethod::kUniform, layers, {.weights = 0.5, .flops = share}).ok());
  }
}

TEST(Allocation, RefusesLayersThatCannotBe) {
  const LevelBudget half{.weights = 0.5, .flops = {}};
  for (const LayerBudget& bad :
       {LayerBudget{.name = "w", .shape = {}, .elements = 0},
        LayerBudget{.name = "w", .shape = {}, .elements = 4, .at_least = 5},
        LayerBudget{.name = "w", .shape = {}, .elements = 4, .at_least = -1},
        LayerBudget{.name = "w", .shape = {}, .elements = 4, .macs_per_nonzero = -1}}) {
    const auto refused = allocate(AllocationMethod::kUniform, std::vector{bad}, half);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.status().message().find("'w'"), std::string::npos);
  }
}

TEST(Allocation, AFlopsBudgetNeedsAWeightThatCostsSomething) {
  const std::vector<LayerBudget> layers{layer("embedding", {10}, 0)};
  EXPECT_FALSE(allocate(AllocationMethod::kUniform, layers, {.weights = 0.5, .flops = 0.5}).ok());
}

TEST(AllocationMethodNames, ParseAndPrint) {
  for (const AllocationMethod method :
       {AllocationMethod::kUniform, AllocationMethod::kErdosRenyiKernel,
        AllocationMethod::kGlobalMagnitude}) {
    const auto parsed = parse_allocation_method(to_string(method));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed.value(), method);
  }
  const auto unknown = parse_allocation_method("erks");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.status().message().find("uniform, erk, global"), std::string::npos);
}

}  // namespace
}  // namespace strata::sparse
