// Translates a graph and one level of its parameters to onnx.ModelProto. Node semantics are ONNX's
// already, or become so in onnx_lowering; only what opset 13 words differently is rewritten here
// (Pad, BatchNormalization, Dropout).
#include "interop/onnx_export.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <onnx/onnx_pb.h>

#include "core/file.h"
#include "graph/graph.h"
#include "interop/onnx_lowering.h"
#include "interop/onnx_point_sets.h"
#include "sparse/nested.h"

namespace strata::interop {
namespace {

constexpr int64_t kIrVersion = 7;
constexpr int64_t kOpset = 13;
constexpr int64_t kOpsetOfLayers = 17;  // the first one with LayerNormalization
constexpr int64_t kMaxMessageBytes = (int64_t{1} << 31) - 1;  // protobuf's own limit

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

Status check_level(const sparse::NestedModel& nested, int level) {
  if (level == kDense || (level >= 0 && level < nested.level_count)) return {};
  return out_of_range("model '" + nested.model.name + "' has no level " + std::to_string(level) +
                      "; its levels are 0 to " + std::to_string(nested.level_count - 1));
}

Result<const graph::Graph*> choose_graph(const graph::Model& model, const std::string& name) {
  if (name.empty() && model.graphs.size() == 1) return &model.graphs.front();
  if (const graph::Graph* found = model.find_graph(name); found != nullptr) return found;
  std::string known;
  for (const graph::Graph& graph : model.graphs) {
    known += (known.empty() ? "'" : ", '") + graph.name + "'";
  }
  if (name.empty()) {
    return invalid_argument("model '" + model.name + "' has several graphs, choose one of " +
                            known);
  }
  return not_found("model '" + model.name + "' has no graph '" + name + "'; it has " + known);
}

/// A number in (0, 1] that depends on `index` alone (the finaliser of SplitMix64).
float scattered(uint64_t index) {
  uint64_t x = (index + 1) * 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return static_cast<float>((x >> 41) + 1) / static_cast<float>(1 << 23);
}

/// Makes every zero a number of the size that an untrained layer of this shape would hold.
void fill_zeros(std::vector<float>& values, const std::vector<int64_t>& shape) {
  const auto outputs = static_cast<double>(shape.empty() ? 1 : shape[0]);
  const auto scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(values.size()) / outputs));
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0.0F) continue;
    const float magnitude = scale * scattered(i);
    values[i] = i % 2 == 0 ? magnitude : -magnitude;
  }
}

/// Precondition: sparse::check() accepts the model and the level exists.
std::vector<float> parameter_values(const sparse::NestedModel& nested,
                                    const graph::Parameter& parameter, int level) {
  const int highest = nested.level_count - 1;
  const int source = level == kDense ? highest : level;
  if (parameter.role != graph::ParameterRole::kWeight) {
    return nested.vectors[static_cast<size_t>(source)].find(parameter.name)->second;
  }
  std::vector<float> values = sparse::densify(nested.weights.find(parameter.name)->second, source);
  if (level == kDense) fill_zeros(values, parameter.shape);
  return values;
}

template <typename T>
void add_initializer(onnx::GraphProto& proto, const std::string& name,
                     std::span<const int64_t> shape, onnx::TensorProto::DataType type,
                     std::span<const T> values) {
  onnx::TensorProto& tensor = *proto.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(type);
  for (const int64_t size : shape) tensor.add_dims(size);
  tensor.set_raw_data(values.data(), values.size_bytes());
}

void add_constant(onnx::GraphProto& proto, const graph::Constant& constant) {
  onnx::TensorProto& tensor = *proto.add_initializer();
  tensor.set_name(constant.name);
  tensor.set_data_type(static_cast<int>(constant.type));
  for (const int64_t size : constant.shape) tensor.add_dims(size);
  tensor.set_raw_data(constant.data.data(), constant.data.size());
}

bool reads(const graph::Graph& graph, const std::string& name) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const graph::Node& node) {
    return std::find(node.inputs.begin(), node.inputs.end(), name) != node.inputs.end();
  });
}

