// A node that applies a weight, seen as the matrix products that it is: its weight as [groups,
// rows, columns], what it reads as columns, and the second moments of both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "graph/graph.h"
#include "train/torch/layer_reconstruction.h"

namespace strata::train {

struct LayerView {
  size_t node = 0;       ///< index into Graph::nodes
  size_t parameter = 0;  ///< index into Model::parameters
  bool convolution = false;
  bool transposed = false;  ///< the weight is stored [columns, rows]
  bool centred = false;     ///< a bias or a normalisation behind it takes care of means
  int64_t groups = 1;
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end;

  [[nodiscard]] at::Tensor matrices(const at::Tensor& weight) const;
  /// The other way, into the shape of `like`.
  [[nodiscard]] at::Tensor weight(const at::Tensor& matrices, const at::Tensor& like) const;
};

/// The node as a layer: a convolution of images, Gemm, or a product with a matrix. Nothing if it is
/// none, or applies a weight in a way that this cannot see through (one that other nodes apply too,
/// a transposed input).
std::optional<LayerView> view_layer(const graph::Model& model, const graph::Graph& graph,
                                    size_t node);

/// Moments of a layer that is to map `inputs` (of one level) to what `weight` ([groups, rows,
/// columns], dense) makes of `dense_inputs`. Positions are sampled, the same ones in both.
LayerMoments measure_moments(const LayerView& layer, const at::Tensor& weight,
                             const at::Tensor& dense_inputs, const at::Tensor& inputs);

}  // namespace strata::train
