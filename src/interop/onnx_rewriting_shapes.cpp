// Rewritings of what changes shapes or the places of elements.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "graph/operators.h"
#include "interop/onnx_rewriting.h"

namespace strata::interop {
namespace {

using graph::ParameterRole;
using Ints = std::vector<int64_t>;

/// A Flatten that makes `target` of `input`, if there is one.
std::optional<graph::Node> flatten_to(const graph::Node& node, const graph::Shape& input,
                                      const graph::Shape& target) {
  for (size_t axis = 0; target.size() == 2 && axis <= input.size(); ++axis) {
    graph::Node flatten{node.name, "Flatten", "", {"x"}, {node.outputs[0]}, {}};
    flatten.attributes["axis"] = static_cast<int64_t>(axis);
    const graph::Graph probe{"main", {{"x", graph::DataType::kFloat32, input}}, {}, {flatten}};
    const auto table = graph::infer_shapes({}, probe);
    if (!table.ok() || table->at(node.outputs[0]).shape != target) continue;
    flatten.inputs = {node.inputs[0]};
    return flatten;
  }
  return std::nullopt;
}

/// The target of a Reshape: sizes that stay are copied, so that open ones may be anything; one
/// other open size is left to be found.
Result<Ints> reshape_target(const graph::Shape& input, const graph::Shape& target) {
  Ints sizes;
  bool open = false;
  for (size_t i = 0; i < target.size(); ++i) {
    const bool named = !target[i].known() && !target[i].symbol().empty();
    if (target[i].known() && target[i].value() != 0) {
      sizes.push_back(target[i].value());
    } else if (i < input.size() && input[i] == target[i] && (named || target[i].known())) {
      sizes.push_back(0);
    } else if (!open && !target[i].known()) {
      open = true;
      sizes.push_back(-1);
    } else {
      return unsupported("reshaping " + to_string(input) + " to " + to_string(target) +
                         " depends on sizes that are not known; bind them");
    }
  }
  return sizes;
}

Status rewrite_reshape(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(node.node.inputs[0]));
  Constant wanted;
  if (const Ints attribute = node.node.attribute_ints("shape", {}); !attribute.empty()) {
    wanted = integer_vector(attribute);
  } else {
    STRATA_ASSIGN_OR_RETURN(const Constant* constant, constant_input(scope, node, 1, "its shape"));
    wanted = *constant;
  }
  if (wanted.floating()) return invalid_argument("its shape must hold integers");
  const bool zero_copies = node.node.attribute_int("allowzero", 0) == 0;
  graph::Shape target;
  std::optional<size_t> open;
  for (size_t i = 0; i < wanted.integers.size(); ++i) {
    const std::string symbol = wanted.symbols.empty() ? "" : wanted.symbols[i];
    const int64_t size = wanted.integers[i];
    if (!symbol.empty()) {
      target.push_back(symbol == kUnknown ? graph::Dim() : graph::Dim(symbol));
    } else if (size == 0 && zero_copies) {
      if (i >= input.size()) return invalid_argument("its shape copies an axis that is not there");
      target.push_back(input[i]);
    } else if (size == -1) {
      if (open) return invalid_argument("its shape leaves two sizes open");
      open = i;
      target.emplace_back();
    } else if (size < 0) {
      return invalid_argument("its shape holds " + std::to_string(size));
    } else {
      target.emplace_back(size);
    }
  }
  // The open size: what the sizes on both sides do not account for.
  if (open) {
    graph::Shape left = input;
    int64_t rest = 1;
    for (const graph::Dim& dim : target) {
      if (const auto same = std::find(left.begin(), left.end(), dim);
          !dim.known() && !dim.symbol().empty() && same != left.end()) {
        left.erase(same);
      } else if (dim.known()) {
        rest *= dim.value();
      }
    }
    STRATA_RETURN_IF_ERROR(graph::element_count(target).status());
    STRATA_ASSIGN_OR_RETURN(const int64_t count, graph::element_count(left));
    if (count >= 0 && rest > 0) {
      if (count % rest != 0) {
        return invalid_argument("its input " + to_string(input) + " cannot be shaped to " +
                                to_string(target));
      }
      target[*open] = graph::Dim(count / rest);
    } else if (left.size() == 1 && rest == 1) {
      target[*open] = left[0];
    }
  }
  STRATA_ASSIGN_OR_RETURN(const int64_t before, graph::element_count(input));
  STRATA_ASSIGN_OR_RETURN(const int64_t after, graph::element_count(target));
  if (before >= 0 && after >= 0 && before != after) {
    return invalid_argument("its input " + to_string(input) + " cannot be shaped to " +
                            to_string(target));
  }
  return emit_reshape(scope, node.node, target);
}

Status rewrite_squeeze(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(node.node.inputs[0]));
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(scope, node, "axes", 1));
  std::set<size_t> gone;
  for (size_t i = 0; !axes && i < input.size(); ++i) {
    if (!input[i].known()) return unsupported("it squeezes a shape that is not known");
    if (input[i].value() == 1) gone.insert(i);
  }
  for (const int64_t axis : axes.value_or(Ints())) {
    STRATA_ASSIGN_OR_RETURN(const size_t place, resolve_axis(axis, input.size()));
    if (input[place].known() && input[place].value() != 1) {
      return invalid_argument("axis " + std::to_string(axis) + " of its input " + to_string(input) +
                              " is not 1");
    }
    gone.insert(place);
  }
  graph::Shape target;
  for (size_t i = 0; i < input.size(); ++i) {
    if (!gone.contains(i)) target.push_back(input[i]);
  }
  return emit_reshape(scope, node.node, target);
}

