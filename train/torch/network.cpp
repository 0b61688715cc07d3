// Allocation and initialisation of the trained state, and its way into a NestedModel.
#include "train/torch/network.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>

#include "train/error.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

/// Of Initialisation::kWide: +-0.1 for 1024 inputs.
constexpr double kWideReach = 3.2;

/// Channels last is the faster layout for convolutions on the CPU.
at::Tensor laid_out(const at::Tensor& tensor) {
  return tensor.dim() == 4 ? tensor.contiguous(at::MemoryFormat::ChannelsLast)
                           : tensor.contiguous();
}

/// Whether rows of the parameter are looked up, as those of embeddings are.
bool is_looked_up(const graph::Model& model, const std::string& parameter) {
  for (const graph::Graph& graph : model.graphs) {
    for (const graph::Node& node : graph.nodes) {
      if (node.op_type == "Gather" && node.inputs[0] == parameter) return true;
    }
  }
  return false;
}

at::Tensor initial_weight(const graph::Parameter& parameter, Initialisation initialisation,
                          bool looked_up, at::Generator& generator) {
  at::Tensor weight = at::empty(parameter.shape, at::kFloat);
  if (looked_up) return weight.uniform_(-1, 1, generator);  // one input of many is not 0
  const int64_t outputs = parameter.shape.empty() ? 1 : parameter.shape[0];
  const double per_output = static_cast<double>(weight.numel()) / static_cast<double>(outputs);
  if (initialisation == Initialisation::kGlorot) {
    const double per_input =
        weight.dim() > 1 ? static_cast<double>(weight.numel() / weight.size(1)) : 1;
    const double bound = std::sqrt(6 / (per_output + per_input));
    weight.uniform_(-bound, bound, generator);
  } else if (weight.dim() > 3) {
    const double per_input =
        static_cast<double>(weight.numel()) / static_cast<double>(parameter.shape[1]);
    weight.normal_(0, std::sqrt(2 / per_input), generator);
  } else {
    // [outputs, inputs], or a matrix per direction of a recurrent layer.
    const int64_t inputs = weight.dim() == 3 ? weight.size(2) : std::llround(per_output);
    const double reach = initialisation == Initialisation::kWide ? kWideReach : 1;
    const double bound = reach / std::sqrt(static_cast<double>(inputs));
    weight.uniform_(-bound, bound, generator);
  }
  return weight;
}

at::Tensor initial_vector(const graph::Parameter& parameter) {
  const bool one = parameter.role == graph::ParameterRole::kScale ||
                   parameter.role == graph::ParameterRole::kVariance;
  return at::full(parameter.shape, one ? 1.0F : 0.0F, at::kFloat);
}

bool is_statistic(graph::ParameterRole role) {
  return role == graph::ParameterRole::kMean || role == graph::ParameterRole::kVariance;
}

template <typename T>
std::vector<T> row_major(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kCPU).contiguous();
  const T* data = flat.data_ptr<T>();
  return {data, data + flat.numel()};
}

void silence_constant_channels(const graph::Model& model, sparse::VectorTable& level) {
  for (const graph::Graph& graph : model.graphs) {
    for (const graph::Node& node : graph.nodes) {
      if (node.op_type != "BatchNormalization") continue;
      std::vector<float>& scale = level.at(node.inputs[1]);
      const std::vector<float>& variance = level.at(node.inputs[4]);
      for (size_t channel = 0; channel < scale.size(); ++channel) {
        if (variance[channel] < kConstantVariance) scale[channel] = 0;
      }
    }
  }
}

}  // namespace

