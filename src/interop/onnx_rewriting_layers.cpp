// Rewritings of layers: products, convolutions, pools, normalisations.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "graph/operators.h"
#include "interop/onnx_rewriting.h"

namespace strata::interop {
namespace {

using graph::ParameterRole;
using Ints = std::vector<int64_t>;

/// Opset 13 has Softmax work on one axis; before, on all behind one.
constexpr int64_t kOpsetOfOneSoftmaxAxis = 13;

/// Known sizes of the spatial axes. Errors: one that is not known, with how to make it known.
Result<Ints> spatial_sizes(const graph::Shape& shape) {
  Ints sizes;
  for (size_t i = 2; i < shape.size(); ++i) {
    if (!shape[i].known()) {
      return unsupported("auto_pad needs the size of its input, which is " + to_string(shape) +
                         "; bind every dimension");
    }
    sizes.push_back(shape[i].value());
  }
  return sizes;
}

/// Replaces auto_pad by explicit pads.
Status resolve_auto_pad(Scope& scope, graph::Node& node, const Ints& kernel) {
  const std::string mode = node.attribute_string("auto_pad", "NOTSET");
  node.attributes.erase("auto_pad");
  if (mode == "NOTSET" || mode.empty()) return {};
  const size_t axes = kernel.size();
  Ints pads(axes * 2, 0);
  if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    STRATA_ASSIGN_OR_RETURN(const graph::Shape shape, scope.shape(node.inputs[0]));
    STRATA_ASSIGN_OR_RETURN(const Ints sizes, spatial_sizes(shape));
    const Ints strides = node.attribute_ints("strides", Ints(axes, 1));
    const Ints dilations = node.attribute_ints("dilations", Ints(axes, 1));
    if (sizes.size() != axes || strides.size() != axes || dilations.size() != axes) {
      return invalid_argument("its kernel, strides and dilations do not fit its input");
    }
    for (size_t i = 0; i < axes; ++i) {
      const bool possible = strides[i] >= 1 && strides[i] <= graph::kMaxDimension &&
                            dilations[i] >= 1 && dilations[i] <= graph::kMaxDimension &&
                            kernel[i] >= 1 && kernel[i] <= graph::kMaxDimension;
      if (!possible) return invalid_argument("its kernel, strides or dilations are out of range");
      const int64_t windows = (sizes[i] + strides[i] - 1) / strides[i];
      const int64_t extent = (kernel[i] - 1) * dilations[i] + 1;
      const int64_t total = std::max<int64_t>(0, (windows - 1) * strides[i] + extent - sizes[i]);
      const int64_t less = total / 2;
      pads[i] = mode == "SAME_UPPER" ? less : total - less;
      pads[i + axes] = total - pads[i];
    }
  } else if (mode != "VALID") {
    return invalid_argument("auto_pad '" + mode + "' is not known");
  }
  node.attributes["pads"] = pads;
  return {};
}

/// The bias of a convolution or matrix product: one element per output.
Result<std::string> bias_parameter(Scope& scope, const std::string& name, const Constant& bias,
                                   int64_t outputs) {
  Constant vector = bias;
  const bool row = !bias.shape.empty() && bias.shape.back() == outputs;
  if (!bias.floating() ||
      (bias.element_count() != 1 && !(row && bias.element_count() == outputs))) {
    return unsupported("its bias must have one number per output channel");
  }
  if (bias.element_count() == 1 && outputs != 1) {
    vector.floats.assign(static_cast<size_t>(outputs), bias.floats[0]);
  }
  vector.shape = {outputs};
  return scope.parameter(name, vector, ParameterRole::kBias, "bias" + std::to_string(outputs));
}

/// Lays the only spatial axis of inputs[0] out as an image of height 1, lets `emit` do the rest on
/// that, and takes the height away again: the runtime slides windows over images.
template <typename Emit>
Status as_image(Scope& scope, graph::Node node, const Emit& emit) {
  STRATA_ASSIGN_OR_RETURN(graph::Shape shape, scope.shape(node.inputs[0]));
  if (shape.size() != 3) {
    return invalid_argument("its input has shape " + to_string(shape) +
                            ", expected batch, channels and one spatial axis");
  }
  const std::string image = scope.unused_name(node.name + ".image");
  shape.insert(shape.begin() + 2, graph::Dim(1));
  STRATA_RETURN_IF_ERROR(
      emit_reshape(scope, {image, "", "", {node.inputs[0]}, {image}, {}}, shape));
  const std::string result = node.outputs[0];
  node.inputs[0] = image;
  node.outputs[0] = scope.unused_name(node.name + ".row");
  const std::string row = node.outputs[0];
  const std::string name = node.name;
  for (const char* list : {"kernel_shape", "strides", "dilations"}) {
    Ints values = node.attribute_ints(list, {});
    if (values.empty()) continue;
    values.insert(values.begin(), 1);
    node.attributes[list] = std::move(values);
  }
  if (const Ints pads = node.attribute_ints("pads", {}); pads.size() == 2) {
    node.attributes["pads"] = Ints{0, pads[0], 0, pads[1]};
  }
  STRATA_RETURN_IF_ERROR(emit(std::move(node)));
  STRATA_ASSIGN_OR_RETURN(graph::Shape output, scope.shape(row));
  output.erase(output.begin() + 2);
  return emit_reshape(scope, {scope.unused_name(name + ".flat"), "", "", {row}, {result}, {}},
                      output);
}

Status rewrite_conv(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  graph::Node conv = trimmed(node, 3);
  STRATA_ASSIGN_OR_RETURN(const Constant* weight, constant_input(scope, node, 1, "its weight"));
  if (weight->shape.size() < 3) return invalid_argument("its weight has too few dimensions");
  const Ints kernel(weight->shape.begin() + 2, weight->shape.end());
  STRATA_RETURN_IF_ERROR(resolve_auto_pad(scope, conv, kernel));
  conv.attributes.try_emplace("kernel_shape", kernel);
  const bool one_axis = weight->shape.size() == 3;
  Constant stored;
  if (one_axis) {
    stored = *weight;
    stored.shape.insert(stored.shape.begin() + 2, 1);
  }
  STRATA_ASSIGN_OR_RETURN(conv.inputs[1],
                          scope.parameter(conv.inputs[1], one_axis ? stored : *weight,
                                          ParameterRole::kWeight, one_axis ? "image" : ""));
  if (node.has_input(2)) {
    STRATA_ASSIGN_OR_RETURN(const Constant* bias, constant_input(scope, node, 2, "its bias"));
    STRATA_ASSIGN_OR_RETURN(conv.inputs[2],
                            bias_parameter(scope, conv.inputs[2], *bias, weight->shape[0]));
  }
  if (one_axis) {
    return as_image(scope, std::move(conv),
                    [&](graph::Node image) { return scope.emit(std::move(image)); });
  }
  return scope.emit(std::move(conv));
}

/// Makes inputs[1] of a matrix product a weight of [outputs, inputs], as strata stores them;
/// returns the count of outputs.
Result<int64_t> transpose_weight(Scope& scope, graph::Node& gemm, const Constant& weight,
                                 bool transposed_already) {
  if (weight.shape.size() != 2) return invalid_argument("its weight must be a matrix");
  const Constant matrix = transposed_already ? weight : transposed(weight, {1, 0});
  STRATA_ASSIGN_OR_RETURN(gemm.inputs[1],
                          scope.parameter(gemm.inputs[1], matrix, ParameterRole::kWeight,
                                          transposed_already ? "" : "transposed"));
  gemm.attributes["transB"] = int64_t{1};
  return matrix.shape[0];
}

Status rewrite_gemm(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  graph::Node gemm = trimmed(node, 3);
  gemm.attributes.erase("broadcast");
  STRATA_ASSIGN_OR_RETURN(const Constant* weight, scope.constant(gemm.inputs[1]));
  if (weight == nullptr) {
    if (node.has_input(2)) {
      STRATA_ASSIGN_OR_RETURN(gemm.inputs[2], operand(scope, node, 2, ParameterRole::kBias));
    }
    STRATA_ASSIGN_OR_RETURN(gemm.inputs[0], operand(scope, node, 0, ParameterRole::kWeight));
    return scope.emit(std::move(gemm));
  }
  STRATA_ASSIGN_OR_RETURN(
      const int64_t outputs,
      transpose_weight(scope, gemm, *weight, gemm.attribute_int("transB", 0) != 0));
  if (node.has_input(2)) {
    STRATA_ASSIGN_OR_RETURN(const Constant* bias, constant_input(scope, node, 2, "its bias"));
    STRATA_ASSIGN_OR_RETURN(gemm.inputs[2], bias_parameter(scope, gemm.inputs[2], *bias, outputs));
  } else {
    gemm.inputs.resize(2);
  }
  return scope.emit(std::move(gemm));
}

Status rewrite_mat_mul(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 2));
  graph::Node product = trimmed(node, 2);
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(product.inputs[0]));
  STRATA_ASSIGN_OR_RETURN(const Constant* weight, scope.constant(product.inputs[1]));
  if (weight == nullptr) {
    STRATA_ASSIGN_OR_RETURN(product.inputs[0], operand(scope, node, 0, ParameterRole::kWeight));
    return scope.emit(std::move(product));
  }
  if (input.size() == 2 && weight->shape.size() == 2) {
    product.op_type = "Gemm";
    STRATA_RETURN_IF_ERROR(transpose_weight(scope, product, *weight, false).status());
  } else {
    STRATA_ASSIGN_OR_RETURN(product.inputs[1],
                            scope.parameter(product.inputs[1], *weight, ParameterRole::kWeight));
  }
  return scope.emit(std::move(product));
}

