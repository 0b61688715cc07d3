// Rewritings of what works element by element, of reductions, and of what does nothing in
// inference.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "interop/onnx_rewriting.h"

namespace strata::interop {
namespace {

using graph::ParameterRole;
using Ints = std::vector<int64_t>;

/// A constant factor or addend per channel as a normalisation, which every
/// executor merges into the step before it. Nothing if `constant` varies along other axes.
std::optional<std::vector<float>> per_channel(const Constant& constant, const graph::Shape& input) {
  if (input.size() < 2 || !input[1].known() || !constant.floating()) return std::nullopt;
  const auto channels = static_cast<size_t>(input[1].value());
  if (constant.floats.size() != channels || constant.shape.size() > input.size()) return {};
  const size_t offset = input.size() - constant.shape.size();
  if (offset > 1 || constant.shape[1 - offset] != input[1].value()) return std::nullopt;
  return constant.floats;
}

Status emit_affine(Scope& scope, const graph::Node& node, const std::string& input,
                   std::vector<float> scale, std::vector<float> shift) {
  const auto channels = static_cast<int64_t>(scale.size());
  graph::Node norm{node.name, "BatchNormalization", "", {input}, {node.outputs[0]}, {}};
  norm.attributes["epsilon"] = 0.0F;
  std::vector<float> zeros(scale.size(), 0.0F);
  std::vector<float> ones(scale.size(), 1.0F);
  const auto add = [&](const char* suffix, std::vector<float>& values, ParameterRole role) {
    Constant constant;
    constant.shape = {channels};
    constant.floats = std::move(values);
    return scope.own_parameter(scope.unused_name(node.name + suffix), constant, role);
  };
  STRATA_ASSIGN_OR_RETURN(norm.inputs.emplace_back(), add(".scale", scale, ParameterRole::kScale));
  STRATA_ASSIGN_OR_RETURN(norm.inputs.emplace_back(), add(".shift", shift, ParameterRole::kShift));
  STRATA_ASSIGN_OR_RETURN(norm.inputs.emplace_back(), add(".mean", zeros, ParameterRole::kMean));
  STRATA_ASSIGN_OR_RETURN(norm.inputs.emplace_back(),
                          add(".variance", ones, ParameterRole::kVariance));
  return scope.emit(std::move(norm));
}

/// Whether `constant` can only be a factor or addend per channel of images or features.
Status rewrite_per_channel(Scope& scope, const OnnxNode& node, bool constant_left,
                           std::vector<float> numbers) {
  const std::string& op = node.node.op_type;
  const std::string& input = node.node.inputs[constant_left ? 1 : 0];
  std::vector<float> scale(numbers.size(), op == "Sub" && constant_left ? -1.0F : 1.0F);
  std::vector<float> shift(numbers.size(), 0.0F);
  if (op == "Mul") {
    scale = std::move(numbers);
  } else if (op == "Div") {
    for (size_t i = 0; i < scale.size(); ++i) scale[i] = 1 / numbers[i];
  } else {
    shift = std::move(numbers);
    if (op == "Sub" && !constant_left) {
      for (float& number : shift) number = -number;
    }
  }
  return emit_affine(scope, node.node, input, std::move(scale), std::move(shift));
}

/// Operators of two operands. A constant per channel is a normalisation, which executors merge into
/// the step before it and which each level may adapt.
Status rewrite_arithmetic(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  const std::string& op = node.node.op_type;
  STRATA_ASSIGN_OR_RETURN(const Constant* left, scope.constant(node.node.inputs[0]));
  STRATA_ASSIGN_OR_RETURN(const Constant* right, scope.constant(node.node.inputs[1]));
  const Constant* constant = left != nullptr ? left : right;
  if (constant != nullptr && constant->element_count() > 1) {
    STRATA_ASSIGN_OR_RETURN(const graph::Shape shape,
                            scope.shape(node.node.inputs[left != nullptr ? 1 : 0]));
    std::optional<std::vector<float>> numbers = per_channel(*constant, shape);
    if (numbers && !(left != nullptr && op == "Div")) {
      return rewrite_per_channel(scope, node, left != nullptr, *std::move(numbers));
    }
  }
  graph::Node plain = trimmed(node, 2);
  plain.attributes.clear();  // until opset 7: axis, broadcast
  const ParameterRole role =
      op == "Mul" || op == "Div" ? ParameterRole::kScale : ParameterRole::kBias;
  for (size_t i = 0; i < 2; ++i) {
    STRATA_ASSIGN_OR_RETURN(plain.inputs[i], operand(scope, node, i, role));
  }
  return scope.emit(std::move(plain));
}

/// Pow, PRelu, comparisons and logic.
Status rewrite_binary(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  graph::Node plain = trimmed(node, 2);
  for (size_t i = 0; i < 2; ++i) {
    STRATA_ASSIGN_OR_RETURN(plain.inputs[i], operand(scope, node, i, ParameterRole::kScale));
  }
  // Powers may have an exponent of another type.
  const auto type_of = [&](size_t i) {
    const graph::ValueInfo* value = scope.value(plain.inputs[i]);
    const graph::Constant* constant = scope.model().find_constant(plain.inputs[i]);
    return value != nullptr      ? value->type
           : constant != nullptr ? constant->type
                                 : graph::DataType::kFloat32;
  };
  if (plain.op_type == "Pow" && type_of(0) != type_of(1)) {
    const Attributes to = {{"to", static_cast<int64_t>(type_of(0))}};
    STRATA_ASSIGN_OR_RETURN(
        plain.inputs[1], emit_step(scope, plain.name, ".exponent", "Cast", {plain.inputs[1]}, to));
  }
  return scope.emit(std::move(plain));
}

/// Sum, Min, Max and Mean of any number of values as a chain of operators of two.
Status rewrite_chain(Scope& scope, const OnnxNode& node) {
  const size_t count = node.node.inputs.size();
  STRATA_RETURN_IF_ERROR(require_inputs(node, std::max<size_t>(count, 1)));
  const bool mean = node.node.op_type == "Mean";
  if (count == 1) return drop(scope, node);
  std::string total = node.node.inputs[0];
  for (size_t i = 1; i < count; ++i) {
    const bool last = i + 1 == count && !mean;
    OnnxNode pair;
    pair.node.name = last ? node.node.name : scope.unused_name(node.node.name + ".part");
    pair.node.op_type = mean || node.node.op_type == "Sum" ? "Add" : node.node.op_type;
    pair.node.inputs = {total, node.node.inputs[i]};
    pair.node.outputs = {last ? node.node.outputs[0] : pair.node.name};
    STRATA_RETURN_IF_ERROR(rewrite_arithmetic(scope, pair));
    total = pair.node.outputs[0];
  }
  if (!mean) return {};
  STRATA_ASSIGN_OR_RETURN(const std::string share, scope.number(node.node.name + ".share",
                                                                1.0F / static_cast<float>(count)));
  return scope.emit({node.node.name, "Mul", "", {total, share}, {node.node.outputs[0]}, {}});
}

/// Dropout does nothing in inference; its mask is not kept.
Status rewrite_dropout(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_one_output(node));
  if (node.has_input(2)) {
    STRATA_ASSIGN_OR_RETURN(const Constant* training,
                            constant_input(scope, node, 2, "training_mode"));
    if (training->integers != Ints{0}) return unsupported("it drops at random (training_mode)");
  }
  return drop(scope, node);
}

Status rewrite_clip(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  graph::Node clip = trimmed(node, 3);
  const graph::ValueInfo* input = scope.value(clip.inputs[0]);
  const bool floating = input == nullptr || input->type == graph::DataType::kFloat32;
  if (!floating) {  // integers know no infinite limits
    for (size_t i = 1; i < clip.inputs.size(); ++i) {
      if (!node.has_input(i)) continue;
      STRATA_ASSIGN_OR_RETURN(clip.inputs[i], operand(scope, node, i, ParameterRole::kBias));
    }
    return scope.emit(std::move(clip));
  }
  STRATA_ASSIGN_OR_RETURN(const auto low, number_of(scope, node, "min", 1));
  STRATA_ASSIGN_OR_RETURN(const auto high, number_of(scope, node, "max", 2));
  constexpr float kLargest = std::numeric_limits<float>::max();
  const bool bounded_below = low && *low > -kLargest;
  const bool bounded_above = high && *high < kLargest;
  if (!bounded_below && !bounded_above) return drop(scope, node);
  clip.attributes.clear();
  clip.inputs.resize(1);
  if (bounded_below && *low == 0 && !bounded_above) {
    clip.op_type = "Relu";
    return scope.emit(std::move(clip));
  }
  clip.inputs.resize(bounded_above ? 3 : 2);
  if (bounded_below) {
    STRATA_ASSIGN_OR_RETURN(clip.inputs[1], scope.number(clip.name + ".min", *low));
  }
  if (bounded_above) {
    STRATA_ASSIGN_OR_RETURN(clip.inputs[2], scope.number(clip.name + ".max", *high));
  }
  return scope.emit(std::move(clip));
}

/// Floating-point numbers of any width are float32 here, so casts among them do nothing.
Status rewrite_cast(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  STRATA_ASSIGN_OR_RETURN(const graph::DataType to,
                          data_type(static_cast<int32_t>(node.node.attribute_int("to", 0))));
  const graph::ValueInfo* input = scope.value(node.node.inputs[0]);
  if (input != nullptr && input->type == to) return drop(scope, node);
  graph::Node cast = trimmed(node, 1);
  cast.attributes = {{"to", static_cast<int64_t>(to)}};
  return scope.emit(std::move(cast));
}

/// x * f(x), with the parts of f that strata has.
Status rewrite_gated(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  const std::string& name = node.node.name;
  const std::string& x = node.node.inputs[0];
  std::string gate;
  if (node.node.op_type == "HardSwish") {
    STRATA_ASSIGN_OR_RETURN(gate, emit_step(scope, name, ".gate", "HardSigmoid", {x},
                                            {{"alpha", 1.0F / 6}, {"beta", 0.5F}}));
  } else {  // Mish
    STRATA_ASSIGN_OR_RETURN(const std::string soft,
                            emit_step(scope, name, ".softplus", "Softplus", {x}));
    STRATA_ASSIGN_OR_RETURN(gate, emit_step(scope, name, ".gate", "Tanh", {soft}));
  }
  return scope.emit({name, "Mul", "", {x, gate}, {node.node.outputs[0]}, {}});
}

/// x * (1 + g(x)) / 2; g is erf(x / sqrt(2)), or tanh of a polynomial where that is asked for.
Status rewrite_gelu(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  const std::string& name = node.node.name;
  const std::string& x = node.node.inputs[0];
  const auto times = [&](const std::string& value, const char* suffix, float factor) {
    const Result<std::string> number = scope.number(name + suffix + ".factor", factor);
    return number.ok() ? emit_step(scope, name, suffix, "Mul", {value, *number}) : number;
  };
  const auto plus_one = [&](const std::string& value, const char* suffix) {
    const Result<std::string> one = scope.number(name + suffix + ".one", 1);
    return one.ok() ? emit_step(scope, name, suffix, "Add", {value, *one}) : one;
  };
  std::string inner = x;
  const bool by_tanh = node.node.attribute_string("approximate", "none") == "tanh";
  if (by_tanh) {  // x + 0.044715 x^3
    STRATA_ASSIGN_OR_RETURN(const std::string square,
                            emit_step(scope, name, ".square", "Mul", {x, x}));
    STRATA_ASSIGN_OR_RETURN(const std::string part, times(square, ".part", 0.044715F));
    STRATA_ASSIGN_OR_RETURN(const std::string sum, plus_one(part, ".sum"));
    STRATA_ASSIGN_OR_RETURN(inner, emit_step(scope, name, ".polynomial", "Mul", {x, sum}));
  }
  constexpr float kRootOfHalf = 0.70710678F;
  constexpr float kRootOfTwoOverPi = 0.79788456F;
  STRATA_ASSIGN_OR_RETURN(inner, times(inner, ".inner", by_tanh ? kRootOfTwoOverPi : kRootOfHalf));
  STRATA_ASSIGN_OR_RETURN(const std::string g,
                          emit_step(scope, name, ".g", by_tanh ? "Tanh" : "Erf", {inner}));
  STRATA_ASSIGN_OR_RETURN(const std::string sum, plus_one(g, ".gate"));
  STRATA_ASSIGN_OR_RETURN(const std::string half, times(sum, ".half", 0.5F));
  return scope.emit({name, "Mul", "", {x, half}, {node.node.outputs[0]}, {}});
}

/// Axes were an attribute until opset 13 or 18, and are an input since.
Status rewrite_reduce(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  graph::Node reduce = trimmed(node, 1);
  STRATA_ASSIGN_OR_RETURN(const auto axes, integers_of(scope, node, "axes", 1));
  reduce.attributes.erase("noop_with_empty_axes");
  reduce.attributes.erase("axes");
  if (axes && !axes->empty()) {
    reduce.attributes["axes"] = *axes;
  } else if (node.node.attribute_int("noop_with_empty_axes", 0) != 0) {
    return drop(scope, node);
  }
  return scope.emit(std::move(reduce));
}

/// Activations that are quantised and dequantised again stay floating-point numbers, unrounded.
/// What the quantisation does besides is to cut at 0, where its range begins there: a Relu was
/// merged into it.
Status rewrite_quantize(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  int64_t zero_point = 0;
  int64_t lowest = 0;
  if (node.has_input(2)) {
    STRATA_ASSIGN_OR_RETURN(const Constant* zero, constant_input(scope, node, 2, "its zero point"));
    if (zero->floating() || zero->element_count() < 1) {
      return unsupported("its zero point must be an integer");
    }
    zero_point = zero->integers[0];
    lowest = zero->type == graph::DataType::kInt8 ? -128 : 0;
  }
  std::string source = node.node.inputs[0];
  if (zero_point == lowest) {
    STRATA_ASSIGN_OR_RETURN(source, emit_step(scope, node.node.name, ".relu", "Relu", {source}));
  }
  scope.quantise(node.node.outputs[0], source);
  return {};
}

Status rewrite_dequantize(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  const std::string* source = scope.quantised(node.node.inputs[0]);
  if (source == nullptr)
    return unsupported("its input is no weight, and no QuantizeLinear made it");
  scope.alias(node.node.outputs[0], *source);
  return {};
}

Status rewrite_where(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 3));
  graph::Node where = trimmed(node, 3);
  for (size_t i = 0; i < 3; ++i) {
    STRATA_ASSIGN_OR_RETURN(where.inputs[i], operand(scope, node, i, ParameterRole::kBias));
  }
  return scope.emit(std::move(where));
}

}  // namespace

