// See onnx_import.h. Orders the nodes, walks them once, and makes a model of what came out.
#include "interop/onnx_import.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "graph/operators.h"
#include "interop/onnx_file.h"
#include "interop/onnx_scope.h"
#include "sparse/nested.h"

namespace strata::interop {
namespace {

using onnx::AttributeProto;

std::string quote(std::string_view text) { return "'" + std::string(text) + "'"; }

Status at(const std::string& where, const Status& status) {
  return {status.code(), where + status.message()};
}

class Importer {
 public:
  Importer(OnnxFile& file, const SafetensorsFile* weights, const ImportOptions& options,
           int64_t opset)
      : proto_(file.model().graph()), options_(options), scope_(file, opset) {
    if (weights != nullptr) scope_.use_weights(*weights);
  }

  /// Everything but what is wrong with single nodes, which problems() lists.
  Status walk();
  Result<sparse::NestedModel> finish(const onnx::ModelProto& model);

  [[nodiscard]] const std::vector<Status>& problems() const { return problems_; }
  [[nodiscard]] std::vector<OperatorUse> operators() const;
  [[nodiscard]] std::vector<graph::ValueInfo> outputs() const;
  [[nodiscard]] const std::vector<graph::ValueInfo>& inputs() { return scope_.graph().inputs; }

 private:
  Status read_inputs();
  Status read_initializers();
  Status order_nodes();
  Status convert(const onnx::NodeProto& proto, OnnxNode& node);
  void import_node(const onnx::NodeProto& proto);
  Status declare_outputs();
  void remove_dead_nodes();
  graph::Dim dimension(const onnx::TensorShapeProto::Dimension& proto, const std::string& input,
                       int axis) const;

