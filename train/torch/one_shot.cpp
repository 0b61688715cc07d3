// See one_shot.h. One walk over the network runs the dense one and every level side by side, node
// by node: each layer of each level is fitted to what the dense layer makes, given what the level
// itself has made so far.
#include "train/torch/one_shot.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "sparse/allocation.h"
#include "sparse/nested.h"
#include "train/error.h"
#include "train/torch/executor.h"
#include "train/torch/layer_reconstruction.h"
#include "train/torch/layer_view.h"
#include "train/torch/level_normalisation.h"
#include "train/torch/mask_selection.h"
#include "train/torch/network.h"
#include "train/torch/output_distance.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

using graph::ParameterRole;

constexpr double kLeastVariance = 1e-10;
constexpr double kLeastError = 1e-4;  ///< relative; below it a level needs no more attention

/// One network in the middle of a run.
struct Stream {
  LevelTensors tensors;
  Executor::Values values;
};

/// Mean and variance per channel of [batch, channels, …].
struct ChannelMoments {
  at::Tensor mean, variance;
};
ChannelMoments channel_moments(const at::Tensor& value) {
  std::vector<int64_t> others = {0};
  for (int64_t i = 2; i < value.dim(); ++i) others.push_back(i);
  const auto [variance, mean] = at::var_mean(value, others, /*unbiased=*/false);
  return {mean, variance.clamp_min(kLeastVariance)};
}

class Compressor {
 public:
  Compressor(const sparse::NestedModel& dense, const Calibration& data,
             std::span<const std::vector<int64_t>> counts, const OneShotOptions& options);
  OneShotResult run();

 private:
  void walk();
  void fit_layer(const LayerView& layer);
  /// Masks and values of a layer that nothing is known of but its weights.
  void cut_layer(size_t parameter);
  void place(size_t parameter, const at::Tensor& values, std::vector<at::Tensor> masks);
  void fit_normalisation(size_t node);
  void correct_bias(size_t node);
  OneShotResult finish();
  void report(const std::string& what);

  const graph::Model& model_;
  const graph::Graph& graph_;
  const OneShotOptions& options_;
  Executor executor_;
  std::vector<at::Tensor> inputs_;  ///< empty: there are none
  LevelTensors dense_;
  std::map<std::string, size_t, std::less<>> weight_index_;  ///< into layers
  std::span<const std::vector<int64_t>> counts_;             ///< [level][weight]
  std::map<size_t, at::Tensor> values_;                      ///< [parameter]
  std::map<size_t, std::vector<at::Tensor>> masks_;          ///< [parameter][level]
  Stream dense_stream_;
  std::vector<Stream> streams_;  ///< [level]
  OneShotResult result_;
  int64_t done_ = 0;
  int64_t total_ = 0;
};

Compressor::Compressor(const sparse::NestedModel& dense, const Calibration& data,
                       std::span<const std::vector<int64_t>> counts, const OneShotOptions& options)
    : model_(dense.model),
      graph_(only_graph(dense.model)),
      options_(options),
      executor_(dense.model, graph_),
      dense_(level_tensors(dense, 0)),
      counts_(counts) {
  if (dense.level_count != 1) throw Error("the model to compress must have one level");
  if (counts.empty()) throw Error("no level is asked for");
  for (const sparse::LayerBudget& layer : value_or_throw(sparse::layer_budgets(dense.model))) {
    weight_index_.emplace(layer.name, result_.layers.size());
    result_.layers.push_back({layer.name, layer.elements, {}, {}, 0});
  }
  for (const std::vector<int64_t>& level : counts) {
    if (level.size() != result_.layers.size()) {
      throw Error("there must be a count of non-zeros for each of " +
                  std::to_string(result_.layers.size()) + " weights");
    }
  }
  if (!data.empty()) inputs_ = tensors_of(*data.samples, data.chosen);
}

void Compressor::report(const std::string& what) {
  if (options_.progress) options_.progress(done_, total_, what);
  ++done_;
}

void Compressor::place(size_t parameter, const at::Tensor& values, std::vector<at::Tensor> masks) {
  for (size_t k = 0; k < streams_.size(); ++k) {
    streams_[k].tensors[parameter] = values * masks[k];
  }
  values_[parameter] = values;
  masks_[parameter] = std::move(masks);
}