Status rewrite_batch_normalization(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 5));
  graph::Node norm = trimmed(node, 5);
  for (const char* unused : {"momentum", "is_test", "consumed_inputs"}) {
    norm.attributes.erase(unused);
  }
  if (norm.attribute_int("training_mode", 0) == 0) STRATA_RETURN_IF_ERROR(require_one_output(node));
  constexpr std::array kRoles = {ParameterRole::kScale, ParameterRole::kShift, ParameterRole::kMean,
                                 ParameterRole::kVariance};
  for (size_t i = 0; i < kRoles.size(); ++i) {
    STRATA_ASSIGN_OR_RETURN(const Constant* vector,
                            constant_input(scope, node, i + 1, "its parameter"));
    STRATA_ASSIGN_OR_RETURN(norm.inputs[i + 1],
                            scope.own_parameter(norm.inputs[i + 1], *vector, kRoles[i]));
  }
  return scope.emit(std::move(norm));
}

Status rewrite_pool(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  STRATA_RETURN_IF_ERROR(require_one_output(node));
  graph::Node pool = trimmed(node, 1);
  STRATA_RETURN_IF_ERROR(resolve_auto_pad(scope, pool, pool.attribute_ints("kernel_shape", {})));
  const Ints dilations = pool.attribute_ints("dilations", {});
  if (std::all_of(dilations.begin(), dilations.end(), [](int64_t d) { return d == 1; })) {
    pool.attributes.erase("dilations");
  }
  if (pool.attribute_ints("kernel_shape", {}).size() == 1) {
    return as_image(scope, std::move(pool),
                    [&](graph::Node image) { return scope.emit(std::move(image)); });
  }
  return scope.emit(std::move(pool));
}

