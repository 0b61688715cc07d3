// See layer_view.h.
#include "train/torch/layer_view.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>

namespace strata::train {
namespace {

constexpr int64_t kLeastSamples = 16384;  ///< columns that moments are taken over, if there are
constexpr int64_t kSamplesPerColumn = 4;
constexpr int64_t kChunkElements = int64_t{1} << 24;  ///< unfolded at a time
constexpr uint64_t kSeed = 1;                         ///< of the sampling

int count_reads(const graph::Model& model, const std::string& name) {
  int reads = 0;
  for (const graph::Graph& graph : model.graphs) {
    for (const graph::Node& node : graph.nodes) {
      reads += static_cast<int>(std::count(node.inputs.begin(), node.inputs.end(), name));
    }
  }
  return reads;
}

/// Whether a bias or a per-level normalisation shifts what `node` makes.
bool shifts_follow(const graph::Graph& graph, const graph::Node& node) {
  if (node.inputs.size() > 2 && !node.inputs[2].empty()) return true;
  const auto reads = [&](const graph::Node& other) {
    return std::find(other.inputs.begin(), other.inputs.end(), node.outputs[0]) !=
           other.inputs.end();
  };
  return std::count_if(graph.nodes.begin(), graph.nodes.end(), reads) == 1 &&
         std::find_if(graph.nodes.begin(), graph.nodes.end(), reads)->op_type ==
             "BatchNormalization";
}

/// What the layer reads as [groups, columns, positions], for images begin..end of the batch.
at::Tensor columns_of(const LayerView& layer, const at::Tensor& input, int64_t begin, int64_t end) {
  at::Tensor part = input.slice(0, begin, end);
  if (layer.kind == LayerKind::kProduct) {
    return part.reshape({-1, part.size(-1)}).t().unsqueeze(0);
  }
  if (layer.kind != LayerKind::kConvolution) return part.permute({1, 2, 0});
  part = at::constant_pad_nd(
      part, {layer.pads_begin[1], layer.pads_end[1], layer.pads_begin[0], layer.pads_end[0]});
  const at::Tensor unfolded =
      at::im2col(part, layer.kernel, layer.dilations, {0, 0}, layer.strides);
  const int64_t columns = unfolded.size(1) / layer.groups;
  return unfolded.reshape({unfolded.size(0), layer.groups, columns, unfolded.size(2)})
      .permute({1, 2, 0, 3})
      .reshape({layer.groups, columns, -1});
}

/// Index of the weight that input `input` of the node is, if it is one that no other node reads.
std::optional<size_t> own_weight(const graph::Model& model, const graph::Node& node, size_t input) {
  if (input >= node.inputs.size()) return std::nullopt;
  const graph::Parameter* weight = model.find_parameter(node.inputs[input]);
  if (weight == nullptr || weight->role != graph::ParameterRole::kWeight ||
      model.find_parameter(node.inputs[0]) != nullptr || count_reads(model, weight->name) != 1) {
    return std::nullopt;
  }
  return static_cast<size_t>(weight - model.parameters.data());
}

/// The weights of an LSTM or a GRU, [directions, gates * hidden, columns] each.
std::vector<LayerView> view_recurrent(const graph::Model& model, const graph::Node& n,
                                      size_t node) {
  std::vector<LayerView> layers;
  for (const auto& [input, kind] :
       {std::pair(size_t{1}, LayerKind::kSequence), std::pair(size_t{2}, LayerKind::kState)}) {
    const std::optional<size_t> weight = own_weight(model, n, input);
    if (!weight) continue;
    LayerView& layer = layers.emplace_back();
    layer.node = node;
    layer.parameter = *weight;
    layer.kind = kind;
    layer.groups = model.parameters[*weight].shape[0];
  }
  return layers;
}

}  // namespace

at::Tensor LayerView::matrices(const at::Tensor& weight) const {
  if (transposed) return weight.t().contiguous().unsqueeze(0);
  if (weight.dim() == 3) return weight.contiguous();  // of a recurrent layer
  return weight.contiguous().reshape({groups, weight.size(0) / groups, -1});
}

at::Tensor LayerView::weight(const at::Tensor& matrices, const at::Tensor& like) const {
  if (transposed) return matrices[0].t().contiguous();
  return matrices.reshape(like.sizes()).contiguous();
}

std::vector<LayerView> view_layers(const graph::Model& model, const graph::Graph& graph,
                                   size_t node) {
  const graph::Node& n = graph.nodes[node];
  if (!n.domain.empty()) return {};
  if (n.op_type == "LSTM" || n.op_type == "GRU") return view_recurrent(model, n, node);
  const bool product = n.op_type == "Gemm" || n.op_type == "MatMul";
  if (n.op_type != "Conv" && !product) return {};
  const std::optional<size_t> weight = own_weight(model, n, 1);
  if (!weight) return {};
  const std::vector<int64_t>& shape = model.parameters[*weight].shape;
  LayerView layer;
  layer.node = node;
  layer.parameter = *weight;
  layer.centred = shifts_follow(graph, n);
  if (product) {
    const bool plain = n.attribute_int("transA", 0) == 0 && n.attribute_float("alpha", 1) == 1.0F;
    if (shape.size() != 2 || !plain) return {};
    layer.transposed = n.attribute_int("transB", 0) == 0;
    return {layer};
  }
  if (shape.size() != 4 || n.attribute_string("auto_pad", "NOTSET") != "NOTSET") return {};
  layer.kind = LayerKind::kConvolution;
  layer.groups = n.attribute_int("group", 1);
  layer.kernel = {shape[2], shape[3]};
  layer.strides = n.attribute_ints("strides", {1, 1});
  layer.dilations = n.attribute_ints("dilations", {1, 1});
  const std::vector<int64_t> pads = n.attribute_ints("pads", {0, 0, 0, 0});
  layer.pads_begin = {pads[0], pads[1]};
  layer.pads_end = {pads[2], pads[3]};
  return {layer};
}

at::Tensor layer_input(const LayerView& layer, const Executor& executor,
                       const Executor::Values& values, const LevelTensors& level) {
  const std::vector<at::Tensor> arguments = executor.arguments(layer.node, values, level);
  const at::Tensor& x = arguments[0];
  if (layer.kind == LayerKind::kSequence) {
    return x.reshape({-1, 1, x.size(2)}).expand({-1, layer.groups, -1});
  }
  if (layer.kind != LayerKind::kState) return x;
  Executor::Values after = values;
  executor.run(layer.node, after, level, {});
  const at::Tensor& y = executor.output(layer.node, after);  // [time, directions, batch, hidden]
  constexpr size_t kInitialState = 5;
  const bool given = arguments.size() > kInitialState && arguments[kInitialState].defined();
  const at::Tensor initial =
      given ? arguments[kInitialState] : at::zeros(y.sizes().slice(1), y.options());
  const bool reverse =
      executor.graph().nodes[layer.node].attribute_string("direction", "forward") == "reverse";
  std::vector<at::Tensor> states;
  for (int64_t d = 0; d < layer.groups; ++d) {
    const at::Tensor made = y.select(1, d);
    const at::Tensor first = initial.select(0, d).unsqueeze(0);
    const at::Tensor before = reverse || d == 1 ? at::cat({made.slice(0, 1), first}, 0)
                                                : at::cat({first, made.slice(0, 0, -1)}, 0);
    states.push_back(before.reshape({-1, before.size(2)}));
  }
  return at::stack(states, 1);
}

LayerMoments measure_moments(const LayerView& layer, const at::Tensor& weight,
                             const at::Tensor& dense_inputs, const at::Tensor& inputs) {
  const int64_t batch = inputs.size(0);
  const int64_t columns = weight.size(2);
  const int64_t per_image = columns_of(layer, inputs, 0, 1).size(2);
  const int64_t wanted = std::max(kLeastSamples, kSamplesPerColumn * columns);
  const double share =
      std::min(1.0, static_cast<double>(wanted) / static_cast<double>(per_image * batch));
  const int64_t chunk = std::clamp<int64_t>(
      kChunkElements / std::max<int64_t>(1, columns * layer.groups * per_image), 1, batch);
  at::Generator generator = at::detail::createCPUGenerator(kSeed);
  LayerMoments moments;
  at::Tensor input_sum;
  at::Tensor output_sum;
  int64_t count = 0;
  const auto accumulate = [](at::Tensor& sum, const at::Tensor& part) {
    sum = sum.defined() ? sum.add_(part) : part;
  };
  for (int64_t begin = 0; begin < batch; begin += chunk) {
    const int64_t end = std::min(batch, begin + chunk);
    at::Tensor x = columns_of(layer, inputs, begin, end);
    const bool same = inputs.is_same(dense_inputs);
    at::Tensor dense = same ? x : columns_of(layer, dense_inputs, begin, end);
    if (share < 1) {
      const int64_t total = x.size(2);
      const auto kept = std::max<int64_t>(1, std::llround(share * static_cast<double>(total)));
      const at::Tensor chosen =
          at::randperm(total, generator, at::TensorOptions().dtype(at::kLong)).slice(0, 0, kept);
      x = x.index_select(2, chosen);
      dense = same ? x : dense.index_select(2, chosen);
    }
    const at::Tensor y = at::bmm(weight, dense);
    accumulate(moments.gram, at::bmm(x, x.transpose(1, 2)));
    accumulate(moments.cross, at::bmm(y, x.transpose(1, 2)));
    moments.energy += y.square().sum().item<double>();
    count += x.size(2);
    if (!layer.centred) continue;
    accumulate(input_sum, x.sum(2, /*keepdim=*/true));
    accumulate(output_sum, y.sum(2, /*keepdim=*/true));
  }
  if (layer.centred) {
    const at::Tensor mean = input_sum / static_cast<double>(count);
    moments.gram.sub_(at::bmm(input_sum, mean.transpose(1, 2)));
    moments.cross.sub_(at::bmm(output_sum, mean.transpose(1, 2)));
    moments.energy -= (output_sum.square().sum() / static_cast<double>(count)).item<double>();
  }
  return moments;
}

}  // namespace strata::train