void Compressor::cut_layer(size_t parameter) {
  const at::Tensor& weight = dense_[parameter];
  const size_t index = weight_index_.at(model_.parameters[parameter].name);
  const std::vector<float> scores = row_major_values(weight.abs());
  std::vector<int64_t> counts;
  for (const auto& level : counts_) counts.push_back(level[index]);
  std::vector<at::Tensor> masks;
  for (const std::vector<uint8_t>& bytes : largest(scores, counts)) {
    masks.push_back(train::tensor_of(bytes, weight.contiguous()));
  }
  place(parameter, weight.contiguous(), std::move(masks));
}

void Compressor::fit_layer(const LayerView& layer) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string& name = model_.parameters[layer.parameter].name;
  LayerOutcome& outcome = result_.layers[weight_index_.at(name)];
  const at::Tensor& stored = dense_[layer.parameter];
  const at::Tensor weight = layer.matrices(stored);
  const at::Tensor dense_input = layer_input(layer, executor_, dense_stream_.values, dense_);
  std::vector<LayerMoments> moments;
  std::vector<int64_t> counts;
  for (size_t k = 0; k < streams_.size(); ++k) {
    const at::Tensor input = layer_input(layer, executor_, streams_[k].values, streams_[k].tensors);
    moments.push_back(measure_moments(layer, weight, dense_input, input));
    damp(moments.back(), weight, kHessianDamping);
    counts.push_back(counts_[k][weight_index_.at(name)]);
  }
  at::Tensor values;
  std::vector<at::Tensor> masks;
  if (options_.order == NestingOrder::kOutwards) {
    at::Tensor frozen;
    values = weight;
    for (size_t k = 0; k < counts.size(); ++k) {
      const at::Tensor start = frozen.defined() ? at::where(frozen > 0, values, weight) : weight;
      const MaskPath path = prune_gradually(start, frozen, {&moments[k], 1}, {&counts[k], 1});
      values = path.values[0];
      frozen = path.masks[0];
      masks.push_back(frozen);
    }
  } else {
    MaskPath path = prune_gradually(weight, {}, moments, counts);
    masks = path.masks;
    values = path.values.back();
    if (options_.order == NestingOrder::kTogether && counts.size() > 1) {
      // Between the same loss for every level and the same share of what it could reach alone.
      std::vector<double> weights;
      for (size_t k = 0; k < counts.size(); ++k) {
        const double alone = relative_error(moments[k], path.values[k]);
        weights.push_back(1 / std::sqrt(std::max(alone, kLeastError)));
      }
      values = solve_values(moments, masks, weights, values, {});
    }
  }
  std::vector<at::Tensor> stored_masks;
  for (size_t k = 0; k < masks.size(); ++k) {
    outcome.error.push_back(relative_error(moments[k], values * masks[k]));
    stored_masks.push_back(layer.weight(masks[k], stored));
  }
  place(layer.parameter, layer.weight(values, stored), std::move(stored_masks));
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Gives a level its own statistics, and the scale and shift with which its normalisation makes,
/// per channel, the mean and the variance that the dense network's makes (Jordan et al. 2022,
/// REPAIR). What the calibration data differs from the training data in cancels, because both see
/// the same inputs; training can go on from here, because the statistics are those of the level.
void Compressor::fit_normalisation(size_t node) {
  const auto& inputs = graph_.nodes[node].inputs;
  const auto index = [&](size_t input) {
    return static_cast<size_t>(model_.find_parameter(inputs[input]) - model_.parameters.data());
  };
  const size_t scale = index(1), shift = index(2), mean = index(3), variance = index(4);
  const double epsilon = graph_.nodes[node].attribute_float("epsilon", 1e-5F);
  const ChannelMoments dense =
      channel_moments(executor_.arguments(node, dense_stream_.values, dense_)[0]);
  for (Stream& stream : streams_) {
    const ChannelMoments own =
        channel_moments(executor_.arguments(node, stream.values, stream.tensors)[0]);
    // A channel that the sparse level has silenced cannot be brought back by scaling.
    const at::Tensor ratio = (own.variance / dense.variance).clamp(1e-2, 1e2);
    // What the dense network's normalisation would have to take for mean and deviation.
    const at::Tensor centre = own.mean + (dense_[mean] - dense.mean) * ratio.sqrt();
    const at::Tensor deviation = ((dense_[variance] + epsilon) * ratio).clamp_min(epsilon).sqrt();
    stream.tensors[mean] = own.mean;
    stream.tensors[variance] = own.variance;
    stream.tensors[scale] = dense_[scale] / deviation * (own.variance + epsilon).sqrt();
    stream.tensors[shift] = dense_[shift] + dense_[scale] * (own.mean - centre) / deviation;
  }
}

