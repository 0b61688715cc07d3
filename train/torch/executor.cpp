// One kernel factory per ONNX operator: attributes are read once, when the executor is made, and
// what remains is a call into libtorch.
#include "train/torch/executor.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "train/error.h"
#include "train/torch/general_operators.h"
#include "train/torch/graph_attention_operators.h"
#include "train/torch/point_set_operators.h"
#include "train/torch/recurrent_operators.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

using Arguments = std::vector<at::Tensor>;
using Kernel = OperatorKernel;
using Constants = std::span<const graph::Constant* const>;  ///< [input], null unless constant
using Factory = OperatorFactory;
using Ints = std::vector<int64_t>;

[[noreturn]] void fail(const graph::Node& node, const std::string& reason) {
  throw Error("node '" + node.name + "' (" + node.op_type + ") cannot be trained: " + reason);
}

/// Geometry of a convolution or a pool over the spatial dimensions.
struct Window {
  Ints kernel, strides, dilations, begin, end;
  enum class AutoPad : uint8_t { kNone, kSameUpper, kSameLower } auto_pad = AutoPad::kNone;
  bool ceil = false;

  [[nodiscard]] bool symmetric() const { return begin == end; }
};

/// `rank` is the count of spatial dimensions, fixed by the kernel's shape.
Window window_of(const graph::Node& node, Ints kernel) {
  const size_t rank = kernel.size();
  Window window;
  window.kernel = std::move(kernel);
  window.strides = node.attribute_ints("strides", Ints(rank, 1));
  window.dilations = node.attribute_ints("dilations", Ints(rank, 1));
  window.ceil = node.attribute_int("ceil_mode", 0) != 0;
  const Ints pads = node.attribute_ints("pads", Ints(2 * rank, 0));
  if (window.strides.size() != rank || window.dilations.size() != rank || pads.size() != 2 * rank) {
    fail(node, "strides, dilations and pads must fit a kernel of " + std::to_string(rank) +
                   " dimensions");
  }
  window.begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank));
  window.end.assign(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end());
  const std::string auto_pad = node.attribute_string("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER") {
    window.auto_pad = Window::AutoPad::kSameUpper;
  } else if (auto_pad == "SAME_LOWER") {
    window.auto_pad = Window::AutoPad::kSameLower;
  } else if (auto_pad == "VALID") {
    window.begin.assign(rank, 0);
    window.end.assign(rank, 0);
  } else if (auto_pad != "NOTSET") {
    fail(node, "auto_pad '" + auto_pad + "' is not one of NOTSET, VALID, SAME_UPPER, SAME_LOWER");
  }
  return window;
}

/// Fixes SAME padding, which depends on the input's size.
Window resolve(Window window, const at::Tensor& input) {
  if (window.auto_pad == Window::AutoPad::kNone) return window;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const int64_t size = input.size(static_cast<int64_t>(i) + 2);
    const int64_t output = (size + window.strides[i] - 1) / window.strides[i];
    const int64_t total =
        std::max<int64_t>(0, (output - 1) * window.strides[i] +
                                 (window.kernel[i] - 1) * window.dilations[i] + 1 - size);
    const int64_t small = total / 2;
    const bool upper = window.auto_pad == Window::AutoPad::kSameUpper;
    window.begin[i] = upper ? small : total - small;
    window.end[i] = total - window.begin[i];
  }
  return window;
}

at::Tensor pad_spatially(const at::Tensor& input, const Window& window, double value) {
  Ints pads;  // libtorch counts from the last dimension
  for (size_t i = window.begin.size(); i-- > 0;) {
    pads.push_back(window.begin[i]);
    pads.push_back(window.end[i]);
  }
  return at::constant_pad_nd(input, pads, value);
}

Kernel make_concat(const graph::Node& node, Constants /*constants*/) {
  const int64_t axis = node.attribute_int("axis", 0);
  return [=](Arguments& in, const Pass&) { return at::cat(in, axis); };
}

