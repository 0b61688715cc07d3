// Operators that slide a window over spatial axes: convolutions and pools.
#include "graph/window.h"

#include <algorithm>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

/// Applies `window` to the spatial axes of `input`, keeping its first two dimensions.
Result<Shape> slide(const Window& window, const Shape& input) {
  Shape output = {input[0], input[1]};
  for (size_t axis = 0; axis < window.kernel.size(); ++axis) {
    const Dim& size = input[axis + 2];
    if (!size.known()) {
      output.emplace_back();
      continue;
    }
    STRATA_ASSIGN_OR_RETURN(const int64_t positions, window_positions(window, axis, size.value()));
    output.emplace_back(positions);
  }
  return output;
}

Status check_conv_channels(const Shape& input, const Shape& weight, int64_t group) {
  if (group < 1 || group > kMaxDimension) {
    return invalid_argument("attribute 'group' is " + std::to_string(group) +
                            ", it must be at least 1");
  }
  if (weight[0].known() && weight[0].value() % group != 0) {
    return invalid_argument("the weight has " + std::to_string(weight[0].value()) +
                            " output channels, which " + std::to_string(group) +
                            " groups do not divide");
  }
  if (!input[1].known() || !weight[1].known()) return {};
  int64_t expected = 0;
  if (__builtin_mul_overflow(weight[1].value(), group, &expected) || expected != input[1].value()) {
    return invalid_argument("input has " + std::to_string(input[1].value()) +
                            " channels, the weight expects " + std::to_string(expected));
  }
  return {};
}

Result<Shape> infer_conv(const NodeInputs& in) {
  const Node& node = in.node;
  const Shape& input = in.shape(0);
  const Shape& weight = in.shape(1);
  if (input.size() < 3) {
    return invalid_argument("input has shape " + to_string(input) +
                            ", expected batch, channels and at least one spatial axis");
  }
  STRATA_RETURN_IF_ERROR(check_rank(weight, input.size(), "the weight"));
  STRATA_RETURN_IF_ERROR(check_conv_channels(input, weight, node.attribute_int("group", 1)));
  std::vector<int64_t> kernel;
  for (size_t i = 2; i < weight.size(); ++i) {
    if (!weight[i].known()) return unsupported("the kernel size is not known");
    kernel.push_back(weight[i].value());
  }
  if (node.attribute_ints("kernel_shape", kernel) != kernel) {
    return invalid_argument("attribute 'kernel_shape' does not match the weight's shape " +
                            to_string(weight));
  }
  if (in.has(2)) {
    STRATA_RETURN_IF_ERROR(check_vector(in.shape(2), weight[0], "the bias"));
  }
  STRATA_ASSIGN_OR_RETURN(const Window window, read_window(node, std::move(kernel)));
  STRATA_ASSIGN_OR_RETURN(Shape output, slide(window, input));
  output[1] = weight[0];
  return output;
}

Result<Shape> infer_pool(const NodeInputs& in) {
  const Node& node = in.node;
  const Shape& input = in.shape(0);
  const std::vector<int64_t> kernel = node.attribute_ints("kernel_shape", {});
  if (kernel.empty()) return invalid_argument("attribute 'kernel_shape' is missing");
  STRATA_RETURN_IF_ERROR(check_rank(input, kernel.size() + 2, "input"));
  STRATA_ASSIGN_OR_RETURN(const Window window, read_window(node, kernel));
  for (size_t axis = 0; axis < kernel.size(); ++axis) {
    if (window.dilations[axis] != 1) return unsupported("dilated pooling is not supported");
    if (std::max(window.pads_begin[axis], window.pads_end[axis]) >= kernel[axis]) {
      return invalid_argument("the padding of axis " + std::to_string(axis) +
                              " must be smaller than the kernel, or a window sees nothing");
    }
  }
  if (node.attribute_int("storage_order", 0) != 0) {
    return unsupported("attribute 'storage_order' must be 0 (row-major)");
  }
  return slide(window, input);
}

Result<Shape> infer_global_pool(const NodeInputs& in) {
  const Shape& input = in.shape(0);
  if (input.size() < 3) {
    return invalid_argument("input has shape " + to_string(input) +
                            ", expected batch, channels and at least one spatial axis");
  }
  Shape output = {input[0], input[1]};
  output.resize(input.size(), Dim(1));
  return output;
}

/// One element of a convolution's weight meets every position of every image once.
int64_t conv_uses(const NodeInputs& in, const TensorTypes& outputs, size_t index) {
  if (index != 1) return 0;
  int64_t uses = in.shape(0)[0].value();
  const Shape& output = outputs[0].shape;
  if (uses < 0) return -1;
  for (size_t axis = 2; axis < output.size(); ++axis) {
    if (!output[axis].known() || __builtin_mul_overflow(uses, output[axis].value(), &uses)) {
      return -1;
    }
  }
  return uses;
}

}  // namespace

std::vector<Operator> window_operators() {
  using Kind = AttributeKind;
  return {
      {"",
       "AveragePool",
       1,
       1,
       1,
       TypeRule::kFloat,
       {{"auto_pad", Kind::kString},
        {"ceil_mode", Kind::kInt},
        {"count_include_pad", Kind::kInt},
        {"kernel_shape", Kind::kInts},
        {"pads", Kind::kInts},
        {"strides", Kind::kInts}},
       like_input<infer_pool>},
      {"",
       "Conv",
       2,
       3,
       1,
       TypeRule::kFloat,
       {{"auto_pad", Kind::kString},
        {"dilations", Kind::kInts},
        {"group", Kind::kInt},
        {"kernel_shape", Kind::kInts},
        {"pads", Kind::kInts},
        {"strides", Kind::kInts}},
       like_input<infer_conv>,
       conv_uses},
      {"", "GlobalAveragePool", 1, 1, 1, TypeRule::kFloat, {}, like_input<infer_global_pool>},
      {"",
       "MaxPool",
       1,
       1,
       1,
       TypeRule::kFloat,
       {{"auto_pad", Kind::kString},
        {"ceil_mode", Kind::kInt},
        {"dilations", Kind::kInts},
        {"kernel_shape", Kind::kInts},
        {"pads", Kind::kInts},
        {"storage_order", Kind::kInt},
        {"strides", Kind::kInts}},
       like_input<infer_pool>},
  };
}

}  // namespace strata::graph
