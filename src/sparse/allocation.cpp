// Shares a budget of non-zeros out to layers. Every method is a demand per layer that grows with
// one scale; the scale is found so that the clamped demands fill the weights budget, and a tilt
// outside of that so that they meet the FLOPs budget.
#include "sparse/allocation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include "core/bit_cast.h"

namespace strata::sparse {

namespace {

constexpr double kFlopsTolerance = 1e-3;  // relative, see flops_tolerance()
constexpr double kFlopsAim = 1e-5;        // relative, where bisection stops early
constexpr double kMaxTilt = 1000.0;       // parts layers whose costs differ by 1 % by e^10
constexpr int kBisections = 200;          // more than a double has bits to halve
constexpr double kFreeCost = 0.5;         // of a weight that no multiply-add needs: below any other

struct MethodName {
  AllocationMethod method;
  const char* name;
};
constexpr std::array<MethodName, 3> kMethodNames{{
    {AllocationMethod::kUniform, "uniform"},
    {AllocationMethod::kErdosRenyiKernel, "erk"},
    {AllocationMethod::kGlobalMagnitude, "global"},
}};

std::string percent_text(double share) {
  std::array<char, 32> text{};
  const int length = std::snprintf(text.data(), text.size(), "%.4f %%", 100.0 * share);
  return {text.data(), static_cast<size_t>(length)};
}

struct Bounds {
  int64_t lower = 1;
  int64_t upper = 1;
};

/// What one layer wants at exp(log_scale), tilted; any number >= 0, never falling with log_scale.
using Demand = std::function<double(size_t layer, double log_scale, double tilt)>;

/// One request to allocate(), checked and in the form that the search works on.
struct Problem {
  std::vector<Bounds> bounds;
  std::vector<double> macs;      ///< per non-zero
  std::vector<double> log_cost;  ///< log of macs, finite
  int64_t weights = 0;           ///< non-zeros to give out
  Demand demand;
};

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

std::vector<double> clamped_demands(const Problem& problem, double log_scale, double tilt) {
  std::vector<double> wanted(problem.bounds.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    wanted[i] =
        std::clamp(problem.demand(i, log_scale, tilt), static_cast<double>(problem.bounds[i].lower),
                   static_cast<double>(problem.bounds[i].upper));
  }
  return wanted;
}

/// Largest-remainder rounding (Hamilton) to the exact total, within the bounds. Remainders are
/// compared in steps of 2^-16, so that the last bit of an exp() does not decide.
std::vector<int64_t> round_to_total(const Problem& problem, const std::vector<double>& wanted) {
  constexpr int kFractionBits = 16;
  std::vector<int64_t> counts(wanted.size());
  std::vector<int64_t> remainder(wanted.size());
  int64_t missing = problem.weights;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const int64_t fixed_point = std::llround(std::ldexp(wanted[i], kFractionBits));
    counts[i] = fixed_point >> kFractionBits;
    remainder[i] = fixed_point - (counts[i] << kFractionBits);
    missing -= counts[i];
  }
  std::vector<size_t> order(wanted.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return remainder[a] > remainder[b]; });
  // The bounds leave room for the total, so both loops end.
  while (missing > 0) {
    for (const size_t i : order) {
      if (missing == 0) break;
      if (counts[i] == problem.bounds[i].upper) continue;
      ++counts[i];
      --missing;
    }
  }
  while (missing < 0) {
    for (auto i = order.rbegin(); i != order.rend() && missing < 0; ++i) {
      if (counts[*i] == problem.bounds[*i].lower) continue;
      --counts[*i];
      ++missing;
    }
  }
  return counts;
}

/// The counts that fill the weights budget at this tilt. A demand that jumps over the budget (equal
/// magnitudes) is met in part, in the same proportion in every layer.
std::vector<int64_t> fill(const Problem& problem, double tilt) {
  const auto total = static_cast<double>(problem.weights);
  double largest_cost = 0.0;
  for (const double cost : problem.log_cost) largest_cost = std::max(largest_cost, std::abs(cost));
  constexpr double kUntiltedRange = 200.0;  // beyond log() of every count and every float
  double high_scale = kUntiltedRange + std::abs(tilt) * largest_cost;
  double low_scale = -high_scale;

  std::vector<double> low;
  std::vector<double> high;
  for (const Bounds& bounds : problem.bounds) {
    low.push_back(static_cast<double>(bounds.lower));
    high.push_back(static_cast<double>(bounds.upper));
  }
  for (int step = 0; step < kBisections; ++step) {
    const double middle = 0.5 * (low_scale + high_scale);
    if (middle <= low_scale || middle >= high_scale) break;
    std::vector<double> wanted = clamped_demands(problem, middle, tilt);
    if (sum(wanted) <= total) {
      low_scale = middle;
      low = std::move(wanted);
    } else {
      high_scale = middle;
      high = std::move(wanted);
    }
  }
  const double jump = sum(high) - sum(low);
  if (jump > 0.0) {
    const double part = std::clamp((total - sum(low)) / jump, 0.0, 1.0);
    for (size_t i = 0; i < low.size(); ++i) low[i] += part * (high[i] - low[i]);
  }
  return round_to_total(problem, low);
}