Kernel make_conv(const graph::Node& node, Constants /*constants*/) {
  const int64_t group = node.attribute_int("group", 1);
  // The kernel's shape is the weight's; without the attribute the rank is known at run time only.
  const graph::Node* source = &node;
  const bool declared = !node.attribute_ints("kernel_shape", {}).empty();
  Window fixed;
  if (declared) fixed = window_of(node, node.attribute_ints("kernel_shape", {}));
  return [=](Arguments& in, const Pass&) {
    const at::Tensor& weight = in[1];
    Window window =
        resolve(declared ? fixed : window_of(*source, weight.sizes().slice(2).vec()), in[0]);
    at::Tensor input = in[0];
    if (!window.symmetric()) {
      input = pad_spatially(input, window, 0);
      window.begin.assign(window.kernel.size(), 0);
    }
    return at::convolution(input, weight, in.size() > 2 ? in[2] : at::Tensor(), window.strides,
                           window.begin, window.dilations, /*transposed=*/false,
                           Ints(window.kernel.size(), 0), group);
  };
}

/// Statistics over everything but the channels, (variance, mean).
std::tuple<at::Tensor, at::Tensor> channel_statistics(const at::Tensor& x) {
  Ints all_but_channels = {0};
  for (int64_t i = 2; i < x.dim(); ++i) all_but_channels.push_back(i);
  return at::var_mean(x, all_but_channels, /*unbiased=*/false);
}

/// Normalises by the batch's statistics and corrects the result to what the running ones give. The
/// correction is a constant to the gradient, which therefore still sees that the scale of its input
/// does not matter; without that, training by running statistics diverges. Its limits (as in the
/// paper) hold while the running statistics lag far behind.
at::Tensor imitate_inference(const Arguments& in, double epsilon) {
  constexpr double kMaxScale = 3;
  constexpr double kMaxShift = 5;
  at::Tensor scale;
  at::Tensor shift;
  {
    const at::NoGradGuard no_grad;
    const auto [variance, mean] = channel_statistics(in[0]);
    const at::Tensor running_deviation = (in[4] + epsilon).sqrt();
    scale = ((variance + epsilon).sqrt() / running_deviation).clamp(1 / kMaxScale, kMaxScale);
    shift = ((mean - in[3]) / running_deviation).clamp(-kMaxShift, kMaxShift);
    const at::Tensor varies = in[4] >= kConstantVariance;
    scale = scale * varies;
    shift = shift * varies;
  }
  return at::batch_norm(in[0], in[1] * scale, in[2] + in[1] * shift, {}, {}, /*training=*/true, 0,
                        epsilon, /*cudnn_enabled=*/false);
}

void adopt_statistics(const Arguments& in, double epsilon) {
  const at::NoGradGuard no_grad;
  const auto [variance, mean] = channel_statistics(in[0]);
  const at::Tensor scale = in[1] / (in[4] + epsilon).sqrt();
  in[2].add_((mean - in[3]) * scale);
  in[1].copy_(scale * (variance + epsilon).sqrt());
  in[3].copy_(mean);
  in[4].copy_(variance);
}

Kernel make_batch_normalization(const graph::Node& node, Constants /*constants*/) {
  const double epsilon = node.attribute_float("epsilon", 1e-5F);
  return [=](Arguments& in, const Pass& pass) {
    if (pass.adopt_statistics) adopt_statistics(in, epsilon);
    if (pass.imitate_inference) return imitate_inference(in, epsilon);
    const bool statistics = !pass.training || pass.update_statistics;
    return at::batch_norm(in[0], in[1], in[2], statistics ? in[3] : at::Tensor(),
                          statistics ? in[4] : at::Tensor(), pass.training, pass.momentum, epsilon,
                          /*cudnn_enabled=*/false);
  };
}

/// Whether nobody else reads the tensor's memory, so that inference may overwrite it. (Training
/// must not: gradients need what operators read.)
bool may_overwrite(const at::Tensor& tensor) {
  return !at::GradMode::is_enabled() && tensor.use_count() == 1 && !tensor.is_mkldnn() &&
         tensor.storage().use_count() == 1;
}