Status rewrite_unsqueeze(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(node.node.inputs[0]));
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(scope, node, "axes", 1));
  if (!axes) return invalid_argument("it has no axes");
  const size_t rank = input.size() + axes->size();
  std::set<size_t> added;
  for (const int64_t axis : *axes) {
    STRATA_ASSIGN_OR_RETURN(const size_t place, resolve_axis(axis, rank));
    if (!added.insert(place).second) return invalid_argument("it adds one axis twice");
  }
  graph::Shape target;
  size_t next = 0;
  for (size_t i = 0; i < rank; ++i) {
    target.push_back(added.contains(i) ? graph::Dim(1) : input[next++]);
  }
  return emit_reshape(scope, node.node, target);
}

Status rewrite_pad(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  graph::Node pad = trimmed(node, 1);
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(pad.inputs[0]));
  STRATA_ASSIGN_OR_RETURN(auto pads, integers_of(scope, node, "pads", 1));
  STRATA_ASSIGN_OR_RETURN(const auto value, number_of(scope, node, "value", 2));
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(scope, node, "axes", 3));
  if (!pads) return invalid_argument("it has no pads");
  if (axes) {
    if (pads->size() != axes->size() * 2) return invalid_argument("its pads do not fit its axes");
    Ints all(input.size() * 2, 0);
    for (size_t i = 0; i < axes->size(); ++i) {
      STRATA_ASSIGN_OR_RETURN(const size_t axis, resolve_axis((*axes)[i], input.size()));
      all[axis] = (*pads)[i];
      all[axis + input.size()] = (*pads)[i + axes->size()];
    }
    pads = all;
  }
  pad.attributes.erase("axes");
  pad.attributes["pads"] = *pads;
  pad.attributes.erase("value");
  if (value && *value != 0) pad.attributes["value"] = *value;
  return scope.emit(std::move(pad));
}

/// Starts, ends and axes were attributes until opset 10.
Status rewrite_slice(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  graph::Node slice = trimmed(node, 1);
  slice.attributes.clear();
  size_t index = 1;
  for (const char* what : {"starts", "ends", "axes", "steps"}) {
    STRATA_ASSIGN_OR_RETURN(const auto values, integers_of(scope, node, what, index++));
    if (!values && index <= 3) return invalid_argument(std::string("it has no ") + what);
    if (!values) {
      slice.inputs.emplace_back();
      continue;
    }
    STRATA_ASSIGN_OR_RETURN(slice.inputs.emplace_back(),
                            scope.model_constant(slice.name + "." + what, integer_vector(*values)));
  }
  while (slice.inputs.back().empty()) slice.inputs.pop_back();
  return scope.emit(std::move(slice));
}