double macs_of(const Problem& problem, const std::vector<int64_t>& counts) {
  double macs = 0.0;
  for (size_t i = 0; i < counts.size(); ++i) {
    macs += static_cast<double>(counts[i]) * problem.macs[i];
  }
  return macs;
}

/// How far from the budget allocate() may stay: a share of it, or half of what one element costs
/// where it costs most, since elements cannot be shared out. Moving one closes any wider gap.
double flops_tolerance(const Problem& problem, double target) {
  double dearest = 0.0;
  for (size_t i = 0; i < problem.bounds.size(); ++i) {
    const bool movable = problem.bounds[i].lower < problem.bounds[i].upper;
    if (movable) dearest = std::max(dearest, problem.macs[i]);
  }
  return std::max(kFlopsTolerance * target, 0.5 * dearest);
}

/// Moves elements between two layers at a time while that brings the multiply-adds closer to the
/// budget: in a small model one rounded element may be more than the tolerance.
void exchange(const Problem& problem, double target, std::vector<int64_t>& counts) {
  double error = macs_of(problem, counts) - target;
  while (std::abs(error) > kFlopsTolerance * target) {
    double best_error = error;
    size_t best_from = 0;
    size_t best_to = 0;
    int64_t best_moved = 0;
    for (size_t from = 0; from < counts.size(); ++from) {
      for (size_t to = 0; to < counts.size(); ++to) {
        const double change = problem.macs[to] - problem.macs[from];
        if (change * error >= 0.0) continue;
        const int64_t room = std::min(counts[from] - problem.bounds[from].lower,
                                      problem.bounds[to].upper - counts[to]);
        const int64_t moved = std::min(room, static_cast<int64_t>(std::llround(-error / change)));
        const double new_error = error + static_cast<double>(moved) * change;
        if (std::abs(new_error) < std::abs(best_error)) {
          best_error = new_error;
          best_from = from;
          best_to = to;
          best_moved = moved;
        }
      }
    }
    if (best_moved == 0) return;
    counts[best_from] -= best_moved;
    counts[best_to] += best_moved;
    error = best_error;
  }
}

Result<std::vector<int64_t>> fill_with_flops(const Problem& problem, double flops_share) {
  double dense_macs = 0.0;
  for (size_t i = 0; i < problem.bounds.size(); ++i) {
    dense_macs += static_cast<double>(problem.bounds[i].upper) * problem.macs[i];
  }
  if (dense_macs <= 0.0) {
    return invalid_argument(
        "a FLOPs budget was given, but no weight of the model costs a multiply-add");
  }
  const double target = flops_share * dense_macs;
  std::vector<int64_t> best = fill(problem, 0.0);
  double best_error = macs_of(problem, best) - target;
  double low_tilt = -kMaxTilt;
  double high_tilt = kMaxTilt;
  double tilt = best_error > 0.0 ? kMaxTilt : -kMaxTilt;  // first whether it can be reached at all
  for (int step = 0; step < kBisections && std::abs(best_error) > kFlopsAim * target; ++step) {
    std::vector<int64_t> counts = fill(problem, tilt);
    const double error = macs_of(problem, counts) - target;
    if (std::abs(error) < std::abs(best_error)) {
      best = std::move(counts);
      best_error = error;
    }
    if (step == 0) {
      if (error * tilt > 0.0) break;  // the steepest tilt is not enough
      (tilt > 0.0 ? low_tilt : high_tilt) = 0.0;
    } else {
      (error > 0.0 ? low_tilt : high_tilt) = tilt;
    }
    const double middle = 0.5 * (low_tilt + high_tilt);
    if (middle <= low_tilt || middle >= high_tilt) break;
    tilt = middle;
  }
  exchange(problem, target, best);
  const double macs = macs_of(problem, best);
  if (std::abs(macs - target) > flops_tolerance(problem, target)) {
    return invalid_argument("no allocation of this weights budget needs " +
                            percent_text(flops_share) +
                            " of the multiply-adds; the nearest reachable FLOPs share is " +
                            percent_text(macs / dense_macs));
  }
  return best;
}

