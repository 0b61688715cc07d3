// See one_shot.h. Two walks over the network. The first one, on the dense network alone, measures
// what pruning each layer costs the output, from which densities follow. The second one runs the
// dense network and every level side by side, node by node: each layer of each level is fitted to
// what the dense layer makes, given what the level itself has made so far.
#include "train/torch/one_shot.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>

#include <ATen/Parallel.h>

#include "sparse/allocation.h"
#include "sparse/nested.h"
#include "train/error.h"
#include "train/torch/density_curves.h"
#include "train/torch/executor.h"
#include "train/torch/layer_reconstruction.h"
#include "train/torch/layer_view.h"
#include "train/torch/level_normalisation.h"
#include "train/torch/mask_selection.h"
#include "train/torch/network.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

using graph::ParameterRole;

/// Densities at which layers are tried, least sparse last.
constexpr std::array kTrialDensities = {0.02, 0.04, 0.07, 0.1,  0.15, 0.2,
                                        0.3,  0.4,  0.55, 0.75, 0.9};
constexpr int64_t kTrialInputs = 64;  ///< calibration inputs that the first walk takes
constexpr double kLeastVariance = 1e-10;
constexpr double kLeastError = 1e-4;  ///< relative; below it a level needs no more attention

/// Mean over inputs of |a - b|^2 / |b|^2.
double distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const at::Tensor difference = (a[i] - b[i]).flatten(1).square().sum(1);
    const at::Tensor reference = b[i].flatten(1).square().sum(1).clamp_min(1e-20);
    sum += (difference / reference).mean().item<double>();
  }
  return sum / static_cast<double>(a.size());
}

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
  Compressor(const sparse::NestedModel& dense, const CalibrationData& data,
             const OneShotOptions& options);
  OneShotResult run();

 private:
  void choose_densities();
  void choose_by_magnitude();
  [[nodiscard]] double try_layer(const LayerView& layer, const Stream& state,
                                 const at::Tensor& weight,
                                 const std::vector<at::Tensor>& expected) const;
  void walk();
  void fit_layer(const LayerView& layer);
  /// Masks and values of a layer that nothing is known of but its weights.
  void cut_layer(size_t parameter);
  void place(size_t parameter, const at::Tensor& values, std::vector<at::Tensor> masks);
  void fit_normalisation(size_t node);
  void correct_bias(size_t node);
  OneShotResult finish();
  void report(const std::string& what);

  const sparse::NestedModel& nested_;
  const graph::Model& model_;
  const graph::Graph& graph_;
  const OneShotOptions& options_;
  Executor executor_;
  at::Tensor inputs_;
  bool calibrated_ = false;
  LevelTensors dense_;
  std::vector<sparse::LayerBudget> budgets_;
  std::map<std::string, size_t, std::less<>> weight_index_;  ///< into budgets_ and layers
  std::vector<std::vector<int64_t>> counts_;                 ///< [level][weight]
  std::map<size_t, at::Tensor> values_;                      ///< [parameter]
  std::map<size_t, std::vector<at::Tensor>> masks_;          ///< [parameter][level]
  Stream dense_stream_;
  std::vector<Stream> streams_;  ///< [level]
  OneShotResult result_;
  int64_t done_ = 0;
  int64_t total_ = 0;
};

const graph::Graph& only_graph(const graph::Model& model) {
  if (model.graphs.size() != 1 || model.graphs[0].inputs.size() != 1) {
    throw Error("model '" + model.name +
                "' cannot be compressed: it must have one graph with one input");
  }
  return model.graphs[0];
}

Compressor::Compressor(const sparse::NestedModel& dense, const CalibrationData& data,
                       const OneShotOptions& options)
    : nested_(dense),
      model_(dense.model),
      graph_(only_graph(dense.model)),
      options_(options),
      executor_(dense.model, graph_),
      dense_(level_tensors(dense, 0)),
      budgets_(value_or_throw(sparse::layer_budgets(dense.model))) {
  if (dense.level_count != 1) throw Error("the model to compress must have one level");
  double before = 0;
  for (const double share : options.levels) {
    if (!(share > before && share <= 1)) {
      throw Error("levels must be shares above 0, at most 1, and grow from level to level");
    }
    before = share;
  }
  if (options.levels.empty()) throw Error("no level is asked for");
  if (data.count > 0) {
    std::vector<int64_t> shape = data.shape;
    shape.insert(shape.begin(), data.count);
    int64_t elements = 1;
    for (const int64_t size : shape) elements *= size;
    if (elements != static_cast<int64_t>(data.inputs.size())) {
      throw Error("the calibration data does not have the size that its shape says");
    }
    inputs_ = tensor_of(data.inputs, shape);
    calibrated_ = true;
  }
  for (size_t i = 0; i < budgets_.size(); ++i) {
    weight_index_.emplace(budgets_[i].name, i);
    LayerOutcome& outcome = result_.layers.emplace_back();
    outcome.weight = budgets_[i].name;
    outcome.elements = budgets_[i].elements;
  }
  at::set_num_threads(options.threads);
}

