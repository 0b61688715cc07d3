// See sensitivity.h. At every layer, weights leave in small steps as they do in one_shot.cpp; the
// error that this makes at the layer is turned into one of the output by pruning the layer alone
// and running the rest of the network.
#include "train/torch/sensitivity.h"

#include <algorithm>
#include <array>
#include <map>

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
  [[nodiscard]] double output_distance_with(const LayerView& layer, const at::Tensor& weight) const;

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

double Measurement::output_distance_with(const LayerView& layer, const at::Tensor& weight) const {
  LevelTensors tensors = dense_;
  tensors[layer.parameter] = weight;
  Executor::Values values = values_;
  for (size_t n = layer.node; n < graph_.nodes.size(); ++n) {
    executor_.run(n, values, tensors, {});
  }
  return output_distance(executor_.outputs(values), expected_);
}

void Measurement::measure(const LayerView& layer, LayerSensitivity& result) const {
  const at::Tensor input = executor_.arguments(layer.node, values_, dense_)[0];
  const at::Tensor weight = layer.matrices(dense_[layer.parameter]);
  LayerMoments moments = measure_moments(layer, weight, input, input);
  damp(moments, weight, kHessianDamping);
  std::vector<int64_t> counts;
  DensityCurve& curve = result.curve;
  for (const double density : kTrialDensities) {
    const auto count = static_cast<int64_t>(density * static_cast<double>(weight.numel()));
    if (count < 1 || (!counts.empty() && count <= counts.back())) continue;
    counts.push_back(count);
    curve.densities.push_back(static_cast<double>(count) / static_cast<double>(weight.numel()));
  }
  if (counts.empty()) return;
  const std::vector<LayerMoments> same(counts.size(), moments);
  const MaskPath path = prune_gradually(weight, {}, same, counts);
  for (const at::Tensor& values : path.values) {
    curve.distances.push_back(relative_error(moments, values));
  }
  const size_t middle = counts.size() / 2;
  const at::Tensor pruned = layer.weight(path.values[middle], dense_[layer.parameter]);
  result.sensitivity =
      output_distance_with(layer, pruned) / std::max(curve.distances[middle], 1e-12);
  for (double& distance : curve.distances) distance *= result.sensitivity;
  curve.prunable = true;
}

std::vector<LayerSensitivity> Measurement::run(const CompressionProgress& progress) {
  std::vector<LayerSensitivity> results;
  std::map<std::string, size_t, std::less<>> index;
  for (const sparse::LayerBudget& layer : value_or_throw(sparse::layer_budgets(model_))) {
    index.emplace(layer.name, results.size());
    LayerSensitivity& result = results.emplace_back();
    result.weight = layer.name;
    result.curve.elements = layer.elements;
    result.curve.prunable = false;
  }
  int64_t done = 0;
  int64_t total = 0;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) total += view_layer(model_, graph_, n) ? 1 : 0;
  values_ = executor_.begin(inputs_);
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (const auto layer = view_layer(model_, graph_, n)) {
      const std::string& name = model_.parameters[layer->parameter].name;
      if (progress) progress(done, total, "measuring " + name);
      ++done;
      measure(*layer, results[index.at(name)]);
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