Kernel make_relu(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    return may_overwrite(in[0]) ? at::relu_(in[0]) : at::relu(in[0]);
  };
}

Kernel make_add(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    const bool same_shape = in[0].sizes() == in[1].sizes();
    return same_shape && may_overwrite(in[0]) ? in[0].add_(in[1]) : at::add(in[0], in[1]);
  };
}

/// libtorch's pools pad by the same at both ends, and at most by half the kernel.
bool pads_within_pool(const Window& window) {
  bool fits = window.begin == window.end;
  for (size_t i = 0; i < 2; ++i) fits = fits && 2 * window.begin[i] <= window.kernel[i];
  return fits;
}

/// With `ceil`, a last window that goes past the end counts only if it begins before the end
/// padding. libtorch cannot know where that is when the padding was laid around the input.
at::Tensor without_windows_past(const at::Tensor& input, const Window& window, at::Tensor output) {
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    const auto axis = static_cast<int64_t>(i) + 2;
    const int64_t extent = (window.kernel[i] - 1) * window.dilations[i] + 1;
    const int64_t begin_and_input = window.begin[i] + input.size(axis);
    const int64_t complete = (begin_and_input + window.end[i] - extent) / window.strides[i] + 1;
    const int64_t begun = (begin_and_input - 1) / window.strides[i] + 1;
    const int64_t count = std::min(output.size(axis), std::max(complete, begun));
    output = output.narrow(axis, 0, count);
  }
  return output;
}

Kernel make_max_pool(const graph::Node& node, Constants /*constants*/) {
  const Window fixed = window_of(node, node.attribute_ints("kernel_shape", {}));
  if (fixed.kernel.size() != 2) fail(node, "only two spatial dimensions are supported");
  return [=](Arguments& in, const Pass&) {
    const Window window = resolve(fixed, in[0]);
    const auto pool = [&](const at::Tensor& input, const Ints& padding) {
      return at::max_pool2d(input, window.kernel, window.strides, padding, window.dilations,
                            window.ceil);
    };
    if (pads_within_pool(window)) return pool(in[0], window.begin);
    constexpr double kNothing = -std::numeric_limits<double>::infinity();
    return without_windows_past(in[0], window,
                                pool(pad_spatially(in[0], window, kNothing), {0, 0}));
  };
}

Kernel make_average_pool(const graph::Node& node, Constants /*constants*/) {
  const Window fixed = window_of(node, node.attribute_ints("kernel_shape", {}));
  if (fixed.kernel.size() != 2) fail(node, "only two spatial dimensions are supported");
  for (const int64_t dilation : fixed.dilations) {
    if (dilation != 1) fail(node, "dilations other than 1 are not supported");
  }
  const bool include_pad = node.attribute_int("count_include_pad", 0) != 0;
  return [=](Arguments& in, const Pass&) {
    const Window window = resolve(fixed, in[0]);
    const auto pool = [&](const at::Tensor& input, const Ints& padding, bool count_padding) {
      return at::avg_pool2d(input, window.kernel, window.strides, padding, window.ceil,
                            count_padding);
    };
    if (pads_within_pool(window)) return pool(in[0], window.begin, include_pad);
    const auto pool_padded = [&](const at::Tensor& input) {
      return without_windows_past(input, window,
                                  pool(pad_spatially(input, window, 0), {0, 0}, true));
    };
    if (include_pad) return pool_padded(in[0]);
    const at::Tensor ones = at::ones({1, 1, in[0].size(2), in[0].size(3)}, in[0].options());
    return at::div(pool_padded(in[0]), pool_padded(ones));
  };
}

Kernel make_global_average_pool(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    if (in[0].is_mkldnn()) return at::adaptive_avg_pool2d(in[0], {1, 1}).to_dense();
    Ints spatial;
    for (int64_t i = 2; i < in[0].dim(); ++i) spatial.push_back(i);
    return in[0].mean(spatial, /*keepdim=*/true);
  };
}