  const onnx::GraphProto& proto_;
  const ImportOptions& options_;
  Scope scope_;
  std::vector<const onnx::NodeProto*> order_;
  std::set<std::string_view> read_;  ///< outputs of nodes that somebody reads
  std::set<std::string, std::less<>> node_names_;
  std::map<std::pair<std::string, std::string>, OperatorUse> uses_;
  std::vector<Status> problems_;
};

graph::Dim Importer::dimension(const onnx::TensorShapeProto::Dimension& proto,
                               const std::string& input, int axis) const {
  if (proto.has_dim_value() && proto.dim_value() > 0) return {proto.dim_value()};
  std::string symbol = proto.dim_param();
  if (symbol.empty()) symbol = axis == 0 ? "batch" : input + "_" + std::to_string(axis);
  const auto bound = options_.bindings.find(symbol);
  return bound != options_.bindings.end() ? graph::Dim(bound->second) : graph::Dim(symbol);
}

Status Importer::read_inputs() {
  std::set<std::string_view> initialised;
  for (const onnx::TensorProto& tensor : proto_.initializer()) initialised.insert(tensor.name());
  std::set<std::string_view> seen;
  for (const onnx::ValueInfoProto& input : proto_.input()) {
    const std::string where = "input " + quote(input.name()) + ": ";
    if (!seen.insert(input.name()).second) {
      return invalid_argument(where + "it is declared twice");
    }
    if (initialised.contains(input.name())) continue;  // until IR version 4, weights were inputs
    if (scope_.has_weight(input.name())) continue;
    if (!input.type().has_tensor_type()) {
      return unsupported(where +
                         "it is no tensor; sequences, maps and optional values are not "
                         "supported");
    }
    const onnx::TypeProto::Tensor& tensor = input.type().tensor_type();
    const Result<graph::DataType> type = data_type(tensor.elem_type());
    if (!type.ok()) return at(where, type.status());
    if (!tensor.has_shape()) return unsupported(where + "its count of dimensions is not known");
    graph::ValueInfo value{input.name(), *type, {}};
    for (int i = 0; i < tensor.shape().dim_size(); ++i) {
      value.shape.push_back(dimension(tensor.shape().dim(i), input.name(), i));
    }
    if (const Status large = graph::element_count(value.shape).status(); !large.ok()) {
      return at(where, large);
    }
    scope_.add_input(std::move(value));
  }
  return {};
}

Status Importer::read_initializers() {
  std::set<std::string_view> seen;
  for (const onnx::TensorProto& tensor : proto_.initializer()) {
    if (tensor.name().empty()) return invalid_argument("an initialiser has no name");
    if (!seen.insert(tensor.name()).second) {
      return invalid_argument("initialiser " + quote(tensor.name()) + ": it is defined twice");
    }
    scope_.add_initializer(tensor);
  }
  if (proto_.sparse_initializer_size() > 0) {
    return unsupported("the model has sparse initialisers, which are not supported");
  }
  return {};
}

/// ONNX asks for a topological order; not every exporter knows. Kahn's algorithm keeps the order
/// that is there where it is one.
Status Importer::order_nodes() {
  std::map<std::string_view, size_t> producer;
  std::set<std::string_view> given;
  for (const onnx::ValueInfoProto& input : proto_.input()) given.insert(input.name());
  for (const onnx::TensorProto& tensor : proto_.initializer()) given.insert(tensor.name());
  const auto count = static_cast<size_t>(proto_.node_size());
  const auto describe = [](const onnx::NodeProto& node) {
    return "node " + quote(node.name()) + " (" + node.op_type() + "): ";
  };
  for (size_t i = 0; i < count; ++i) {
    const onnx::NodeProto& node = proto_.node(static_cast<int>(i));
    for (const std::string& output : node.output()) {
      if (output.empty()) continue;
      if (given.contains(output) || !producer.emplace(output, i).second) {
        return invalid_argument(describe(node) + "its output " + quote(output) +
                                " is defined a second time");
      }
      scope_.reserve_name(output);
    }
  }
  for (const onnx::ValueInfoProto& output : proto_.output()) read_.insert(output.name());
  std::vector<size_t> missing(count, 0);
  std::vector<std::vector<size_t>> readers(count);
  for (size_t i = 0; i < count; ++i) {
    const onnx::NodeProto& node = proto_.node(static_cast<int>(i));
    for (const std::string& input : node.input()) {
      if (input.empty() || given.contains(input)) continue;
      const auto found = producer.find(input);
      if (found == producer.end() && scope_.has_weight(input)) continue;
      if (found == producer.end()) {
        return invalid_argument(describe(node) + "its input " + quote(input) +
                                " is neither a graph input, nor an initialiser, nor made by a "
                                "node" +
                                (options_.weights.empty()
                                     ? "; if weights lie beside the model, give them with --weights"
                                     : ", nor in " + quote(options_.weights)));
      }
      read_.insert(input);
      readers[found->second].push_back(i);
      ++missing[i];
    }
  }
  std::set<size_t> ready;
  for (size_t i = 0; i < count; ++i) {
    if (missing[i] == 0) ready.insert(i);
  }
  while (!ready.empty()) {
    const size_t next = *ready.begin();
    ready.erase(ready.begin());
    order_.push_back(&proto_.node(static_cast<int>(next)));
    for (const size_t reader : readers[next]) {
      if (--missing[reader] == 0) ready.insert(reader);
    }
  }
  if (order_.size() == count) return {};
  const auto stuck = std::find_if(missing.begin(), missing.end(), [](size_t m) { return m > 0; });
  return invalid_argument(describe(proto_.node(static_cast<int>(stuck - missing.begin()))) +
                          "it is part of a cycle, or waits for one");
}

Status Importer::convert(const onnx::NodeProto& proto, OnnxNode& node) {
  node.node.op_type = proto.op_type();
  node.node.domain = proto.domain() == "ai.onnx" ? "" : proto.domain();
  std::string name = proto.name().empty() ? proto.op_type() : proto.name();
  for (int i = 1; !node_names_.insert(name).second; ++i) {
    name = (proto.name().empty() ? proto.op_type() : proto.name()) + "_" + std::to_string(i);
  }
  node.node.name = name;
  for (const std::string& input : proto.input()) node.node.inputs.push_back(scope_.resolve(input));
  node.node.outputs.assign(proto.output().begin(), proto.output().end());
  for (size_t i = 1; i < node.node.outputs.size(); ++i) {
    if (!read_.contains(node.node.outputs[i])) node.node.outputs[i].clear();
  }
  while (node.node.outputs.size() > 1 && node.node.outputs.back().empty()) {
    node.node.outputs.pop_back();
  }
  for (const AttributeProto& attribute : proto.attribute()) {
    graph::Attribute value;
    switch (attribute.type()) {
      case AttributeProto::INT:
        value = attribute.i();
        break;
      case AttributeProto::FLOAT:
        value = attribute.f();
        break;
      case AttributeProto::STRING:
        value = attribute.s();
        break;
      case AttributeProto::INTS:
        value = std::vector<int64_t>(attribute.ints().begin(), attribute.ints().end());
        break;
      case AttributeProto::FLOATS:
        value = std::vector<float>(attribute.floats().begin(), attribute.floats().end());
        break;
      case AttributeProto::STRINGS:
        // No other operator that is known has a list of strings.
        if (attribute.name() != "activations") {
          return unsupported("attribute " + quote(attribute.name()) +
                             " is a list of strings, which is not supported");
        }
        node.strings.emplace(attribute.name(), std::vector<std::string>(attribute.strings().begin(),
                                                                        attribute.strings().end()));
        continue;
      case AttributeProto::TENSOR:
        node.tensors.emplace(attribute.name(), &attribute.t());
        continue;
      case AttributeProto::GRAPH:
      case AttributeProto::GRAPHS:
        return unsupported("it has a sub-graph (" + quote(attribute.name()) +
                           "); control flow is not supported");
      default:
        return unsupported("attribute " + quote(attribute.name()) +
                           " is of a kind that is not supported");
    }
    node.node.attributes.insert_or_assign(attribute.name(), std::move(value));
  }
  return {};
}

void Importer::import_node(const onnx::NodeProto& proto) {
  OnnxNode node;
  const Status converted = convert(proto, node);
  OperatorUse& use = uses_[{node.node.domain, node.node.op_type}];
  if (use.count++ == 0) {
    use.domain = node.node.domain;
    use.op_type = node.node.op_type;
    use.first_node = node.node.name;
  }
  const bool blind = std::any_of(node.node.inputs.begin(), node.node.inputs.end(),
                                 [&](const std::string& input) { return scope_.lost(input); });
  Status status = converted;
  if (status.ok() && (!blind || !knows(node))) {
    const Result<bool> folded = fold(scope_, node);
    status = folded.status();
    if (folded.ok() && *folded) {
      ++use.folded;
      return;
    }
    if (status.ok()) status = rewrite(scope_, node);
    if (status.ok()) return;
  }
  for (const std::string& output : node.node.outputs) scope_.lose(output);
  if (status.ok()) return;  // it reads what could not be imported, so nothing can be said of it
  status = at("node " + quote(node.node.name) + " (" + node.node.op_type + "): ", status);
  if (use.problem.empty()) use.problem = status.message();
  problems_.push_back(std::move(status));
}

Status Importer::walk() {
  STRATA_RETURN_IF_ERROR(read_inputs());
  STRATA_RETURN_IF_ERROR(read_initializers());
  STRATA_RETURN_IF_ERROR(order_nodes());
  scope_.graph().name = "main";
  for (const onnx::NodeProto* node : order_) import_node(*node);
  return {};
}

std::vector<OperatorUse> Importer::operators() const {
  std::vector<OperatorUse> all;
  for (const auto& [key, use] : uses_) all.push_back(use);
  return all;
}

std::vector<graph::ValueInfo> Importer::outputs() const {
  std::vector<graph::ValueInfo> all;
  for (const onnx::ValueInfoProto& output : proto_.output()) {
    if (const graph::ValueInfo* value = scope_.value(scope_.resolve(output.name()))) {
      all.push_back(*value);
      all.back().name = output.name();
    }
  }
  return all;
}

/// Outputs keep their names: what an alias calls otherwise is renamed, or copied by an Identity
/// where it is a graph input or an output already.
Status Importer::declare_outputs() {
  graph::Graph& graph = scope_.graph();
  std::set<std::string> declared;
  std::set<std::string> kept;
  for (const graph::ValueInfo& input : graph.inputs) kept.insert(input.name);
  for (const onnx::ValueInfoProto& output : proto_.output()) {
    const std::string& name = output.name();
    const std::string where = "output " + quote(name) + ": ";
    if (!declared.insert(name).second) return invalid_argument(where + "it is declared twice");
    const std::string source = scope_.resolve(name);
    const graph::ValueInfo* value = scope_.value(source);
    if (value == nullptr) {
      STRATA_ASSIGN_OR_RETURN(const Constant* constant, scope_.constant(source));
      if (constant == nullptr && scope_.quantised(source) != nullptr) {
        return unsupported(where + "it is quantised; strata gives floating-point numbers only");
      }
      if (constant == nullptr) return invalid_argument(where + "no node makes it");
      return unsupported(where + "it does not depend on the input");
    }
    graph::ValueInfo info = *value;
    info.name = name;
    if (source != name) {
      if (kept.contains(source)) {
        const std::string node = scope_.unused_name(name + ".copy");
        graph.nodes.push_back({node, "Identity", "", {source}, {name}, {}});
      } else {
        for (graph::Node& node : graph.nodes) {
          std::replace(node.inputs.begin(), node.inputs.end(), source, name);
          std::replace(node.outputs.begin(), node.outputs.end(), source, name);
        }
        for (const onnx::ValueInfoProto& other : proto_.output()) {
          if (scope_.resolve(other.name()) == source) scope_.alias(other.name(), name);
        }
        graph::ValueInfo renamed = info;
        scope_.rename(source, std::move(renamed));
      }
    }
    kept.insert(name);
    graph.outputs.push_back(std::move(info));
  }
  if (graph.outputs.empty()) return invalid_argument("the graph declares no output");
  return {};
}

void Importer::remove_dead_nodes() {
  graph::Graph& graph = scope_.graph();
  std::set<std::string> needed;
  for (const graph::ValueInfo& output : graph.outputs) needed.insert(output.name);
  std::vector<graph::Node> live;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    graph::Node& node = graph.nodes[i];
    const bool used = std::any_of(node.outputs.begin(), node.outputs.end(),
                                  [&](const std::string& name) { return needed.contains(name); });
    if (!used) continue;
    needed.insert(node.inputs.begin(), node.inputs.end());
    live.push_back(std::move(node));
  }
  std::reverse(live.begin(), live.end());
  graph.nodes = std::move(live);
  std::vector<graph::Parameter> parameters;
  for (graph::Parameter& parameter : scope_.model().parameters) {
    if (needed.contains(parameter.name)) parameters.push_back(std::move(parameter));
  }
  scope_.model().parameters = std::move(parameters);
  std::erase_if(scope_.model().constants,
                [&](const graph::Constant& constant) { return !needed.contains(constant.name); });
}

Result<sparse::NestedModel> Importer::finish(const onnx::ModelProto& model) {
  if (!options_.weights.empty() && scope_.used_weights() == 0) {
    return invalid_argument("no tensor of " + quote(options_.weights) +
                            " has the name of one of the model's weights");
  }
  STRATA_RETURN_IF_ERROR(declare_outputs());
  remove_dead_nodes();
  sparse::NestedModel nested;
  nested.level_count = 1;
  nested.vectors.resize(1);
  nested.model = std::move(scope_.model());
  nested.model.name = options_.name.empty() ? model.graph().name() : options_.name;
  for (const onnx::StringStringEntryProto& entry : model.metadata_props()) {
    if (!entry.key().starts_with("strata.")) nested.model.metadata[entry.key()] = entry.value();
  }
  nested.model.graphs = {std::move(scope_.graph())};
  for (const graph::Parameter& parameter : nested.model.parameters) {
    std::vector<float>& values = scope_.parameter_values().find(parameter.name)->second;
    if (parameter.role == graph::ParameterRole::kWeight) {
      const std::vector<std::vector<uint8_t>> mask = {std::vector<uint8_t>(values.size(), 1)};
      Result<sparse::NestedTensor> tensor = sparse::nest(parameter.shape, values, mask);
      if (!tensor.ok()) return at("weight " + quote(parameter.name) + ": ", tensor.status());
      nested.weights.emplace(parameter.name, std::move(tensor).value());
      values = {};
    } else {
      nested.vectors[0].emplace(parameter.name, std::move(values));
    }
  }
  STRATA_RETURN_IF_ERROR(sparse::check(nested));
  STRATA_RETURN_IF_ERROR(graph::infer_shapes(nested.model, nested.model.graphs[0]).status());
  return nested;
}

/// The opset of ONNX's own domain. Errors: none, or one that strata does not read.
Result<int64_t> opset_of(const onnx::ModelProto& model) {
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() >= kOldestOpset && opset.version() <= kNewestOpset) return opset.version();
    return unsupported("it is written in opset " + std::to_string(opset.version()) +
                       "; strata reads " + std::to_string(kOldestOpset) + " to " +
                       std::to_string(kNewestOpset) + ", so export it again in one of these");
  }
  return invalid_argument("it does not say which opset of ONNX it is written in");
}