void Compressor::correct_bias(size_t node) {
  const graph::Node& n = graph_.nodes[node];
  if ((n.op_type != "Conv" && n.op_type != "Gemm") || n.inputs.size() < 3) return;
  const graph::Parameter* bias = model_.find_parameter(n.inputs[2]);
  if (bias == nullptr || bias->role != ParameterRole::kBias ||
      n.attribute_float("beta", 1) != 1.0F) {
    return;
  }
  const auto index = static_cast<size_t>(bias - model_.parameters.data());
  const at::Tensor& wanted = executor_.output(node, dense_stream_.values);
  for (Stream& stream : streams_) {
    at::Tensor& made = executor_.output(node, stream.values);
    const at::Tensor shift = channel_moments(wanted).mean - channel_moments(made).mean;
    stream.tensors[index] = stream.tensors[index] + shift;
    std::vector<int64_t> per_channel(static_cast<size_t>(made.dim()), 1);
    per_channel[1] = -1;
    made = made + shift.reshape(per_channel);
  }
}

void Compressor::walk() {
  streams_.assign(counts_.size(), {dense_, {}});
  for (size_t p = 0; p < model_.parameters.size(); ++p) {
    if (model_.parameters[p].role == ParameterRole::kWeight) cut_layer(p);
  }
  if (inputs_.empty()) return;
  dense_stream_ = {dense_, executor_.begin(inputs_)};
  for (Stream& stream : streams_) stream.values = dense_stream_.values;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    for (const LayerView& layer : view_layers(model_, graph_, n)) {
      report("fitting " + model_.parameters[layer.parameter].name);
      if (options_.order != NestingOrder::kMagnitude) fit_layer(layer);
    }
    if (graph_.nodes[n].op_type == "BatchNormalization") fit_normalisation(n);
    executor_.run(n, dense_stream_.values, dense_, {});
    for (Stream& stream : streams_) executor_.run(n, stream.values, stream.tensors, {});
    correct_bias(n);
  }
  const std::vector<at::Tensor> expected = executor_.outputs(dense_stream_.values);
  for (const Stream& stream : streams_) {
    result_.output_distance.push_back(output_distance(executor_.outputs(stream.values), expected));
  }
}

OneShotResult Compressor::finish() {
  sparse::NestedModel& nested = result_.nested;
  nested.model = model_;
  nested.level_count = static_cast<int>(counts_.size());
  nested.vectors.resize(counts_.size());
  for (size_t p = 0; p < model_.parameters.size(); ++p) {
    const graph::Parameter& parameter = model_.parameters[p];
    if (parameter.role != ParameterRole::kWeight) {
      for (size_t k = 0; k < streams_.size(); ++k) {
        nested.vectors[k].emplace(parameter.name, row_major_values(streams_[k].tensors[p]));
      }
      continue;
    }
    std::vector<std::vector<uint8_t>> masks;
    for (const at::Tensor& mask : masks_.at(p)) {
      std::vector<uint8_t>& bytes = masks.emplace_back();
      for (const float element : row_major_values(mask)) bytes.push_back(element != 0 ? 1 : 0);
    }
    nested.weights.emplace(
        parameter.name,
        value_or_throw(sparse::nest(parameter.shape, row_major_values(values_.at(p)), masks)));
    LayerOutcome& outcome = result_.layers[weight_index_.at(parameter.name)];
    for (int k = 0; k < nested.level_count; ++k) {
      outcome.nonzeros.push_back(nested.weights.at(parameter.name).nonzeros(k));
    }
  }
  throw_if_error(sparse::check(nested));
  return std::move(result_);
}

OneShotResult Compressor::run() {
  const at::NoGradGuard no_grad;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (!inputs_.empty()) total_ += static_cast<int64_t>(view_layers(model_, graph_, n).size());
  }
  walk();
  return finish();
}

}  // namespace

OneShotResult compress_one_shot(const sparse::NestedModel& dense, const Calibration& data,
                                std::span<const std::vector<int64_t>> counts,
                                const OneShotOptions& options) {
  try {
    return Compressor(dense, data, counts, options).run();
  } catch (const c10::Error& error) {
    throw Error(std::string("libtorch cannot compress the model: ") +
                error.what_without_backtrace());
  }
}

}  // namespace strata::train
