// How many weights each layer keeps, from measured curves: what pruning a layer to a density costs
// the network's output. Pure arithmetic.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strata::train {

/// Output distance over the density of one layer.
struct DensityCurve {
  int64_t elements = 0;
  double cost = 1;                ///< of one weight, in the budget's unit
  bool prunable = true;           ///< false: keeps everything
  std::vector<double> densities;  ///< ascending, in (0, 1]
  std::vector<double> distances;  ///< one per density, not negative
};

/// counts[level][layer] that make the sum of distances smallest while the cost stays within
/// shares[level] of the dense network's, every level inside the next. Between measured densities,
/// the logarithm of the distance is interpolated; below the lowest a layer does not go. Lagrange's
/// multiplier is found by bisection. Throws Error: a share that the layers that keep everything, or
/// the lowest densities, exceed (with the least possible share).
std::vector<std::vector<int64_t>> allocate_by_curves(std::span<const DensityCurve> curves,
                                                     std::span<const double> shares);

}  // namespace strata::train