/// The file that the options name; null if they name none.
Result<std::unique_ptr<SafetensorsFile>> open_weights(const ImportOptions& options) {
  if (options.weights.empty()) return std::unique_ptr<SafetensorsFile>();
  STRATA_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(options.weights));
  return std::make_unique<SafetensorsFile>(std::move(file));
}

Result<sparse::NestedModel> import_file(OnnxFile& file, const std::string& path,
                                        const ImportOptions& options) {
  const std::string where = "cannot import '" + path + "': ";
  const Result<int64_t> opset = opset_of(file.model());
  if (!opset.ok()) return at(where, opset.status());
  STRATA_ASSIGN_OR_RETURN(const auto weights, open_weights(options));
  Importer importer(file, weights.get(), options, *opset);
  if (const Status walked = importer.walk(); !walked.ok()) return at(where, walked);
  if (const auto& problems = importer.problems(); !problems.empty()) {
    const size_t others = problems.size() - 1;
    return at(where, {problems[0].code(),
                      problems[0].message() +
                          (others == 0 ? "" : " (and " + std::to_string(others) + " more nodes)") +
                          "; 'strata import --check' lists every operator"});
  }
  Result<sparse::NestedModel> nested = importer.finish(file.model());
  if (!nested.ok()) return at(where, nested.status());
  return nested;
}

}  // namespace

