// See sensitivity.h. At every layer, weights leave in small steps as they do in one_shot.cpp; the
// error that this makes at the layer is turned into one of the output by pruning the layer alone
// and running the rest of the network. A weight that cannot be seen through is cut by magnitude,
// and its error is the share of its energy that leaves.
#include "train/torch/sensitivity.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

#include <ATen/ATen.h>

#include "sparse/allocation.h"
#include "train/error.h"
#include "train/torch/executor.h"
#include "train/torch/layer_reconstruction.h"
#include "train/torch/layer_view.h"
#include "train/torch/output_distance.h"
#include "train/torch/tensor_threads.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

/// Densities at which layers are tried, least sparse last.
constexpr std::array kTrialDensities = {0.02, 0.04, 0.07, 0.1,  0.15, 0.2,
                                        0.3,  0.4,  0.55, 0.75, 0.9};
constexpr size_t kTrialInputs = 64;

class Measurement {
 public:
  Measurement(const sparse::NestedModel& dense, const Calibration& data);
  std::vector<LayerSensitivity> run(const CompressionProgress& progress);

 private:
  void measure(const LayerView& layer, LayerSensitivity& result) const;
  void measure_magnitudes(size_t node, size_t parameter, LayerSensitivity& result) const;
  /// From the errors at `counts` weights, and the weight as it is at the middle one.
  void conclude(size_t node, size_t parameter, std::span<const int64_t> counts,
                std::span<const double> errors, const at::Tensor& middle,
                LayerSensitivity& result) const;
  /// Of the network whose nodes from `node` on run with `weight` for a parameter.
  [[nodiscard]] double output_distance_with(size_t node, size_t parameter,
                                            const at::Tensor& weight) const;

  const graph::Model& model_;
  const graph::Graph& graph_;
  Executor executor_;
  LevelTensors dense_;
  std::vector<at::Tensor> inputs_;
  std::vector<at::Tensor> expected_;
  Executor::Values values_;  ///< as they are before the layer at hand
};

Measurement::Measurement(const sparse::NestedModel& dense, const Calibration& data)
    : model_(dense.model),
      graph_(only_graph(dense.model)),
      executor_(dense.model, graph_),
      dense_(level_tensors(dense, 0)) {
  if (dense.level_count != 1) throw Error("the model to compress must have one level");
  std::vector<int64_t> some = data.chosen;
  some.resize(std::min(some.size(), kTrialInputs));
  inputs_ = tensors_of(*data.samples, some);
  expected_ = executor_.forward(inputs_, {&dense_, 1}, executor_.fixed_route(0), {});
}

double Measurement::output_distance_with(size_t node, size_t parameter,
                                         const at::Tensor& weight) const {
  LevelTensors tensors = dense_;
  tensors[parameter] = weight;
  Executor::Values values = values_;
  for (size_t n = node; n < graph_.nodes.size(); ++n) executor_.run(n, values, tensors, {});
  return output_distance(executor_.outputs(values), expected_);
}

/// How many of `elements` weights are kept in the trials, ascending.
std::vector<int64_t> trial_counts(int64_t elements) {
  std::vector<int64_t> counts;
  for (const double density : kTrialDensities) {
    const auto count = static_cast<int64_t>(density * static_cast<double>(elements));
    if (count >= 1 && (counts.empty() || count > counts.back())) counts.push_back(count);
  }
  return counts;
}

void Measurement::measure(const LayerView& layer, LayerSensitivity& result) const {
  const at::Tensor input = layer_input(layer, executor_, values_, dense_);
  const at::Tensor& stored = dense_[layer.parameter];
  const at::Tensor weight = layer.matrices(stored);
  const std::vector<int64_t> counts = trial_counts(weight.numel());
  if (counts.empty()) return;
  LayerMoments moments = measure_moments(layer, weight, input, input);
  damp(moments, weight, kHessianDamping);
  const std::vector<LayerMoments> same(counts.size(), moments);
  const MaskPath path = prune_gradually(weight, {}, same, counts);
  std::vector<double> errors;
  for (const at::Tensor& values : path.values) errors.push_back(relative_error(moments, values));
  conclude(layer.node, layer.parameter, counts, errors,
           layer.weight(path.values[counts.size() / 2], stored), result);
}

