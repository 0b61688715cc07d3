// See builder.h.
#include "graph/builder.h"

#include <utility>

namespace strata::graph {

GraphBuilder::GraphBuilder(Model& model, std::string graph_name) : model_(model) {
  graph_.name = std::move(graph_name);
}

std::string GraphBuilder::input(std::string name, Shape shape, DataType type) {
  graph_.inputs.push_back({std::move(name), type, std::move(shape)});
  return graph_.inputs.back().name;
}

void GraphBuilder::output(const std::string& value, std::string name, Shape shape, DataType type) {
  for (Node& node : graph_.nodes) {
    for (std::string& output : node.outputs) {
      if (output == value) output = name;
    }
    for (std::string& input : node.inputs) {
      if (input == value) input = name;
    }
  }
  graph_.outputs.push_back({std::move(name), type, std::move(shape)});
}

std::string GraphBuilder::node(const std::string& name, std::string op_type,
                               std::vector<std::string> inputs,
                               std::map<std::string, Attribute, std::less<>> attributes,
                               std::string domain) {
  graph_.nodes.push_back({name,
                          std::move(op_type),
                          std::move(domain),
                          std::move(inputs),
                          {name},
                          std::move(attributes)});
  return name;
}

std::string GraphBuilder::parameter(std::string name, std::vector<int64_t> shape,
                                    ParameterRole role, bool prunable) {
  model_.parameters.push_back({std::move(name), std::move(shape), role, prunable});
  return model_.parameters.back().name;
}

std::string GraphBuilder::conv(const std::string& name, const std::string& value,
                               const ConvOptions& o) {
  std::vector<std::string> inputs = {value};
  const int64_t in_group = o.group > 0 ? o.in_channels / o.group : 0;
  inputs.push_back(parameter(name + ".weight", {o.out_channels, in_group, o.kernel, o.kernel},
                             ParameterRole::kWeight, o.prunable));
  if (o.bias) {
    inputs.push_back(parameter(name + ".bias", {o.out_channels}, ParameterRole::kBias));
  }
  return node(name, "Conv", std::move(inputs),
              {{"dilations", std::vector<int64_t>(2, o.dilation)},
               {"group", o.group},
               {"kernel_shape", std::vector<int64_t>(2, o.kernel)},
               {"pads", std::vector<int64_t>(4, o.padding)},
               {"strides", std::vector<int64_t>(2, o.stride)}});
}

std::string GraphBuilder::batch_norm(const std::string& name, const std::string& value,
                                     int64_t channels, float epsilon) {
  std::vector<std::string> inputs = {value};
  inputs.push_back(parameter(name + ".weight", {channels}, ParameterRole::kScale));
  inputs.push_back(parameter(name + ".bias", {channels}, ParameterRole::kShift));
  inputs.push_back(parameter(name + ".running_mean", {channels}, ParameterRole::kMean));
  inputs.push_back(parameter(name + ".running_var", {channels}, ParameterRole::kVariance));
  return node(name, "BatchNormalization", std::move(inputs), {{"epsilon", epsilon}});
}

std::string GraphBuilder::relu(const std::string& name, const std::string& value) {
  return node(name, "Relu", {value});
}

std::string GraphBuilder::add(const std::string& name, const std::string& a, const std::string& b) {
  return node(name, "Add", {a, b});
}

std::string GraphBuilder::max_pool(const std::string& name, const std::string& value,
                                   const PoolOptions& o) {
  return node(name, "MaxPool", {value},
              {{"ceil_mode", int64_t{o.ceil_mode}},
               {"kernel_shape", std::vector<int64_t>(2, o.kernel)},
               {"pads", std::vector<int64_t>(4, o.padding)},
               {"strides", std::vector<int64_t>(2, o.stride)}});
}

std::string GraphBuilder::average_pool(const std::string& name, const std::string& value,
                                       const PoolOptions& o) {
  return node(name, "AveragePool", {value},
              {{"ceil_mode", int64_t{o.ceil_mode}},
               {"kernel_shape", std::vector<int64_t>(2, o.kernel)},
               {"pads", std::vector<int64_t>(4, o.padding)},
               {"strides", std::vector<int64_t>(2, o.stride)}});
}

std::string GraphBuilder::global_average_pool(const std::string& name, const std::string& value) {
  return node(name, "GlobalAveragePool", {value});
}

std::string GraphBuilder::flatten(const std::string& name, const std::string& value, int64_t axis) {
  return node(name, "Flatten", {value}, {{"axis", axis}});
}

std::string GraphBuilder::gemm(const std::string& name, const std::string& value,
                               int64_t in_features, int64_t out_features, bool bias,
                               bool prunable) {
  std::vector<std::string> inputs = {value};
  inputs.push_back(
      parameter(name + ".weight", {out_features, in_features}, ParameterRole::kWeight, prunable));
  if (bias) inputs.push_back(parameter(name + ".bias", {out_features}, ParameterRole::kBias));
  return node(name, "Gemm", std::move(inputs), {{"transB", int64_t{1}}});
}

LstmOutputs GraphBuilder::lstm(const std::string& name, const std::string& value,
                               const LstmOptions& o) {
  const int64_t directions = o.direction == "bidirectional" ? 2 : 1;
  std::vector<std::string> inputs = {value};
  inputs.push_back(parameter(name + ".weight", {directions, 4 * o.hidden, o.in_features},
                             ParameterRole::kWeight, o.prunable));
  inputs.push_back(parameter(name + ".recurrent_weight", {directions, 4 * o.hidden, o.hidden},
                             ParameterRole::kWeight, o.prunable));
  inputs.push_back(parameter(name + ".bias", {directions, 8 * o.hidden}, ParameterRole::kBias));
  for (const std::string& optional : {o.sequence_lens, o.initial_h, o.initial_c}) {
    inputs.push_back(optional);
  }
  while (inputs.back().empty()) inputs.pop_back();
  node(name, "LSTM", std::move(inputs), {{"direction", o.direction}, {"hidden_size", o.hidden}});
  LstmOutputs outputs{name, name + ".h", name + ".c"};
  graph_.nodes.back().outputs = {outputs.y, outputs.h, outputs.c};
  return outputs;
}

std::string GraphBuilder::constant(Constant constant) {
  std::string name = constant.name;
  model_.constants.push_back(std::move(constant));
  return name;
}

std::string GraphBuilder::pad(const std::string& name, const std::string& value,
                              std::vector<int64_t> pads) {
  return node(name, "Pad", {value}, {{"mode", std::string("constant")}, {"pads", std::move(pads)}});
}

std::string GraphBuilder::reshape(const std::string& name, const std::string& value,
                                  const std::vector<int64_t>& sizes) {
  const auto rank = static_cast<int64_t>(sizes.size());
  return node(name, "Reshape", {value, constant(make_constant(name + ".shape", {rank}, sizes))});
}

void GraphBuilder::finish() { model_.graphs.push_back(std::move(graph_)); }

}  // namespace strata::graph