Result<ImportReport> check_onnx(const std::string& path, const ImportOptions& options) {
  STRATA_ASSIGN_OR_RETURN(OnnxFile file, OnnxFile::open(path));
  const std::string where = "cannot import '" + path + "': ";
  const Result<int64_t> opset = opset_of(file.model());
  if (!opset.ok()) return at(where, opset.status());
  STRATA_ASSIGN_OR_RETURN(const auto weights, open_weights(options));
  Importer importer(file, weights.get(), options, *opset);
  if (const Status walked = importer.walk(); !walked.ok()) return at(where, walked);
  ImportReport report;
  report.ir_version = file.model().ir_version();
  report.opset = *opset;
  report.producer = file.model().producer_name();
  if (!file.model().producer_version().empty()) {
    report.producer += " " + file.model().producer_version();
  }
  report.operators = importer.operators();
  report.inputs = importer.inputs();
  report.outputs = importer.outputs();
  for (const Status& problem : importer.problems()) report.problems.push_back(problem.message());
  if (report.problems.empty()) {
    if (const Status whole = importer.finish(file.model()).status(); !whole.ok()) {
      report.problems.push_back(whole.message());
    }
  }
  return report;
}

Result<sparse::NestedModel> import_onnx(const std::string& path, const ImportOptions& options) {
  STRATA_ASSIGN_OR_RETURN(OnnxFile file, OnnxFile::open(path));
  return import_file(file, path, options);
}

Result<sparse::NestedModel> import_onnx_bytes(std::span<const uint8_t> bytes,
                                              const std::string& name,
                                              const ImportOptions& options) {
  STRATA_ASSIGN_OR_RETURN(OnnxFile file, OnnxFile::parse(bytes, name));
  return import_file(file, name, options);
}

}  // namespace strata::interop