void Measurement::measure_magnitudes(size_t node, size_t parameter,
                                     LayerSensitivity& result) const {
  const at::Tensor& weight = dense_[parameter];
  const std::vector<int64_t> counts = trial_counts(weight.numel());
  if (counts.empty()) return;
  const at::Tensor energies = weight.square();
  const at::Tensor largest = std::get<0>(energies.flatten().sort(0, /*descending=*/true));
  const at::Tensor kept = largest.to(at::kDouble).cumsum(0);
  const double all = std::max(kept[-1].item<double>(), 1e-30);
  std::vector<double> errors;
  for (const int64_t count : counts) errors.push_back(1 - kept[count - 1].item<double>() / all);
  const at::Tensor mask = energies >= largest[counts[counts.size() / 2] - 1];
  conclude(node, parameter, counts, errors, weight * mask, result);
}

void Measurement::conclude(size_t node, size_t parameter, std::span<const int64_t> counts,
                           std::span<const double> errors, const at::Tensor& middle,
                           LayerSensitivity& result) const {
  result.sensitivity =
      output_distance_with(node, parameter, middle) / std::max(errors[counts.size() / 2], 1e-12);
  for (size_t i = 0; i < counts.size(); ++i) {
    result.curve.densities.push_back(static_cast<double>(counts[i]) /
                                     static_cast<double>(result.curve.elements));
    result.curve.distances.push_back(errors[i] * result.sensitivity);
  }
  result.curve.prunable = true;
}

std::vector<LayerSensitivity> Measurement::run(const CompressionProgress& progress) {
  std::vector<LayerSensitivity> results;
  std::map<std::string, size_t, std::less<>> index;
  std::set<size_t> blind;  // weights that are cut by magnitude, until their first reader is there
  for (const sparse::LayerBudget& layer : value_or_throw(sparse::layer_budgets(model_))) {
    if (layer.prunable) {
      blind.insert(
          static_cast<size_t>(model_.find_parameter(layer.name) - model_.parameters.data()));
    }
    index.emplace(layer.name, results.size());
    LayerSensitivity& result = results.emplace_back();
    result.weight = layer.name;
    result.curve.elements = layer.elements;
    result.curve.prunable = false;
  }
  std::vector<std::vector<LayerView>> layers;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    layers.push_back(view_layers(model_, graph_, n));
    for (const LayerView& layer : layers.back()) blind.erase(layer.parameter);
  }
  auto total = static_cast<int64_t>(blind.size());
  for (const std::vector<LayerView>& some : layers) total += static_cast<int64_t>(some.size());
  int64_t done = 0;
  const auto begin = [&](size_t parameter) -> LayerSensitivity& {
    const std::string& name = model_.parameters[parameter].name;
    if (progress) progress(done, total, "measuring " + name);
    ++done;
    return results[index.at(name)];
  };
  values_ = executor_.begin(inputs_);
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    for (const LayerView& layer : layers[n]) measure(layer, begin(layer.parameter));
    for (const std::string& input : graph_.nodes[n].inputs) {
      const graph::Parameter* parameter = model_.find_parameter(input);
      if (parameter == nullptr) continue;
      const auto place = static_cast<size_t>(parameter - model_.parameters.data());
      if (blind.erase(place) > 0) measure_magnitudes(n, place, begin(place));
    }
    executor_.run(n, values_, dense_, {});
  }
  return results;
}

}  // namespace

const graph::Graph& only_graph(const graph::Model& model) {
  if (model.graphs.size() != 1) {
    throw Error("model '" + model.name + "' cannot be compressed: it must have one graph");
  }
  return model.graphs[0];
}

void set_compression_threads(int threads) { set_tensor_threads(threads); }

std::vector<LayerSensitivity> measure_sensitivity(const sparse::NestedModel& dense,
                                                  const Calibration& data,
                                                  const CompressionProgress& progress) {
  try {
    const at::NoGradGuard no_grad;
    return Measurement(dense, data).run(progress);
  } catch (const c10::Error& error) {
    throw Error(std::string("libtorch cannot compress the model: ") +
                error.what_without_backtrace());
  }
}

}  // namespace strata::train