void add_value_info(const graph::ValueInfo& value, onnx::ValueInfoProto& proto) {
  proto.set_name(value.name);
  onnx::TypeProto::Tensor& tensor = *proto.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(static_cast<int>(value.type));
  onnx::TensorShapeProto& shape = *tensor.mutable_shape();
  for (const graph::Dim& dim : value.shape) {
    onnx::TensorShapeProto::Dimension& target = *shape.add_dim();
    if (dim.known()) {
      target.set_dim_value(dim.value());
    } else if (!dim.symbol().empty()) {
      target.set_dim_param(dim.symbol());
    }
  }
}

/// One overload for each alternative of graph::Attribute.
struct AttributeWriter {
  onnx::AttributeProto& proto;

  void operator()(int64_t value) const {
    proto.set_type(onnx::AttributeProto::INT);
    proto.set_i(value);
  }
  void operator()(float value) const {
    proto.set_type(onnx::AttributeProto::FLOAT);
    proto.set_f(value);
  }
  void operator()(const std::string& value) const {
    proto.set_type(onnx::AttributeProto::STRING);
    proto.set_s(value);
  }
  void operator()(const std::vector<int64_t>& values) const {
    proto.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) proto.add_ints(value);
  }
  void operator()(const std::vector<float>& values) const {
    proto.set_type(onnx::AttributeProto::FLOATS);
    for (const float value : values) proto.add_floats(value);
  }
};

/// Attributes that opset 13 has not: they moved to an input, or say only what it always does.
bool left_out(const graph::Node& node, std::string_view attribute) {
  if (node.op_type == "Pad") return attribute == "pads" || attribute == "value";
  if (node.op_type == "ReduceSum") return attribute == "axes";
  if (node.op_type == "Dropout") return attribute == "ratio";
  if (node.op_type == "BatchNormalization") {
    return attribute == "spatial" || attribute == "training_mode";
  }
  return false;
}

void add_node(const graph::Node& node, onnx::GraphProto& graph, std::set<std::string>& names) {
  onnx::NodeProto& proto = *graph.add_node();
  proto.set_name(node.name);
  proto.set_op_type(node.op_type);
  for (const std::string& input : node.inputs) proto.add_input(input);
  for (const std::string& output : node.outputs) proto.add_output(output);
  for (const auto& [name, value] : node.attributes) {
    if (left_out(node, name)) continue;
    onnx::AttributeProto& attribute = *proto.add_attribute();
    attribute.set_name(name);
    std::visit(AttributeWriter{attribute}, value);
  }
  const auto add_input = [&](const char* attribute) {
    std::string input = node.name + "." + attribute;
    while (!names.insert(input).second) input += '_';
    proto.add_input(input);
    return input;
  };
  const auto add_list = [&](const char* attribute) {
    const std::vector<int64_t> values = node.attribute_ints(attribute, {});
    const auto count = static_cast<int64_t>(values.size());
    add_initializer<int64_t>(graph, add_input(attribute), {&count, 1}, onnx::TensorProto::INT64,
                             values);
  };
  const auto add_number = [&](const char* attribute, float value) {
    add_initializer<float>(graph, add_input(attribute), {}, onnx::TensorProto::FLOAT, {&value, 1});
  };
  if (node.op_type == "Pad") {
    add_list("pads");
    if (const float value = node.attribute_float("value", 0); value != 0) {
      add_number("value", value);
    }
  }
  if (node.op_type == "Dropout") add_number("ratio", node.attribute_float("ratio", 0.5F));
  if (node.op_type == "ReduceSum" && node.attributes.contains("axes")) add_list("axes");
}

std::set<std::string> value_names(const graph::Model& model, const graph::Graph& graph) {
  std::set<std::string> names;
  for (const graph::Parameter& parameter : model.parameters) names.insert(parameter.name);
  for (const graph::Constant& constant : model.constants) names.insert(constant.name);
  for (const graph::ValueInfo& input : graph.inputs) names.insert(input.name);
  for (const graph::Node& node : graph.nodes) {
    names.insert(node.outputs.begin(), node.outputs.end());
  }
  return names;
}

