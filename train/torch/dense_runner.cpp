// Inference with libtorch as a careful user would set it up: inference mode, folded normalisation,
// in-place activations, and the memory layout that is fastest here.
#include "train/torch/dense_runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include <ATen/Parallel.h>

#include "train/error.h"
#include "train/torch/executor.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

using Layout = TorchModelOptions::Layout;

constexpr int kTrialRuns = 5;

/// One graph with the parameters of one level, in a form that may be rewritten.
struct Level {
  graph::Model model;
  graph::Graph graph;
  LevelTensors tensors;

  [[nodiscard]] size_t parameter(const std::string& name) const {
    const auto found =
        std::find_if(model.parameters.begin(), model.parameters.end(),
                     [&](const graph::Parameter& parameter) { return parameter.name == name; });
    return static_cast<size_t>(found - model.parameters.begin());
  }
};

/// Multiplies each normalisation's scale into the convolution before it and makes its shift that
/// convolution's bias, wherever nothing else reads the convolution or its weight.
void fold(Level& level) {
  std::map<std::string, int> uses;
  for (const graph::Node& node : level.graph.nodes) {
    for (const std::string& input : node.inputs) ++uses[input];
  }
  for (const graph::ValueInfo& output : level.graph.outputs) ++uses[output.name];

  std::vector<graph::Node> nodes;
  for (const graph::Node& node : level.graph.nodes) {
    const auto conv = std::find_if(nodes.begin(), nodes.end(), [&](const graph::Node& earlier) {
      return earlier.op_type == "Conv" && earlier.outputs[0] == node.inputs.at(0);
    });
    if (node.op_type != "BatchNormalization" || conv == nodes.end() ||
        uses[conv->outputs[0]] != 1 || uses[conv->inputs[1]] != 1) {
      nodes.push_back(node);
      continue;
    }
    const auto vector = [&](size_t input) {
      return level.tensors[level.parameter(node.inputs[input])];
    };
    const at::Tensor scale =
        vector(1) / at::sqrt(vector(4) + node.attribute_float("epsilon", 1e-5F));
    const bool biased = conv->inputs.size() > 2 && !conv->inputs[2].empty();
    at::Tensor mean = vector(3);
    if (biased) mean = mean - level.tensors[level.parameter(conv->inputs[2])];
    at::Tensor& weight = level.tensors[level.parameter(conv->inputs[1])];
    std::vector<int64_t> per_output(static_cast<size_t>(weight.dim()), 1);
    per_output[0] = -1;
    weight = weight * scale.reshape(per_output);
    graph::Parameter bias{.name = conv->name + ".folded_bias",
                          .shape = {scale.numel()},
                          .role = graph::ParameterRole::kBias,
                          .prunable = false};
    conv->inputs.resize(3);
    conv->inputs[2] = bias.name;
    conv->outputs[0] = node.outputs[0];
    level.model.parameters.push_back(std::move(bias));
    level.tensors.push_back(vector(2) - mean * scale);
  }
  level.graph.nodes = std::move(nodes);
}

LevelTensors laid_out(const LevelTensors& tensors, Layout layout) {
  LevelTensors result;
  for (const at::Tensor& tensor : tensors) {
    result.push_back(layout == Layout::kChannelsLast && tensor.dim() == 4
                         ? tensor.contiguous(at::MemoryFormat::ChannelsLast)
                         : tensor);
  }
  return result;
}

const char* name_of(Layout layout) {
  switch (layout) {
    case Layout::kChannelsLast:
      return "channels last";
    case Layout::kBlocked:
      return "oneDNN layout";
    default:
      return "NCHW";
  }
}

template <typename Body>
auto translate_errors(const Body& body) {
  try {
    return body();
  } catch (const c10::Error& error) {
    throw Error(std::string("libtorch cannot run the model: ") + error.what_without_backtrace());
  }
}

}  // namespace