Status check_layers(std::span<const LayerBudget> layers) {
  for (const LayerBudget& layer : layers) {
    if (layer.elements < 1 || layer.at_least < 0 || layer.at_least > layer.elements ||
        layer.macs_per_nonzero < 0) {
      return invalid_argument("layer '" + layer.name + "': " + std::to_string(layer.elements) +
                              " elements, at least " + std::to_string(layer.at_least) + " kept, " +
                              std::to_string(layer.macs_per_nonzero) +
                              " multiply-adds each cannot be allocated");
    }
  }
  return {};
}

bool is_share(double share) { return share > 0.0 && share <= 1.0; }

Status check_magnitudes(std::span<const LayerBudget> layers,
                        std::span<const std::span<const float>> magnitudes) {
  if (magnitudes.size() != layers.size()) {
    return invalid_argument("allocation by global magnitude needs the magnitudes of " +
                            std::to_string(layers.size()) + " layers, got " +
                            std::to_string(magnitudes.size()));
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    if (static_cast<int64_t>(magnitudes[i].size()) != layers[i].elements) {
      return invalid_argument("layer '" + layers[i].name + "': it has " +
                              std::to_string(layers[i].elements) + " elements, but " +
                              std::to_string(magnitudes[i].size()) + " magnitudes");
    }
    for (const float magnitude : magnitudes[i]) {
      if (!std::isfinite(magnitude) || magnitude < 0.0F) {
        return invalid_argument("layer '" + layers[i].name +
                                "': a magnitude is negative or not finite");
      }
    }
  }
  return {};
}

/// Demand of a closed formula: exp(log_scale) * base * cost^-tilt.
Demand smooth_demand(std::vector<double> base, const std::vector<double>& log_cost) {
  for (double& value : base) value = std::log(value);
  return [log_base = std::move(base), log_cost](size_t i, double log_scale, double tilt) {
    return std::exp(log_scale + log_base[i] - tilt * log_cost[i]);
  };
}

/// Ascending radix sort of magnitudes: floats that are not negative order like their bits. Several
/// times as fast as std::sort for the millions of weights of a network.
std::vector<float> sorted_magnitudes(std::span<const float> magnitudes) {
  constexpr int kDigitBits = 11;
  constexpr int kDigits = 3;  // 33 bits hold the 31 without a sign
  constexpr uint32_t kDigitMask = (1U << kDigitBits) - 1;
  std::vector<float> sorted(magnitudes.begin(), magnitudes.end());
  std::vector<float> next(sorted.size());
  for (int digit = 0; digit < kDigits; ++digit) {
    const auto bucket = [digit](float magnitude) {
      return (bit_cast<uint32_t>(std::abs(magnitude)) >> (digit * kDigitBits)) & kDigitMask;
    };
    std::array<size_t, kDigitMask + 2> begin{};  // of each bucket, one further on
    for (const float magnitude : sorted) ++begin[bucket(magnitude) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    for (const float magnitude : sorted) next[begin[bucket(magnitude)]++] = magnitude;
    sorted.swap(next);
  }
  return sorted;
}

/// Demand by magnitude: how many elements have magnitude * cost^-tilt above exp(-log_scale).
Demand magnitude_demand(std::span<const std::span<const float>> magnitudes,
                        const std::vector<double>& log_cost) {
  std::vector<std::vector<float>> sorted;
  for (const std::span<const float> layer : magnitudes) sorted.push_back(sorted_magnitudes(layer));
  return [sorted = std::move(sorted), log_cost](size_t i, double log_scale, double tilt) {
    // Underflow to 0 and overflow to infinity keep all and none, as they should.
    const double threshold = std::exp(tilt * log_cost[i] - log_scale);
    const auto first = std::partition_point(
        sorted[i].begin(), sorted[i].end(),
        [&](float magnitude) { return static_cast<double>(magnitude) <= threshold; });
    return static_cast<double>(sorted[i].end() - first);
  };
}

}  // namespace

