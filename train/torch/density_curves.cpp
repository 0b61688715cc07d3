// See density_curves.h.
#include "train/torch/density_curves.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "train/error.h"

namespace strata::train {
namespace {

constexpr int kGridPoints = 200;
constexpr int kBisections = 100;
constexpr double kLeastDistance = 1e-12;  // keeps logarithms finite

struct Point {
  int64_t count = 0;
  double distance = 0;
};

/// Interpolates the logarithm; above the highest measured density it falls as steeply as before it.
double distance_at(const DensityCurve& curve, double density) {
  const auto& d = curve.densities;
  const auto logarithm = [&](size_t i) {
    return std::log(std::max(curve.distances[i], kLeastDistance));
  };
  if (density <= d.front() || d.size() == 1) return curve.distances.front();
  const auto above = std::min(
      d.size() - 1, static_cast<size_t>(std::upper_bound(d.begin(), d.end(), density) - d.begin()));
  const double share = (density - d[above - 1]) / (d[above] - d[above - 1]);
  return std::exp(logarithm(above - 1) * (1 - share) + logarithm(above) * share);
}

/// The densities that a layer may take, geometrically spaced, and what each costs the output.
std::vector<Point> points_of(const DensityCurve& curve) {
  if (!curve.prunable || curve.densities.empty()) return {{curve.elements, 0}};
  std::vector<Point> points;
  for (int i = 0; i <= kGridPoints; ++i) {
    const double density = curve.densities.front() * std::pow(1 / curve.densities.front(),
                                                              static_cast<double>(i) / kGridPoints);
    const auto count = std::clamp<int64_t>(
        std::llround(density * static_cast<double>(curve.elements)), 1, curve.elements);
    if (!points.empty() && points.back().count == count) continue;
    points.push_back({count, distance_at(curve, density)});
  }
  points.back() = {curve.elements, 0};
  return points;
}

}  // namespace

std::vector<std::vector<int64_t>> allocate_by_curves(std::span<const DensityCurve> curves,
                                                     std::span<const double> shares) {
  std::vector<std::vector<Point>> points;
  double dense_cost = 0;
  for (const DensityCurve& curve : curves) {
    points.push_back(points_of(curve));
    dense_cost += curve.cost * static_cast<double>(curve.elements);
  }
  std::vector<std::vector<int64_t>> counts;
  std::vector<int64_t> least(curves.size(), 0);
  for (const double share : shares) {
    const double budget = share * dense_cost;
    std::vector<int64_t> chosen(curves.size());
    /// The best points for one price of cost; returns what they cost.
    const auto choose = [&](double price) {
      double cost = 0;
      for (size_t i = 0; i < curves.size(); ++i) {
        double best = 0;
        bool found = false;
        for (const Point& point : points[i]) {
          if (point.count < least[i]) continue;
          const double value =
              point.distance + price * curves[i].cost * static_cast<double>(point.count);
          if (found && value >= best) continue;
          found = true;
          best = value;
          chosen[i] = point.count;
        }
        cost += curves[i].cost * static_cast<double>(chosen[i]);
      }
      return cost;
    };
    double low = std::log(1e-30);
    double high = std::log(1e30);
    if (const double cheapest = choose(std::exp(high)); cheapest > budget) {
      throw Error("a level of " + std::to_string(100 * share) +
                  " % is not possible; the layers need at least " +
                  std::to_string(100 * cheapest / dense_cost) + " %");
    }
    for (int i = 0; i < kBisections; ++i) {
      const double middle = (low + high) / 2;
      (choose(std::exp(middle)) > budget ? low : high) = middle;
    }
    // The grid leaves a rest, which goes to the layers in their order, as far as each can take it.
    double rest = budget - choose(std::exp(high));
    for (size_t i = 0; i < curves.size(); ++i) {
      if (!curves[i].prunable || curves[i].cost <= 0) continue;
      const auto extra =
          std::min(curves[i].elements - chosen[i], static_cast<int64_t>(rest / curves[i].cost));
      chosen[i] += extra;
      rest -= static_cast<double>(extra) * curves[i].cost;
    }
    least = chosen;
    counts.push_back(std::move(chosen));
  }
  return counts;
}

}  // namespace strata::train