class TorchModel::Implementation {
 public:
  Implementation(const sparse::NestedModel& nested, const TorchModelOptions& options);
  void run(std::span<const float> in, int64_t batch, std::span<float> out);
  void run(std::span<const TorchInput> inputs, std::span<float> out);
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  static Level level_of(const sparse::NestedModel& nested, const TorchModelOptions& options);
  void choose_layout(Layout wanted);
  void use(Layout layout);
  [[nodiscard]] at::Tensor forward(const at::Tensor& input) const;
  static void copy_out(const at::Tensor& output, std::span<float> out);
  [[nodiscard]] double trial(const at::Tensor& input);

  int threads_;
  Level level_;
  Executor executor_;
  Route route_;
  std::vector<int64_t> input_shape_;  ///< without batch
  Layout layout_ = Layout::kPlain;
  std::vector<LevelTensors> levels_;  ///< one: the tensors in the chosen layout
  std::string description_;
};

Level TorchModel::Implementation::level_of(const sparse::NestedModel& nested,
                                           const TorchModelOptions& options) {
  if (options.level < -1 || options.level >= nested.level_count) {
    throw Error("level " + std::to_string(options.level) +
                " does not exist; the model has levels " + "0 to " +
                std::to_string(nested.level_count - 1));
  }
  const graph::Graph* graph = options.graph.empty() && nested.model.graphs.size() == 1
                                  ? &nested.model.graphs.front()
                                  : nested.model.find_graph(options.graph);
  if (graph == nullptr) throw Error("the model has no graph '" + options.graph + "'");
  const int level = options.level < 0 ? nested.level_count - 1 : options.level;
  Level result{nested.model, *graph, level_tensors(nested, level)};
  if (options.fold) fold(result);
  return result;
}

TorchModel::Implementation::Implementation(const sparse::NestedModel& nested,
                                           const TorchModelOptions& options)
    : threads_(options.threads),
      level_(level_of(nested, options)),
      executor_(level_.model, level_.graph),
      route_(executor_.fixed_route(0)) {
  graph::Bindings bindings = options.bindings;
  bindings.merge(value_or_throw(graph::usual_sizes(level_.model)));
  const graph::ValueInfo& input = level_.graph.inputs.front();
  for (size_t i = 1; i < input.shape.size(); ++i) {
    const graph::Dim& dim = input.shape[i];
    const auto bound = bindings.find(dim.symbol());
    const int64_t otherwise = bound == bindings.end() ? 1 : bound->second;
    input_shape_.push_back(dim.known() ? dim.value() : otherwise);
  }
  // Only images have layouts to choose from.
  choose_layout(level_.graph.inputs.size() == 1 ? options.layout : Layout::kPlain);
  description_ = std::string("libtorch ") + STRATA_TORCH_VERSION + ", " + name_of(layout_) +
                 (options.fold ? ", normalisation folded" : "");
}

void TorchModel::Implementation::use(Layout layout) {
  layout_ = layout;
  levels_ = {laid_out(level_.tensors, layout)};
  if (layout != Layout::kBlocked) return;
  for (const graph::Node& node : level_.graph.nodes) {  // weights are reordered once, here
    if (node.op_type != "Conv") continue;
    at::Tensor& weight = levels_[0][level_.parameter(node.inputs[1])];
    weight = weight.to_mkldnn();
    if (node.inputs.size() > 2 && !node.inputs[2].empty()) {
      at::Tensor& bias = levels_[0][level_.parameter(node.inputs[2])];
      bias = bias.to_mkldnn();
    }
  }
}

at::Tensor TorchModel::Implementation::forward(const at::Tensor& input) const {
  at::Tensor laid_out = input;
  if (layout_ == Layout::kChannelsLast && input.dim() == 4) {
    laid_out = input.contiguous(at::MemoryFormat::ChannelsLast);
  } else if (layout_ == Layout::kBlocked) {
    laid_out = input.to_mkldnn();
  }
  const at::Tensor output = executor_.forward({&laid_out, 1}, levels_, route_, Pass{}).front();
  return output.is_mkldnn() ? output.to_dense() : output;
}

double TorchModel::Implementation::trial(const at::Tensor& input) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTrialRuns; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    (void)forward(input);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    best = std::min(best, time.count());
  }
  return best;
}