Result<AllocationMethod> parse_allocation_method(const std::string& name) {
  std::string known;
  for (const MethodName& entry : kMethodNames) {
    if (name == entry.name) return entry.method;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  return invalid_argument("allocation method '" + name + "' does not exist; there are: " + known);
}

std::string to_string(AllocationMethod method) {
  for (const MethodName& entry : kMethodNames) {
    if (method == entry.method) return entry.name;
  }
  return "unknown";
}

Result<std::vector<LayerBudget>> layer_budgets(const graph::Model& model,
                                               const graph::Bindings& bindings) {
  std::map<std::string, int64_t, std::less<>> macs_per_nonzero;
  STRATA_ASSIGN_OR_RETURN(const graph::Bindings usual, graph::usual_sizes(model));
  for (const graph::Graph& graph : model.graphs) {
    graph::Bindings bound = bindings;
    bound.insert(usual.begin(), usual.end());
    for (const graph::ValueInfo& input : graph.inputs) {
      for (const graph::Dim& dim : input.shape) {
        if (!dim.symbol().empty()) bound.emplace(dim.symbol(), 1);
      }
    }
    STRATA_ASSIGN_OR_RETURN(const std::vector<graph::NodeCost> costs,
                            graph::count_macs(model, graph, bound));
    for (const graph::NodeCost& cost : costs) {
      macs_per_nonzero[cost.weight] += cost.macs_per_nonzero;
    }
  }
  std::vector<LayerBudget> layers;
  for (const graph::Parameter& parameter : model.parameters) {
    if (parameter.role != graph::ParameterRole::kWeight) continue;
    const auto cost = macs_per_nonzero.find(parameter.name);
    layers.push_back({.name = parameter.name,
                      .shape = parameter.shape,
                      .elements = parameter.element_count(),
                      .macs_per_nonzero = cost == macs_per_nonzero.end() ? 0 : cost->second,
                      .prunable = parameter.prunable});
  }
  return layers;
}

Result<std::vector<int64_t>> allocate(AllocationMethod method, std::span<const LayerBudget> layers,
                                      const LevelBudget& budget,
                                      std::span<const std::span<const float>> magnitudes) {
  STRATA_RETURN_IF_ERROR(check_layers(layers));
  if (!is_share(budget.weights) || (budget.flops && !is_share(*budget.flops))) {
    return invalid_argument(
        "a budget of " + percent_text(budget.weights) + " of the weights" +
        (budget.flops ? " and " + percent_text(*budget.flops) + " of the FLOPs" : std::string()) +
        " is out of range; each must be above 0 % and at most 100 %");
  }
  Problem problem;
  int64_t elements = 0;
  int64_t needed = 0;
  for (const LayerBudget& layer : layers) {
    const int64_t lower = layer.prunable ? std::max<int64_t>(layer.at_least, 1) : layer.elements;
    problem.bounds.push_back({.lower = lower, .upper = layer.elements});
    const auto macs = static_cast<double>(layer.macs_per_nonzero);
    problem.macs.push_back(macs);
    problem.log_cost.push_back(std::log(std::max(macs, kFreeCost)));
    elements += layer.elements;
    needed += lower;
  }
  problem.weights = std::llround(budget.weights * static_cast<double>(elements));
  if (problem.weights < needed) {
    return invalid_argument(
        "a budget of " + percent_text(budget.weights) +
        " of the weights is too small: layers kept dense, sparser levels and one element per layer "
        "already need " +
        std::to_string(needed) + " of " + std::to_string(elements) +
        " elements; the nearest reachable share is " +
        percent_text(static_cast<double>(needed) / static_cast<double>(elements)));
  }

  if (method == AllocationMethod::kGlobalMagnitude) {
    STRATA_RETURN_IF_ERROR(check_magnitudes(layers, magnitudes));
    problem.demand = magnitude_demand(magnitudes, problem.log_cost);
  } else {
    // Elements times density, which is 1 (uniform) or sum / product of the dimensions (ERK).
    std::vector<double> base;
    for (const LayerBudget& layer : layers) {
      base.push_back(static_cast<double>(
          method == AllocationMethod::kUniform
              ? layer.elements
              : std::max<int64_t>(
                    1, std::accumulate(layer.shape.begin(), layer.shape.end(), int64_t{0}))));
    }
    problem.demand = smooth_demand(std::move(base), problem.log_cost);
  }
  if (budget.flops) return fill_with_flops(problem, *budget.flops);
  return fill(problem, 0.0);
}

}  // namespace strata::sparse