Network::Network(graph::Model model, int level_count, uint64_t seed, const at::Device& device,
                 Initialisation initialisation)
    : model_(std::move(model)),
      device_(device),
      shared_(model_.parameters.size()),
      masks_(static_cast<size_t>(level_count), LevelTensors(model_.parameters.size())),
      levels_(masks_) {
  for (const graph::Graph& graph : model_.graphs) executors_.emplace_back(model_, graph);
  at::Generator generator = at::detail::createCPUGenerator(seed);
  for (size_t p = 0; p < model_.parameters.size(); ++p) {
    const graph::Parameter& parameter = model_.parameters[p];
    if (parameter.role == graph::ParameterRole::kWeight) {
      weights_.push_back(p);
      shared_[p] = laid_out(initial_weight(parameter, initialisation,
                                           is_looked_up(model_, parameter.name), generator))
                       .to(device);
      for (size_t k = 0; k < levels_.size(); ++k) {
        masks_[k][p] = at::ones_like(shared_[p]);
        levels_[k][p] = shared_[p].clone().requires_grad_();
      }
    } else {
      vectors_.push_back(p);
      const bool trained = !is_statistic(parameter.role);
      if (trained) trained_vectors_.push_back(p);
      for (LevelTensors& level : levels_) {
        level[p] = initial_vector(parameter).to(device).requires_grad_(trained);
      }
    }
  }
}

bool Network::drops_out() const {
  for (const graph::Graph& graph : model_.graphs) {
    for (const graph::Node& node : graph.nodes) {
      if (node.op_type == "Dropout") return true;
    }
  }
  return false;
}

std::vector<float> Network::weight_values(size_t parameter) const {
  return row_major<float>(shared_[parameter]);
}

void Network::set_mask(int level, size_t parameter, std::span<const uint8_t> bytes) {
  at::Tensor& mask = masks_[static_cast<size_t>(level)][parameter];
  mask.copy_(tensor_of(bytes, mask));
}

void Network::load(const sparse::NestedModel& nested) {
  const at::NoGradGuard no_grad;
  for (int k = 0; k < level_count(); ++k) {
    const LevelTensors tensors = level_tensors(nested, k);
    for (const size_t p : vectors_) vector(k, p).copy_(tensors[p]);
    for (const size_t p : weights_) {
      set_mask(k, p, sparse::mask(nested.weights.at(model_.parameters[p].name), k));
      if (k + 1 == level_count()) shared_[p].copy_(tensors[p]);
    }
  }
}

void Network::copy_vectors(int from, int to) {
  const at::NoGradGuard no_grad;
  for (const size_t p : vectors_) vector(to, p).copy_(vector(from, p));
}

void Network::start_from(const sparse::NestedModel& stored) {
  const at::NoGradGuard no_grad;
  if (stored.model.parameters != model_.parameters || stored.model.constants != model_.constants) {
    throw Error("training cannot begin with a '" + stored.model.name +
                "' whose parameters and constants (sizes, vocabulary) are not those of the "
                "recipe's '" +
                model_.name + "'");
  }
  const int level = stored.level_count - 1;
  const auto tensor_of_values = [](const std::vector<float>& values, const at::Tensor& like) {
    const at::Tensor row_major_tensor = at::empty(like.sizes(), at::kFloat);
    std::copy(values.begin(), values.end(), row_major_tensor.data_ptr<float>());
    return row_major_tensor;
  };
  for (const size_t p : weights_) {
    const sparse::NestedTensor& tensor = stored.weights.at(model_.parameters[p].name);
    shared_[p].copy_(tensor_of_values(sparse::densify(tensor, level), shared_[p]));
  }
  for (const size_t p : vectors_) {
    const std::vector<float>& values =
        stored.vectors[static_cast<size_t>(level)].at(model_.parameters[p].name);
    for (LevelTensors& tensors : levels_) tensors[p].copy_(tensor_of_values(values, tensors[p]));
  }
}

void Network::refresh(int level) {
  const at::NoGradGuard no_grad;
  const auto k = static_cast<size_t>(level);
  for (const size_t p : weights_) at::mul_out(levels_[k][p], shared_[p], masks_[k][p]);
}

std::vector<at::Tensor> Network::forward(size_t graph, std::span<const at::Tensor> inputs,
                                         const ModelRoute& route, const Pass& pass) const {
  return executors_[graph].forward(inputs, levels_, route[graph], pass);
}