void Compressor::report(const std::string& what) {
  if (options_.progress) options_.progress(done_, total_, what);
  ++done_;
}

/// The network's output when one layer alone has the weights `weight`, against `expected`.
double Compressor::try_layer(const LayerView& layer, const Stream& state, const at::Tensor& weight,
                             const std::vector<at::Tensor>& expected) const {
  Stream trial = state;
  trial.tensors[layer.parameter] = weight;
  for (size_t n = layer.node; n < graph_.nodes.size(); ++n) {
    executor_.run(n, trial.values, trial.tensors, {});
  }
  return distance(executor_.outputs(trial.values), expected);
}

void Compressor::choose_densities() {
  const at::Tensor some = inputs_.slice(0, 0, std::min(kTrialInputs, inputs_.size(0)));
  const std::vector<at::Tensor> expected =
      executor_.forward({&some, 1}, {&dense_, 1}, executor_.fixed_route(0), {});
  std::vector<DensityCurve> curves;
  for (const sparse::LayerBudget& budget : budgets_) {
    DensityCurve curve;
    curve.elements = budget.elements;
    curve.cost = options_.budget == CompressionBudget::kFlops
                     ? static_cast<double>(budget.macs_per_nonzero)
                     : 1.0;
    curve.prunable = false;
    curves.push_back(curve);
  }
  Stream state{dense_, executor_.begin({&some, 1})};
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    const auto layer = view_layer(model_, graph_, n);
    if (layer) {
      const std::string& name = model_.parameters[layer->parameter].name;
      report("measuring " + name);
      DensityCurve& curve = curves[weight_index_.at(name)];
      const at::Tensor input = executor_.arguments(n, state.values, state.tensors)[0];
      const at::Tensor weight = layer->matrices(dense_[layer->parameter]);
      LayerMoments moments = measure_moments(*layer, weight, input, input);
      damp(moments, weight, options_.damping);
      std::vector<int64_t> counts;
      for (const double density : kTrialDensities) {
        const auto count = static_cast<int64_t>(density * static_cast<double>(weight.numel()));
        if (count < 1 || (!counts.empty() && count <= counts.back())) continue;
        counts.push_back(count);
        curve.densities.push_back(static_cast<double>(count) / static_cast<double>(weight.numel()));
      }
      if (!counts.empty()) {
        const std::vector<LayerMoments> same(counts.size(), moments);
        const MaskPath path = prune_gradually(weight, {}, same, counts);
        const size_t middle = counts.size() / 2;
        double scale = 0;
        for (size_t i = 0; i < counts.size(); ++i) {
          curve.distances.push_back(relative_error(moments, path.values[i]));
        }
        scale = try_layer(*layer, state,
                          layer->weight(path.values[middle], dense_[layer->parameter]), expected) /
                std::max(curve.distances[middle], 1e-12);
        for (double& distance_here : curve.distances) distance_here *= scale;
        result_.layers[weight_index_.at(name)].sensitivity = scale;
        curve.prunable = true;
      }
    }
    executor_.run(n, state.values, state.tensors, {});
  }
  counts_ = allocate_by_curves(curves, options_.levels);
}

