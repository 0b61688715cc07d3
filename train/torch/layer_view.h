// A weight that a node applies, seen as the matrix products that it is: the weight as [groups,
// rows, columns], what it is applied to as columns, and the second moments of both.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/ATen.h>

#include "graph/graph.h"
#include "train/torch/executor.h"
#include "train/torch/layer_reconstruction.h"

namespace strata::train {

/// What a weight is applied to.
enum class LayerKind : uint8_t {
  kProduct,      ///< rows of the first input
  kConvolution,  ///< windows of the first input
  kSequence,     ///< every step of the sequence that a recurrent layer reads
  kState,        ///< the output of the step before, of a recurrent layer
};

struct LayerView {
  size_t node = 0;       ///< index into Graph::nodes
  size_t parameter = 0;  ///< index into Model::parameters
  LayerKind kind = LayerKind::kProduct;
  bool transposed = false;  ///< the weight is stored [columns, rows]
  bool centred = false;     ///< a bias or a normalisation behind it takes care of means
  int64_t groups = 1;       ///< of a recurrent layer: its directions
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end;

  [[nodiscard]] at::Tensor matrices(const at::Tensor& weight) const;
  /// The other way, into the shape of `like`.
  [[nodiscard]] at::Tensor weight(const at::Tensor& matrices, const at::Tensor& like) const;
};

/// The weights of a node as layers: of a convolution of images, Gemm, a product with a matrix, LSTM
/// or GRU (two weights). Left out is what is applied in a way that this cannot see through (a
/// weight that other nodes apply too, a transposed input).
std::vector<LayerView> view_layers(const graph::Model& model, const graph::Graph& graph,
                                   size_t node);

/// What the layer is applied to, its first dimension being positions or images, in an inference
/// that has come to its node. States are those that the node makes with the weights of `level`; a
/// GRU that resets before its product applies part of its weight to something smaller.
at::Tensor layer_input(const LayerView& layer, const Executor& executor,
                       const Executor::Values& values, const LevelTensors& level);

/// Moments of a layer that is to map `inputs` (of one level) to what `weight` ([groups, rows,
/// columns], dense) makes of `dense_inputs`. Positions are sampled, the same ones in both.
LayerMoments measure_moments(const LayerView& layer, const at::Tensor& weight,
                             const at::Tensor& dense_inputs, const at::Tensor& inputs);

}  // namespace strata::train