/// Before opset 13, Softmax flattened everything from its axis on; that is one axis where at most
/// one of those is not 1.
Status rewrite_softmax(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  graph::Node softmax = trimmed(node, 1);
  if (scope.opset() >= kOpsetOfOneSoftmaxAxis) return scope.emit(std::move(softmax));
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(softmax.inputs[0]));
  STRATA_ASSIGN_OR_RETURN(const size_t first,
                          resolve_axis(softmax.attribute_int("axis", 1), input.size()));
  size_t axis = first;
  bool found = false;
  for (size_t i = first; i < input.size(); ++i) {
    if (input[i] == graph::Dim(1)) continue;
    if (found) {
      return unsupported("before opset 13 it works on all axes from " + std::to_string(first) +
                         " on, of " + to_string(input) + "; only one axis is supported");
    }
    found = true;
    axis = i;
  }
  softmax.attributes["axis"] = static_cast<int64_t>(axis);
  return scope.emit(std::move(softmax));
}

/// The mean or the largest over all spatial axes; the runtime has a step for means of images.
Status rewrite_global_pool(Scope& scope, const OnnxNode& node) {
  STRATA_RETURN_IF_ERROR(require_inputs(node, 1));
  graph::Node pool = trimmed(node, 1);
  STRATA_ASSIGN_OR_RETURN(const graph::Shape input, scope.shape(pool.inputs[0]));
  const bool average = pool.op_type == "GlobalAveragePool";
  if (average && input.size() == 4) return scope.emit(std::move(pool));
  if (input.size() < 3) return invalid_argument("its input " + to_string(input) + " is no image");
  Ints axes;
  for (size_t i = 2; i < input.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  pool.op_type = average ? "ReduceMean" : "ReduceMax";
  pool.attributes = {{"axes", axes}};
  return scope.emit(std::move(pool));
}

/// Scale and shift are a parameter per level each.
Status rewrite_row_normalization(Scope& scope, const OnnxNode& node) {
  const bool layer = node.node.op_type == "LayerNormalization";
  STRATA_RETURN_IF_ERROR(require_inputs(node, layer ? 2 : 3));
  STRATA_RETURN_IF_ERROR(require_one_output(node));
  graph::Node norm = trimmed(node, 3);
  norm.attributes.erase("stash_type");
  for (size_t i = 1; i < norm.inputs.size(); ++i) {
    if (!node.has_input(i)) continue;
    STRATA_ASSIGN_OR_RETURN(const Constant* vector,
                            constant_input(scope, node, i, "its parameter"));
    STRATA_ASSIGN_OR_RETURN(
        norm.inputs[i], scope.parameter(norm.inputs[i], *vector,
                                        i == 1 ? ParameterRole::kScale : ParameterRole::kShift));
  }
  return scope.emit(std::move(norm));
}

}  // namespace

const Rewritings& layer_rewritings() {
  static const Rewritings table = {
      {"AveragePool", rewrite_pool},
      {"BatchNormalization", rewrite_batch_normalization},
      {"Conv", rewrite_conv},
      {"Gemm", rewrite_gemm},
      {"GlobalAveragePool", rewrite_global_pool},
      {"GlobalMaxPool", rewrite_global_pool},
      {"InstanceNormalization", rewrite_row_normalization},
      {"LRN", pass},
      {"LayerNormalization", rewrite_row_normalization},
      {"LogSoftmax", rewrite_softmax},
      {"MatMul", rewrite_mat_mul},
      {"MaxPool", rewrite_pool},
      {"Softmax", rewrite_softmax},
  };
  return table;
}

}  // namespace strata::interop