/// Sizes were an attribute until opset 13; without them the parts are equal, the last one smaller.
Status rewrite_split(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  graph::Node split = node.node;
  split.inputs.resize(1);
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(split.inputs[0]));
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(split.attribute_int("axis", 0), input.size()));
  STRATA_ASSIGN_OR_RETURN(auto sizes, integers_of(scope, node, "split", 1));
  if (!sizes) {
    if (!input[axis].known()) return unsupported("it splits an axis whose size is not known");
    const auto parts = std::max<int64_t>(
        1, split.attribute_int("num_outputs", static_cast<int64_t>(split.outputs.size())));
    const int64_t part = (input[axis].value() + parts - 1) / parts;
    sizes.emplace();
    for (int64_t left = input[axis].value(), i = 0; i < parts && i < 4096; ++i) {
      sizes->push_back(std::min(part, left));
      left -= sizes->back();
    }
  }
  if (sizes->size() > 4096) return invalid_argument("it has too many parts");
  split.outputs.resize(sizes->size());
  split.attributes = {{"axis", static_cast<int64_t>(axis)}};
  STRATA_ASSIGN_OR_RETURN(split.inputs.emplace_back(),
                          scope.model_constant(split.name + ".split", integer_vector(*sizes)));
  return scope.emit(std::move(split));
}

/// Rows of a table (an embedding, a weight) or of a computed value.
Status rewrite_gather(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  graph::Node gather = trimmed(node, 2);
  STRATA_ASSIGN_OR_RETURN(const Constant* table, scope.constant(gather.inputs[0]));
  if (table != nullptr && table->floating()) {
    STRATA_ASSIGN_OR_RETURN(gather.inputs[0],
                            scope.parameter(gather.inputs[0], *table, ParameterRole::kWeight));
  } else {
    STRATA_ASSIGN_OR_RETURN(gather.inputs[0], operand(scope, node, 0, ParameterRole::kWeight));
  }
  STRATA_ASSIGN_OR_RETURN(gather.inputs[1], operand(scope, node, 1, ParameterRole::kBias));
  return scope.emit(std::move(gather));
}

/// Places [N], all zero, N being the size of an open dimension: taken from a graph input that has
/// it, whatever it holds. Nothing if there is none.
Result<std::optional<std::string>> zeros_of(Scope& scope, const std::string& base,
                                            const std::string& symbol) {
  for (const graph::ValueInfo& input : scope.graph().inputs) {
    const auto found = std::find(input.shape.begin(), input.shape.end(), graph::Dim(symbol));
    if (found == input.shape.end()) continue;
    std::string value = input.name;
    if (input.type != graph::DataType::kFloat32) {
      constexpr auto kFloat = static_cast<int64_t>(graph::DataType::kFloat32);
      STRATA_ASSIGN_OR_RETURN(value,
                              emit_step(scope, base, ".float", "Cast", {value}, {{"to", kFloat}}));
    }
    Ints others;
    for (size_t i = 0; i < input.shape.size(); ++i) {
      if (input.shape.begin() + static_cast<std::ptrdiff_t>(i) != found) {
        others.push_back(static_cast<int64_t>(i));
      }
    }
    if (!others.empty()) {
      STRATA_ASSIGN_OR_RETURN(value, emit_step(scope, base, ".of_each", "ReduceMax", {value},
                                               {{"axes", others}, {"keepdims", int64_t{0}}}));
    }
    const std::string column = scope.unused_name(base + ".column");
    STRATA_RETURN_IF_ERROR(emit_reshape(scope, {column, "Reshape", "", {value}, {column}, {}},
                                        {graph::Dim(symbol), 1}));
    // The largest of one number is at place 0.
    STRATA_ASSIGN_OR_RETURN(std::string zeros,
                            emit_step(scope, base, ".zeros", "ArgMax", {column},
                                      {{"axis", int64_t{1}}, {"keepdims", int64_t{0}}}));
    return std::optional(std::move(zeros));
  }
  return std::optional<std::string>();
}