size_t Network::switch_count() const {
  size_t count = 0;
  for (const Executor& executor : executors_) count += executor.weight_nodes().size();
  return count;
}

ModelRoute Network::fixed_route(int level) const {
  ModelRoute route;
  for (const Executor& executor : executors_) route.push_back(executor.fixed_route(level));
  return route;
}

ModelRoute Network::switched_route(size_t point, int from, int to) const {
  ModelRoute route;
  for (const Executor& executor : executors_) {
    const size_t count = executor.weight_nodes().size();
    // Past its places a graph runs at `from` throughout; before the first, at `to`.
    route.push_back(executor.switched_route(std::min(point, count), from, to));
    point -= std::min(point, count);
  }
  return route;
}

at::Tensor Network::weight_gradient(size_t parameter, int whole_level) const {
  at::Tensor sum;
  for (size_t k = 0; k < levels_.size(); ++k) {
    at::Tensor gradient = levels_[k][parameter].grad();
    if (!gradient.defined()) continue;
    if (static_cast<int>(k) != whole_level) gradient = at::mul(gradient, masks_[k][parameter]);
    sum = sum.defined() ? at::add(sum, gradient) : gradient;
  }
  return sum;
}

void Network::clear_gradients() {
  for (LevelTensors& level : levels_) {
    for (at::Tensor& tensor : level) tensor.mutable_grad() = at::Tensor();
  }
}

sparse::NestedModel Network::nested() const {
  sparse::NestedModel nested;
  nested.model = model_;
  nested.level_count = level_count();
  for (const size_t p : weights_) {
    const graph::Parameter& parameter = model_.parameters[p];
    std::vector<std::vector<uint8_t>> masks;
    for (const LevelTensors& level : masks_) {
      masks.push_back(row_major<uint8_t>(level[p].to(at::kByte)));
    }
    Result<sparse::NestedTensor> tensor = sparse::nest(parameter.shape, weight_values(p), masks);
    if (!tensor.ok()) {
      throw Error("training left the weight '" + parameter.name +
                  "' in a state that cannot be stored: " + tensor.status().message());
    }
    nested.weights.emplace(parameter.name, std::move(tensor).value());
  }
  for (const LevelTensors& level : levels_) {
    sparse::VectorTable& table = nested.vectors.emplace_back();
    for (const size_t p : vectors_) {
      table.emplace(model_.parameters[p].name, row_major<float>(level[p]));
    }
    silence_constant_channels(model_, table);
  }
  return nested;
}

void Network::visit(const StateVisitor& visitor) {
  for (const size_t p : weights_) {
    const std::string& name = model_.parameters[p].name;
    visitor("weight/" + name, shared_[p]);
    for (size_t k = 0; k < levels_.size(); ++k) {
      visitor("mask/" + std::to_string(k) + "/" + name, masks_[k][p]);
    }
  }
  for (size_t k = 0; k < levels_.size(); ++k) {
    for (const size_t p : vectors_) {
      visitor("vector/" + std::to_string(k) + "/" + model_.parameters[p].name, levels_[k][p]);
    }
  }
}

std::vector<float> row_major_values(const at::Tensor& tensor) { return row_major<float>(tensor); }

at::Tensor tensor_of(std::span<const uint8_t> bytes, const at::Tensor& like) {
  const at::Tensor source = at::empty(like.sizes(), at::kByte);
  std::copy(bytes.begin(), bytes.end(), source.data_ptr<uint8_t>());
  return at::empty_like(like).copy_(source);
}

at::Device parse_device(const std::string& name) {
  if (name.empty() || name == "cpu") return at::kCPU;
  if (name != "cuda") throw Error("device '" + name + "' is unknown; there are cpu and cuda");
  if (!at::hasCUDA()) {
    throw Error("device cuda is not available: this libtorch finds no CUDA; use --device cpu");
  }
  return at::kCUDA;
}

}  // namespace strata::train