Kernel make_flatten(const graph::Node& node, Constants /*constants*/) {
  const int64_t axis = node.attribute_int("axis", 1);
  return [=](Arguments& in, const Pass&) {
    int64_t rows = 1;
    const int64_t split = axis < 0 ? axis + in[0].dim() : axis;
    for (int64_t i = 0; i < split; ++i) rows *= in[0].size(i);
    return in[0].reshape({rows, in[0].numel() / std::max<int64_t>(rows, 1)});
  };
}

Kernel make_gemm(const graph::Node& node, Constants /*constants*/) {
  const double alpha = node.attribute_float("alpha", 1.0F);
  const double beta = node.attribute_float("beta", 1.0F);
  const bool transpose_a = node.attribute_int("transA", 0) != 0;
  const bool transpose_b = node.attribute_int("transB", 0) != 0;
  return [=](Arguments& in, const Pass&) {
    const at::Tensor a = transpose_a ? in[0].t() : in[0];
    const at::Tensor b = transpose_b ? in[1].t() : in[1];
    if (in.size() > 2 && in[2].defined()) return at::addmm(in[2], a, b, beta, alpha);
    const at::Tensor product = at::mm(a, b);
    return alpha == 1.0 ? product : at::mul(product, alpha);
  };
}

Kernel make_mat_mul(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) { return at::matmul(in[0], in[1]); };
}

Kernel make_pad(const graph::Node& node, Constants /*constants*/) {
  const std::string mode = node.attribute_string("mode", "constant");
  if (node.inputs.size() > 1) fail(node, "pads must be an attribute, not an input");
  const Ints pads = node.attribute_ints("pads", {});
  const double value = node.attribute_float("value", 0.0F);
  if (pads.empty() || pads.size() % 2 != 0) fail(node, "pads must hold two numbers per dimension");
  Ints reversed;
  const size_t rank = pads.size() / 2;
  for (size_t i = rank; i-- > 0;) {
    reversed.push_back(pads[i]);
    reversed.push_back(pads[i + rank]);
  }
  if (mode == "constant") {
    return [=](Arguments& in, const Pass&) { return at::constant_pad_nd(in[0], reversed, value); };
  }
  const bool edge = mode == "edge";
  if (!edge && mode != "reflect") fail(node, "mode '" + mode + "' is not supported");
  return [=](Arguments& in, const Pass&) {  // libtorch pads the last axes only: pick places instead
    at::Tensor out = in[0];
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t size = in[0].size(static_cast<int64_t>(axis));
      if (pads[axis] == 0 && pads[axis + rank] == 0) continue;
      Ints places;
      for (int64_t at = -pads[axis]; at < size + pads[axis + rank]; ++at) {
        const int64_t reflected = at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at;
        places.push_back(edge ? std::clamp<int64_t>(at, 0, size - 1) : reflected);
      }
      out = out.index_select(static_cast<int64_t>(axis),
                             at::tensor(places, at::kLong).to(out.device()));
    }
    return out;
  };
}

Kernel make_softmax(const graph::Node& node, Constants /*constants*/) {
  const int64_t axis = node.attribute_int("axis", -1);
  return [=](Arguments& in, const Pass&) { return at::softmax(in[0], axis); };
}

Kernel make_identity(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) { return in[0]; };
}

/// The integers of a constant input, which fix the kernel when it is made.
Ints integers_of(const graph::Node& node, Constants constants, size_t index) {
  std::optional<Ints> values;
  if (index < constants.size() && constants[index] != nullptr) {
    values = constants[index]->integers();
  }
  if (!values) fail(node, "its input " + std::to_string(index) + " must be constant integers");
  return *std::move(values);
}

Kernel make_mul(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) { return at::mul(in[0], in[1]); };
}

Kernel make_reshape(const graph::Node& node, Constants constants) {
  const bool zero_is_size = node.attribute_int("allowzero", 0) != 0;
  const Ints target = integers_of(node, constants, 1);
  return [=](Arguments& in, const Pass&) {
    Ints shape = target;
    for (size_t i = 0; i < shape.size() && !zero_is_size; ++i) {
      if (shape[i] == 0) shape[i] = in[0].size(static_cast<int64_t>(i));
    }
    return in[0].reshape(shape);
  };
}