void TorchModel::Implementation::choose_layout(Layout wanted) {
  if (wanted != Layout::kFastest) {
    use(wanted);
    return;
  }
  const c10::InferenceMode inference;
  at::set_num_threads(threads_);
  std::vector<int64_t> shape = {1};
  shape.insert(shape.end(), input_shape_.begin(), input_shape_.end());
  const at::Tensor input = at::zeros(shape, at::kFloat);
  double best = std::numeric_limits<double>::infinity();
  Layout fastest = Layout::kPlain;
  for (const Layout layout : {Layout::kPlain, Layout::kChannelsLast, Layout::kBlocked}) {
    try {
      use(layout);
      const double time = trial(input);
      if (time < best) {
        best = time;
        fastest = layout;
      }
    } catch (const c10::Error&) {
      // An operator that has no oneDNN form: the other layouts remain.
      if (layout != Layout::kBlocked) throw;
    }
  }
  use(fastest);
}

void TorchModel::Implementation::run(std::span<const float> in, int64_t batch,
                                     std::span<float> out) {
  const c10::InferenceMode inference;
  if (at::get_num_threads() != threads_) at::set_num_threads(threads_);
  std::vector<int64_t> shape = {batch};
  shape.insert(shape.end(), input_shape_.begin(), input_shape_.end());
  if (level_.graph.inputs.size() != 1) {
    throw Error("graph '" + level_.graph.name + "' has several inputs");
  }
  int64_t elements = 1;
  for (const int64_t size : shape) elements *= size;
  if (static_cast<int64_t>(in.size()) != elements) {
    throw Error("the input has " + std::to_string(in.size()) + " values, " + std::to_string(batch) +
                " of them need " + std::to_string(elements));
  }
  // The tensor reads the caller's memory and is never written.
  const at::Tensor input = at::from_blob(const_cast<float*>(in.data()), shape, at::kFloat);
  copy_out(forward(input).contiguous(), out);
}

void TorchModel::Implementation::copy_out(const at::Tensor& output, std::span<float> out) {
  if (static_cast<size_t>(output.numel()) != out.size()) {
    throw Error("the output has " + std::to_string(output.numel()) + " values, but there is room " +
                "for " + std::to_string(out.size()));
  }
  std::memcpy(out.data(), output.data_ptr(), out.size_bytes());
}

void TorchModel::Implementation::run(std::span<const TorchInput> inputs, std::span<float> out) {
  const c10::InferenceMode inference;
  if (at::get_num_threads() != threads_) at::set_num_threads(threads_);
  if (inputs.size() != level_.graph.inputs.size()) {
    throw Error("graph '" + level_.graph.name + "' has " +
                std::to_string(level_.graph.inputs.size()) + " inputs, not " +
                std::to_string(inputs.size()));
  }
  std::vector<at::Tensor> tensors;
  for (const TorchInput& input : inputs) {
    // The tensors read the caller's memory and are never written.
    tensors.push_back(
        at::from_blob(const_cast<void*>(input.data), input.shape, scalar_type(input.type)));
  }
  copy_out(executor_.forward(tensors, levels_, route_, Pass{}).front().contiguous(), out);
}

TorchModel::TorchModel(const sparse::NestedModel& nested, const TorchModelOptions& options)
    : implementation_(
          translate_errors([&] { return std::make_unique<Implementation>(nested, options); })) {}
TorchModel::~TorchModel() = default;
TorchModel::TorchModel(TorchModel&&) noexcept = default;
TorchModel& TorchModel::operator=(TorchModel&&) noexcept = default;

void TorchModel::run(std::span<const float> in, int64_t batch, std::span<float> out) {
  translate_errors([&] { implementation_->run(in, batch, out); });
}

void TorchModel::run(std::span<const TorchInput> inputs, std::span<float> out) {
  translate_errors([&] { implementation_->run(inputs, out); });
}

const std::string& TorchModel::description() const { return implementation_->description(); }

}  // namespace strata::train
