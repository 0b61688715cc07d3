// See onnx_scope.h.
#include "interop/onnx_scope.h"

#include <algorithm>
#include <cmath>

namespace strata::interop {
namespace {

/// What constants computed from others may take: enough for the weights of any network that was
/// stored without them, and a bound for what a few bytes can ask for.
constexpr size_t kMaxFoldedBytes = size_t{1} << 30;

std::string quote(std::string_view text) { return "'" + std::string(text) + "'"; }

/// Makes int64 elements ones of `type`.
Status narrow(graph::Constant& constant, graph::DataType type) {
  const size_t width = graph::element_size(type);
  if (width == 0 || width > sizeof(int64_t)) return unsupported("its type is not supported");
  const size_t count = constant.data.size() / sizeof(int64_t);
  std::vector<uint8_t> data(count * width);
  for (size_t i = 0; i < count; ++i) {  // little-endian: the low bytes come first
    std::copy_n(constant.data.begin() + static_cast<std::ptrdiff_t>(i * sizeof(int64_t)), width,
                data.begin() + static_cast<std::ptrdiff_t>(i * width));
  }
  constant.type = type;
  constant.data = std::move(data);
  return {};
}

}  // namespace

Result<const Constant*> Scope::constant(const std::string& name) {
  if (const auto found = constants_.find(name); found != constants_.end()) return &found->second;
  const auto stored = initializers_.find(name);
  if (has_weight(name) && value(name) == nullptr) {
    STRATA_ASSIGN_OR_RETURN(Constant weight, weights_->read(name));
    if (stored != initializers_.end() &&
        !std::equal(weight.shape.begin(), weight.shape.end(), stored->second->dims().begin(),
                    stored->second->dims().end())) {
      return invalid_argument("tensor " + quote(name) + " of " + quote(weights_->name()) +
                              " has another shape than the model's initialiser");
    }
    used_weights_.insert(name);
    return &constants_.emplace(name, std::move(weight)).first->second;
  }
  if (stored == initializers_.end()) return static_cast<const Constant*>(nullptr);
  STRATA_ASSIGN_OR_RETURN(Constant constant, file_.read(*stored->second));
  return &constants_.emplace(name, std::move(constant)).first->second;
}

const graph::ValueInfo* Scope::value(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

Result<graph::Shape> Scope::shape(const std::string& name) {
  if (const graph::ValueInfo* known = value(name); known != nullptr) return known->shape;
  if (const auto stored = initializers_.find(name); stored != initializers_.end()) {
    graph::Shape shape;
    for (const int64_t size : stored->second->dims()) shape.emplace_back(size);
    return shape;
  }
  if (const auto found = constants_.find(name); found != constants_.end()) {
    return graph::Shape(found->second.shape.begin(), found->second.shape.end());
  }
  if (has_weight(name)) {
    const std::vector<int64_t>& sizes = weights_->shape(name);
    return graph::Shape(sizes.begin(), sizes.end());
  }
  return invalid_argument("the shape of its input " + quote(name) + " is not known");
}

void Scope::add_input(graph::ValueInfo input) {
  names_.insert(input.name);
  graph_.inputs.push_back(input);
  values_.insert_or_assign(input.name, std::move(input));
}

void Scope::add_initializer(const onnx::TensorProto& tensor) {
  names_.insert(tensor.name());
  initializers_.emplace(tensor.name(), &tensor);
}

Result<int64_t> Scope::room_for(const std::vector<int64_t>& shape) const {
  STRATA_ASSIGN_OR_RETURN(const int64_t count, checked_count(shape));
  if (static_cast<size_t>(count) > (kMaxFoldedBytes - folded_bytes_) / sizeof(float)) {
    return resource_exhausted("the constants that the network computes take more than " +
                              std::to_string(kMaxFoldedBytes >> 20) + " MiB");
  }
  return count;
}

Status Scope::define(const std::string& name, Constant constant) {
  STRATA_RETURN_IF_ERROR(room_for(constant.shape).status());
  folded_bytes_ = std::min(kMaxFoldedBytes, folded_bytes_ + constant.bytes());
  names_.insert(name);
  constants_.insert_or_assign(name, std::move(constant));
  return {};
}

void Scope::alias(const std::string& name, const std::string& of) {
  names_.insert(name);
  aliases_.insert_or_assign(name, of);
}

void Scope::rename(const std::string& from, graph::ValueInfo to) {
  values_.erase(from);
  const std::string name = to.name;
  values_.insert_or_assign(name, std::move(to));
}

std::string Scope::resolve(const std::string& name) const {
  const auto found = aliases_.find(name);
  return found == aliases_.end() ? name : found->second;
}

Status Scope::emit(graph::Node node) {
  graph::Model model;
  graph::Graph graph;
  graph.name = "main";
  std::set<std::string_view> declared;
  for (const std::string& input : node.inputs) {
    if (input.empty() || !declared.insert(input).second) continue;
    if (const auto found = parameters_.find(input); found != parameters_.end()) {
      model.parameters.push_back(found->second);
    } else if (const graph::ValueInfo* known = value(input); known != nullptr) {
      graph.inputs.push_back(*known);
    } else if (const graph::Constant* constant = model_.find_constant(input); constant != nullptr) {
      model.constants.push_back(*constant);
    } else if (quantised(input) != nullptr) {
      return unsupported("its input " + quote(input) +
                         " is quantised; strata computes with floating-point numbers only");
    } else {
      return unsupported("its input " + quote(input) + " is a constant, it must be computed");
    }
  }
  graph.nodes.push_back(node);
  const Result<graph::ValueTable> table = graph::infer_shapes(model, graph);
  if (!table.ok()) {
    // The caller names the node, so keep what comes behind "(OPERATOR): ".
    const std::string message = table.status().message();
    const std::string prefix = "(" + node.op_type + "): ";
    const size_t start = message.find(prefix);
    return {table.status().code(),
            start == std::string::npos ? message : message.substr(start + prefix.size())};
  }
  for (const std::string& output : node.outputs) {
    names_.insert(output);
    if (!output.empty()) values_.insert_or_assign(output, table->at(output));
  }
  graph_.nodes.push_back(std::move(node));
  return {};
}

Result<std::string> Scope::own_parameter(const std::string& name, const Constant& constant,
                                         graph::ParameterRole role) {
  if (!constant.floating()) {
    return unsupported("its parameter " + quote(name) + " does not hold floating-point numbers");
  }
  if (constant.floats.empty()) {
    return invalid_argument("its parameter " + quote(name) + " has no elements");
  }
  for (const float number : constant.floats) {
    if (!std::isfinite(number)) {
      return invalid_argument("its parameter " + quote(name) +
                              " holds a number that is not finite");
    }
  }
  const bool taken = parameters_.contains(name) || value(name) != nullptr || name.empty();
  const std::string chosen = taken ? unused_name(name) : name;
  names_.insert(chosen);
  const bool weight = role == graph::ParameterRole::kWeight;
  graph::Parameter parameter{
      .name = chosen, .shape = constant.shape, .role = role, .prunable = weight};
  model_.parameters.push_back(parameter);
  parameters_.emplace(chosen, std::move(parameter));
  parameter_values_.emplace(chosen, constant.floats);
  return chosen;
}

Result<std::string> Scope::parameter(const std::string& name, const Constant& constant,
                                     graph::ParameterRole role, std::string_view transform) {
  const std::pair<std::string, std::string> key(
      name, std::string(transform) + "/" + std::to_string(static_cast<int>(role)));
  if (const auto found = parameter_of_.find(key); found != parameter_of_.end()) {
    return found->second;
  }
  STRATA_ASSIGN_OR_RETURN(std::string chosen, own_parameter(name, constant, role));
  parameter_of_.emplace(key, chosen);
  return chosen;
}

Result<std::string> Scope::model_constant(const std::string& name, const Constant& constant) {
  if (const auto found = constant_of_.find(name); found != constant_of_.end()) {
    return found->second;
  }
  if (!constant.known()) {
    return unsupported("its constant " + quote(name) +
                       " depends on a size that is not known; bind it");
  }
  const bool taken = name.empty() || value(name) != nullptr || parameters_.contains(name) ||
                     model_.find_constant(name) != nullptr;
  const std::string chosen = taken ? unused_name(name) : name;
  names_.insert(chosen);
  graph::Constant made;
  if (constant.floating()) {
    made = graph::make_constant(chosen, constant.shape, constant.floats);
  } else {
    made = graph::make_constant(chosen, constant.shape, constant.integers);
    STRATA_RETURN_IF_ERROR(narrow(made, constant.type));
  }
  model_.constants.push_back(std::move(made));
  constant_of_.emplace(name, chosen);
  return chosen;
}

Result<std::string> Scope::number(const std::string& name, float number) {
  Constant constant;
  constant.floats = {number};
  return model_constant(name, constant);
}

std::string Scope::unused_name(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 1; name.empty() || names_.contains(name); ++i) {
    name = wanted + "_" + std::to_string(i);
  }
  names_.insert(name);
  return name;
}

Result<const Constant*> constant_input(Scope& scope, const OnnxNode& node, size_t index,
                                       std::string_view what) {
  if (!node.has_input(index)) {
    return invalid_argument(std::string(what) + " (input " + std::to_string(index) +
                            ") is missing");
  }
  STRATA_ASSIGN_OR_RETURN(const Constant* found, scope.constant(node.node.inputs[index]));
  if (found != nullptr) return found;
  return unsupported(std::string(what) + " (" + quote(node.node.inputs[index]) +
                     ") is computed, it must be constant");
}

Result<std::optional<std::vector<int64_t>>> integers_of(Scope& scope, const OnnxNode& node,
                                                        std::string_view attribute, size_t input) {
  using Found = std::optional<std::vector<int64_t>>;
  if (const auto found = node.node.attributes.find(attribute);
      found != node.node.attributes.end()) {
    if (const auto* list = std::get_if<std::vector<int64_t>>(&found->second)) return Found(*list);
    if (const auto* one = std::get_if<int64_t>(&found->second))
      return Found(std::vector<int64_t>{*one});
    return invalid_argument("attribute " + quote(attribute) + " must be a list of integers");
  }
  if (!node.has_input(input)) return Found();
  STRATA_ASSIGN_OR_RETURN(const Constant* constant, constant_input(scope, node, input, attribute));
  if (constant->floating() || constant->shape.size() > 1) {
    return invalid_argument(std::string(attribute) + " must be a list of integers");
  }
  if (!constant->known()) {
    return unsupported(std::string(attribute) + " depends on a size that is not known; bind it");
  }
  return Found(constant->integers);
}

Result<std::optional<float>> number_of(Scope& scope, const OnnxNode& node,
                                       std::string_view attribute, size_t input) {
  using Found = std::optional<float>;
  if (const auto found = node.node.attributes.find(attribute);
      found != node.node.attributes.end()) {
    if (const auto* number = std::get_if<float>(&found->second)) return Found(*number);
    return invalid_argument("attribute " + quote(attribute) + " must be a number");
  }
  if (!node.has_input(input)) return Found();
  STRATA_ASSIGN_OR_RETURN(const Constant* constant, constant_input(scope, node, input, attribute));
  if (constant->element_count() != 1 || !constant->known()) {
    return invalid_argument(std::string(attribute) + " must be one number");
  }
  return Found(constant->floating() ? constant->floats[0]
                                    : static_cast<float>(constant->integers[0]));
}

Result<size_t> resolve_axis(int64_t axis, size_t rank) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return invalid_argument("axis " + std::to_string(axis) + " is outside an input of " +
                            std::to_string(rank) + " dimensions");
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

}  // namespace strata::interop