Kernel make_transpose(const graph::Node& node, Constants /*constants*/) {
  const Ints order = node.attribute_ints("perm", {});
  return [=](Arguments& in, const Pass&) {
    Ints axes = order;
    for (int64_t i = in[0].dim(); order.empty() && i-- > 0;) axes.push_back(i);
    return in[0].permute(axes);
  };
}

/// Keyed by the operator's name, after "DOMAIN." where it is not ONNX's own.
const std::map<std::string, Factory, std::less<>>& factories() {
  static const std::map<std::string, Factory, std::less<>> kTable = {
      {"Add", make_add},
      {"AveragePool", make_average_pool},
      {"BatchNormalization", make_batch_normalization},
      {"Concat", make_concat},
      {"Conv", make_conv},
      {"Dropout", make_dropout},
      {"Flatten", make_flatten},
      {"GRU", make_gru},
      {"Gemm", make_gemm},
      {"GlobalAveragePool", make_global_average_pool},
      {"Identity", make_identity},
      {"LSTM", make_lstm},
      {"MatMul", make_mat_mul},
      {"MaxPool", make_max_pool},
      {"Mul", make_mul},
      {"Pad", make_pad},
      {"Relu", make_relu},
      {"Reshape", make_reshape},
      {"Softmax", make_softmax},
      {"Transpose", make_transpose},
      {"ai.strata.BallQuery", make_ball_query},
      {"ai.strata.EdgeSoftmax", make_edge_softmax},
      {"ai.strata.EdgeSum", make_edge_sum},
      {"ai.strata.FarthestPointSampling", make_farthest_point_sampling},
      {"ai.strata.GatherPoints", make_gather_points},
      {"ai.strata.GroupPoints", make_group_points},
      {"ai.strata.HeadScores", make_head_scores},
      {"ai.strata.SparseProduct", make_sparse_product},
  };
  return kTable;
}

OperatorKernel make_kernel(const graph::Node& node, Constants constants) {
  const std::string key = (node.domain.empty() ? "" : node.domain + ".") + node.op_type;
  for (const auto* table : {&factories(), &general_operators()}) {
    if (const auto found = table->find(key); found != table->end()) {
      return found->second(node, constants);
    }
  }
  fail(node, "the operator is not known to training");
}

}  // namespace

Executor::Executor(const graph::Model& model, const graph::Graph& graph) : graph_(&graph) {
  std::map<std::string, size_t, std::less<>> slots;
  std::map<std::string, size_t, std::less<>> parameters;
  std::map<std::string, size_t, std::less<>> producers;
  for (size_t i = 0; i < model.parameters.size(); ++i) parameters[model.parameters[i].name] = i;
  std::map<std::string, size_t, std::less<>> constants;
  for (size_t i = 0; i < model.constants.size(); ++i) {
    constants[model.constants[i].name] = i;
    constants_.push_back(tensor_of(model.constants[i]));
  }
  for (const graph::ValueInfo& input : graph.inputs) slots[input.name] = slot_count_++;

  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const graph::Node& node = graph.nodes[n];
    Operation operation;
    std::vector<const graph::Constant*> node_constants;
    size_t leader = n;
    bool applies_weight = false;
    for (const std::string& name : node.inputs) {
      Source source;
      if (const auto value = slots.find(name); value != slots.end()) {
        source = {Source::Kind::kValue, value->second, false};
      } else if (const auto parameter = parameters.find(name); parameter != parameters.end()) {
        source = {Source::Kind::kParameter, parameter->second, false};
        applies_weight = applies_weight ||
                         model.parameters[parameter->second].role == graph::ParameterRole::kWeight;
      } else if (const auto constant = constants.find(name); constant != constants.end()) {
        source = {Source::Kind::kConstant, constant->second, false};
      } else if (!name.empty()) {
        fail(node, "its input '" + name + "' is defined nowhere before it");
      }
      operation.inputs.push_back(source);
      node_constants.push_back(
          source.kind == Source::Kind::kConstant ? &model.constants[source.index] : nullptr);
    }
    operation.kernel = make_kernel(node, node_constants);
    if (node.op_type == "BatchNormalization") {
      if (const auto producer = producers.find(node.inputs.at(0)); producer != producers.end()) {
        leader = leader_[producer->second];
      }
    }
    operation.first_output = slot_count_;
    operation.output_count = node.outputs.size();
    for (const std::string& output : node.outputs) {
      if (!output.empty()) {
        slots[output] = slot_count_;
        producers[output] = n;
      }
      ++slot_count_;
    }
    leader_.push_back(leader);
    if (applies_weight) weight_nodes_.push_back(n);
    operations_.push_back(std::move(operation));
  }

  std::vector<bool> needed(slot_count_, false);
  for (const graph::ValueInfo& output : graph.outputs) {
    const auto slot = slots.find(output.name);
    if (slot == slots.end()) {
      throw Error("graph '" + graph.name + "' never produces its output '" + output.name + "'");
    }
    output_slots_.push_back(slot->second);
    needed[slot->second] = true;
  }
  for (size_t n = operations_.size(); n-- > 0;) {
    std::vector<Source>& sources = operations_[n].inputs;
    for (size_t i = sources.size(); i-- > 0;) {  // of a value used twice, the second use is last
      Source& source = sources[i];
      if (source.kind != Source::Kind::kValue || needed[source.index]) continue;
      source.last_use = true;
      needed[source.index] = true;
    }
  }
}