const Rewritings& elementwise_rewritings() {
  static const Rewritings table = [] {
    Rewritings all = {
        {"Add", rewrite_arithmetic},
        {"And", rewrite_binary},
        {"Cast", rewrite_cast},
        {"Clip", rewrite_clip},
        {"DequantizeLinear", rewrite_dequantize},
        {"Div", rewrite_arithmetic},
        {"Dropout", rewrite_dropout},
        {"Equal", rewrite_binary},
        {"Gelu", rewrite_gelu},
        {"Greater", rewrite_binary},
        {"GreaterOrEqual", rewrite_binary},
        {"HardSwish", rewrite_gated},
        {"Identity", drop},
        {"Less", rewrite_binary},
        {"LessOrEqual", rewrite_binary},
        {"Max", rewrite_chain},
        {"Mean", rewrite_chain},
        {"Min", rewrite_chain},
        {"Mish", rewrite_gated},
        {"Mul", rewrite_arithmetic},
        {"Or", rewrite_binary},
        {"Pow", rewrite_binary},
        {"PRelu", rewrite_binary},
        {"QuantizeLinear", rewrite_quantize},
        {"Sub", rewrite_arithmetic},
        {"Sum", rewrite_chain},
        {"Where", rewrite_where},
        {"Xor", rewrite_binary},
    };
    for (const char* name :
         {"Abs",   "ArgMax",         "ArgMin",    "Ceil", "Cos", "Elu",      "Erf",        "Exp",
          "Floor", "HardSigmoid",    "LeakyRelu", "Log",  "Neg", "Not",      "Reciprocal", "Relu",
          "Round", "Selu",           "Sigmoid",   "Sign", "Sin", "Softplus", "Softsign",   "Sqrt",
          "Tanh",  "ThresholdedRelu"}) {
      all.emplace(name, pass);
    }
    for (const char* name :
         {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
          "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}) {
      all.emplace(name, rewrite_reduce);
    }
    return all;
  }();
  return table;
}

}  // namespace strata::interop