/// Open sizes that the input has already stay as they are; along others its one element is gathered
/// as often as the size says.
Status rewrite_expand(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  STRATA_ASSIGN_OR_RETURN(const Constant* wanted, constant_input(scope, node, 1, "its shape"));
  if (wanted->floating() || wanted->shape.size() != 1) {
    return invalid_argument("its shape must be a list of integers");
  }
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(node.node.inputs[0]));
  Ints target = wanted->integers;
  std::vector<std::pair<size_t, std::string>> spread;  // axes, and what their size is called
  for (size_t i = 0; i < target.size(); ++i) {
    const std::string symbol = wanted->symbols.empty() ? "" : wanted->symbols[i];
    if (symbol.empty()) continue;
    const size_t missing = target.size() - std::min(target.size(), input.size());
    const graph::Dim own = i < missing ? graph::Dim(1) : input[i + input.size() - target.size()];
    target[i] = 1;
    if (own == graph::Dim(symbol)) continue;
    if (symbol == kUnknown || own != graph::Dim(1)) {
      return unsupported("its shape depends on a size that is not known; bind it");
    }
    spread.emplace_back(i, symbol);
  }
  graph::Node expand = trimmed(node, 2);
  STRATA_ASSIGN_OR_RETURN(expand.inputs[0], operand(scope, node, 0, ParameterRole::kBias));
  STRATA_ASSIGN_OR_RETURN(expand.inputs[1],
                          scope.model_constant(expand.name + ".shape", integer_vector(target)));
  if (spread.empty()) return scope.emit(std::move(expand));
  const std::string output = expand.outputs[0];
  const std::string base = expand.name;
  std::string value = expand.outputs[0] = scope.unused_name(base + ".one");
  expand.name = value;
  STRATA_RETURN_IF_ERROR(scope.emit(std::move(expand)));
  for (const auto& [axis, symbol] : spread) {
    STRATA_ASSIGN_OR_RETURN(const auto zeros, zeros_of(scope, base, symbol));
    if (!zeros) return unsupported("no input of the model has the size '" + symbol + "'");
    const bool last = axis == spread.back().first;
    const std::string made = last ? output : scope.unused_name(base + ".spread");
    STRATA_RETURN_IF_ERROR(scope.emit({last ? base : made,
                                       "Gather",
                                       "",
                                       {value, *zeros},
                                       {made},
                                       {{"axis", static_cast<int64_t>(axis)}}}));
    value = made;
  }
  return {};
}

Status rewrite_concat(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, node.node.inputs.size()));
  if (node.node.inputs.size() == 1) return drop(scope, node);
  graph::Node concat = node.node;
  for (size_t i = 0; i < concat.inputs.size(); ++i) {
    STRATA_ASSIGN_OR_RETURN(concat.inputs[i], operand(scope, node, i, ParameterRole::kBias));
  }
  return scope.emit(std::move(concat));
}

}  // namespace

Status emit_reshape(Scope& scope, const graph::Node& node, const graph::Shape& target) {
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(node.inputs[0]));
  const auto is_known = [](const graph::Dim& dim) { return dim.known() || !dim.symbol().empty(); };
  if (input == target && std::all_of(input.begin(), input.end(), is_known)) {
    scope.alias(node.outputs[0], node.inputs[0]);
    return {};
  }
  if (std::optional<graph::Node> flatten = flatten_to(node, input, target)) {
    return scope.emit(*std::move(flatten));
  }
  STRATA_ASSIGN_OR_RETURN(Ints sizes, reshape_target(input, target));
  graph::Node reshape{node.name, "Reshape", "", {node.inputs[0]}, {node.outputs[0]}, {}};
  STRATA_ASSIGN_OR_RETURN(
      reshape.inputs.emplace_back(),
      scope.model_constant(node.name + ".shape", integer_vector(std::move(sizes))));
  return scope.emit(std::move(reshape));
}

const Rewritings& shape_rewritings() {
  static const Rewritings table = {
      {"Concat", rewrite_concat},
      {"Expand", rewrite_expand},
      {"Flatten", pass},
      {"Gather", rewrite_gather},
      {"Pad", rewrite_pad},
      {"Reshape", rewrite_reshape},
      {"Slice", rewrite_slice},
      {"Split", rewrite_split},
      {"Squeeze", rewrite_squeeze},
      {"Transpose", pass},
      {"Unsqueeze", rewrite_unsqueeze},
  };
  return table;
}

}  // namespace strata::interop