/// Parameters that the graph reads, in the model's order.
std::vector<const graph::Parameter*> used_parameters(const graph::Model& model,
                                                     const graph::Graph& graph) {
  std::set<std::string_view> read;
  for (const graph::Node& node : graph.nodes) read.insert(node.inputs.begin(), node.inputs.end());
  std::vector<const graph::Parameter*> used;
  for (const graph::Parameter& parameter : model.parameters) {
    if (read.contains(parameter.name)) used.push_back(&parameter);
  }
  return used;
}

Status check_size(const graph::Model& model, std::span<const graph::Parameter* const> parameters) {
  int64_t elements = 0;
  for (const graph::Parameter* parameter : parameters) elements += parameter->element_count();
  if (elements <= kMaxMessageBytes / static_cast<int64_t>(sizeof(float))) return {};
  return unsupported("model '" + model.name + "' has " + std::to_string(elements) +
                     " parameters, an ONNX file holds at most 2 GiB of them");
}

}  // namespace

Result<std::string> export_onnx(const sparse::NestedModel& nested, int level,
                                const ExportOptions& options) {
  STRATA_RETURN_IF_ERROR(sparse::check(nested));
  STRATA_RETURN_IF_ERROR(check_level(nested, level));
  STRATA_ASSIGN_OR_RETURN(const graph::Graph* const graph,
                          choose_graph(nested.model, options.graph));
  const std::vector<const graph::Parameter*> parameters = used_parameters(nested.model, *graph);
  STRATA_RETURN_IF_ERROR(check_size(nested.model, parameters));
  std::set<std::string> names = value_names(nested.model, *graph);
  STRATA_ASSIGN_OR_RETURN(const LoweredGraph lowered, lower_to_onnx(nested.model, *graph, names));

  onnx::ModelProto proto;
  proto.set_ir_version(kIrVersion);
  const bool layers =
      std::any_of(graph->nodes.begin(), graph->nodes.end(),
                  [](const graph::Node& node) { return node.op_type == "LayerNormalization"; });
  proto.add_opset_import()->set_version(layers ? kOpsetOfLayers : kOpset);
  proto.set_producer_name("strata");
  proto.set_producer_version(STRATA_VERSION);
  auto metadata = nested.model.metadata;
  metadata["strata.level"] = level == kDense ? "dense" : std::to_string(level);
  metadata["strata.level_count"] = std::to_string(nested.level_count);
  for (const auto& [key, value] : metadata) {
    onnx::StringStringEntryProto& entry = *proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }

  onnx::GraphProto& target = *proto.mutable_graph();
  target.set_name(nested.model.name.empty() ? graph->name : nested.model.name);
  for (const graph::ValueInfo& input : graph->inputs) add_value_info(input, *target.add_input());
  for (const graph::ValueInfo& output : graph->outputs) {
    add_value_info(output, *target.add_output());
  }
  for (const graph::Parameter* parameter : parameters) {
    const std::vector<float> values = parameter_values(nested, *parameter, level);
    add_initializer<float>(target, parameter->name, parameter->shape, onnx::TensorProto::FLOAT,
                           values);
  }
  for (const graph::Constant& constant : nested.model.constants) {
    if (reads(*graph, constant.name)) add_constant(target, constant);
  }
  for (const graph::Constant& constant : lowered.constants) add_constant(target, constant);
  for (const graph::Node& node : lowered.graph.nodes) {
    if (!add_point_set_nodes(node, target, names)) add_node(node, target, names);
  }

  std::string bytes;
  if (!proto.SerializeToString(&bytes)) {
    return unsupported("model '" + nested.model.name + "' is larger than an ONNX file can be");
  }
  return bytes;
}

Status write_onnx(const std::string& path, const sparse::NestedModel& nested, int level,
                  const ExportOptions& options) {
  STRATA_ASSIGN_OR_RETURN(const std::string bytes, export_onnx(nested, level, options));
  const std::span<const char> characters(bytes);
  const std::span<const uint8_t> part(reinterpret_cast<const uint8_t*>(characters.data()),
                                      characters.size());
  return write_file_atomically(path, std::span(&part, 1));
}

}  // namespace strata::interop
