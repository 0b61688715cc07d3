// Which weights of one layer to keep, and the values that make its outputs most like those of the
// dense layer: quadratic programs over the second moments of what the layer sees (Frantar and
// Alistarh 2022, "Optimal Brain Compression"), for several nested levels at once. Knows no graph.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <ATen/ATen.h>

namespace strata::train {

/// Second moments of one layer at one level, over calibration data. A layer is `groups` matrices
/// of [rows, columns]; most have one group.
struct LayerMoments {
  at::Tensor gram;    ///< [groups, columns, columns]: inputs with themselves
  at::Tensor cross;   ///< [groups, rows, columns]: wanted outputs with inputs
  double energy = 0;  ///< sum of squares of the wanted outputs
};

/// Makes every system well posed: asks the layer, besides, to be near `weight` ([groups, rows,
/// columns]), with `share` of the mean of the gram's diagonal.
void damp(LayerMoments& moments, const at::Tensor& weight, double share);

/// || W X - Y ||^2 / || Y ||^2 for weights of [groups, rows, columns].
double relative_error(const LayerMoments& moments, const at::Tensor& weight);

/// A mask per level, sparsest first, each inside the next, with counts[level] weights, and for each
/// level the values that are best for it alone.
struct MaskPath {
  std::vector<at::Tensor> masks;   ///< [level], 0 or 1, of [groups, rows, columns]
  std::vector<at::Tensor> values;  ///< [level], 0 where the mask is
};

/// Weights leave in small steps from the least sparse level inwards, the least salient first; after
/// each step those that are left take over what they can, so that a saliency is one among the
/// weights that remain. moments[level] is what the level sees. `start` holds the dense weights;
/// elements where `frozen` (may be undefined) is 1 stay as they are in every level.
/// Precondition: counts ascend, lie above the frozen weights and do not exceed the elements.
MaskPath prune_gradually(const at::Tensor& start, const at::Tensor& frozen,
                         std::span<const LayerMoments> moments, std::span<const int64_t> counts);

/// One tensor of values for all levels: minimises the sum over levels of weights[level] times the
/// relative error of (values * masks[level]). `start` holds the first guess; elements where
/// `frozen` (may be undefined) is 1 keep their value.
at::Tensor solve_values(std::span<const LayerMoments> moments, std::span<const at::Tensor> masks,
                        std::span<const double> weights, const at::Tensor& start,
                        const at::Tensor& frozen);

}  // namespace strata::train