void Compressor::choose_by_magnitude() {
  std::vector<std::vector<float>> magnitudes;
  for (const sparse::LayerBudget& budget : budgets_) {
    const graph::Parameter* parameter = model_.find_parameter(budget.name);
    const auto index = static_cast<size_t>(parameter - model_.parameters.data());
    magnitudes.push_back(row_major_values(dense_[index].abs()));
  }
  const std::vector<std::span<const float>> views(magnitudes.begin(), magnitudes.end());
  std::vector<sparse::LevelBudget> levels;
  for (const double share : options_.levels) {
    const bool flops = options_.budget == CompressionBudget::kFlops;
    levels.push_back({.weights = share, .flops = flops ? std::optional(share) : std::nullopt});
  }
  const auto method = options_.order == NestingOrder::kMagnitude
                          ? sparse::AllocationMethod::kGlobalMagnitude
                          : sparse::AllocationMethod::kUniform;
  counts_ = nested_counts(method, budgets_, levels, views);
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
  const at::Tensor dense_input = executor_.arguments(layer.node, dense_stream_.values, dense_)[0];
  std::vector<LayerMoments> moments;
  std::vector<int64_t> counts;
  for (size_t k = 0; k < streams_.size(); ++k) {
    const at::Tensor input =
        executor_.arguments(layer.node, streams_[k].values, streams_[k].tensors)[0];
    moments.push_back(measure_moments(layer, weight, dense_input, input));
    damp(moments.back(), weight, options_.damping);
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

/// Gives a level the statistics with which its normalisation makes, per channel, the mean and the
/// variance that the dense network's makes (Jordan et al. 2022, REPAIR). What the calibration data
/// differs from the training data in cancels, because both see the same inputs.
void Compressor::fit_normalisation(size_t node) {
  const auto& inputs = graph_.nodes[node].inputs;
  const auto index = [&](size_t input) {
    return static_cast<size_t>(model_.find_parameter(inputs[input]) - model_.parameters.data());
  };
  const ChannelMoments dense =
      channel_moments(executor_.arguments(node, dense_stream_.values, dense_)[0]);
  const at::Tensor& mean = dense_[index(3)];
  const at::Tensor& variance = dense_[index(4)];
  const double epsilon = graph_.nodes[node].attribute_float("epsilon", 1e-5F);
  for (Stream& stream : streams_) {
    const ChannelMoments own =
        channel_moments(executor_.arguments(node, stream.values, stream.tensors)[0]);
    // A channel that the sparse level has silenced cannot be brought back by scaling.
    const at::Tensor ratio = (own.variance / dense.variance).clamp(1e-2, 1e2);
    stream.tensors[index(3)] = own.mean + (mean - dense.mean) * ratio.sqrt();
    stream.tensors[index(4)] = ((variance + epsilon) * ratio - epsilon).clamp_min(0);
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
  streams_.assign(options_.levels.size(), {dense_, {}});
  for (size_t p = 0; p < model_.parameters.size(); ++p) {
    if (model_.parameters[p].role == ParameterRole::kWeight) cut_layer(p);
  }
  if (!calibrated_) return;
  dense_stream_ = {dense_, executor_.begin({&inputs_, 1})};
  for (Stream& stream : streams_) stream.values = dense_stream_.values;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    const auto layer = view_layer(model_, graph_, n);
    if (layer) report("fitting " + model_.parameters[layer->parameter].name);
    if (layer && options_.order != NestingOrder::kMagnitude) fit_layer(*layer);
    if (graph_.nodes[n].op_type == "BatchNormalization") fit_normalisation(n);
    executor_.run(n, dense_stream_.values, dense_, {});
    for (Stream& stream : streams_) executor_.run(n, stream.values, stream.tensors, {});
    correct_bias(n);
  }
  const std::vector<at::Tensor> expected = executor_.outputs(dense_stream_.values);
  for (const Stream& stream : streams_) {
    result_.output_distance.push_back(distance(executor_.outputs(stream.values), expected));
  }
}

OneShotResult Compressor::finish() {
  sparse::NestedModel& nested = result_.nested;
  nested.model = model_;
  nested.level_count = static_cast<int>(options_.levels.size());
  nested.vectors.resize(options_.levels.size());
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
  int64_t layers = 0;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) layers += view_layer(model_, graph_, n) ? 1 : 0;
  const bool measures =
      calibrated_ && options_.measure_sensitivity && options_.order != NestingOrder::kMagnitude;
  total_ = calibrated_ ? layers * (measures ? 2 : 1) : 0;
  if (measures) {
    choose_densities();
  } else {
    choose_by_magnitude();
  }
  walk();
  return finish();
}

}  // namespace

OneShotResult compress_one_shot(const sparse::NestedModel& dense, const CalibrationData& data,
                                const OneShotOptions& options) {
  try {
    if (data.count == 0) return Compressor(dense, data, options).run();
    sparse::NestedModel normalised = dense;
    add_level_normalisation(normalised);
    return Compressor(normalised, data, options).run();
  } catch (const c10::Error& error) {
    throw Error(std::string("libtorch cannot compress the model: ") +
                error.what_without_backtrace());
  }
}

}  // namespace strata::train