Route Executor::fixed_route(int level) const {
  return Route(operations_.size(), static_cast<uint8_t>(level));
}

Route Executor::switched_route(size_t point, int from, int to) const {
  Route route = fixed_route(to);
  const size_t first = point < weight_nodes_.size() ? weight_nodes_[point] : operations_.size();
  for (size_t n = 0; n < route.size(); ++n) {
    if (leader_[n] < first) route[n] = static_cast<uint8_t>(from);
  }
  return route;
}

Executor::Values Executor::begin(std::span<const at::Tensor> inputs) const {
  Values values{std::vector<at::Tensor>(slot_count_), at::kCPU};
  if (!inputs.empty()) values.device = inputs[0].device();
  std::copy(inputs.begin(), inputs.end(), values.slots.begin());
  return values;
}

std::vector<at::Tensor> Executor::arguments(size_t node, const Values& values,
                                            const LevelTensors& level) const {
  std::vector<at::Tensor> all;
  for (const Source& source : operations_[node].inputs) {
    switch (source.kind) {
      case Source::Kind::kNone:
        all.emplace_back();
        break;
      case Source::Kind::kParameter:
        all.push_back(level[source.index]);
        break;
      case Source::Kind::kConstant:
        all.push_back(constants_[source.index].to(values.device));
        break;
      case Source::Kind::kValue:
        all.push_back(values.slots[source.index]);
        break;
    }
  }
  return all;
}

void Executor::run(size_t node, Values& values, const LevelTensors& level, const Pass& pass) const {
  const Operation& operation = operations_[node];
  Arguments all = arguments(node, values, level);
  for (const Source& source : operation.inputs) {
    if (source.last_use) values.slots[source.index] = at::Tensor();
  }
  std::vector<at::Tensor> results = operation.kernel(all, pass);
  for (size_t i = 0; i < std::min(results.size(), operation.output_count); ++i) {
    values.slots[operation.first_output + i] = std::move(results[i]);
  }
}

std::vector<at::Tensor> Executor::outputs(const Values& values) const {
  std::vector<at::Tensor> all;
  all.reserve(output_slots_.size());
  for (const size_t slot : output_slots_) all.push_back(values.slots[slot]);
  return all;
}

std::vector<at::Tensor> Executor::forward(std::span<const at::Tensor> inputs,
                                          std::span<const LevelTensors> levels, const Route& route,
                                          const Pass& pass) const {
  Values values = begin(inputs);
  for (size_t n = 0; n < operations_.size(); ++n) run(n, values, levels[route[n]], pass);
  return outputs(values);
}

}  // namespace strata::train
