// Shape inference of every operator, and the table that lists them.
#include "graph/operators.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "graph/window.h"

namespace strata::graph {
namespace {

constexpr size_t kVariadic = std::numeric_limits<size_t>::max();

std::string quoted(std::string_view text) { return std::string("'").append(text).append("'"); }

Status check_rank(const Shape& shape, size_t rank, std::string_view what) {
  if (shape.size() == rank) return {};
  return invalid_argument(std::string(what) + " has shape " + to_string(shape) + ", expected " +
                          std::to_string(rank) + " dimensions");
}

/// A per-channel vector: one dimension that equals `channels`, as far as both are known.
Status check_vector(const Shape& shape, const Dim& channels, const std::string& what) {
  STRATA_RETURN_IF_ERROR(check_rank(shape, 1, what));
  if (shape[0].known() && channels.known() && shape[0] != channels) {
    return invalid_argument(what + " has " + std::to_string(shape[0].value()) +
                            " elements, expected " + std::to_string(channels.value()));
  }
  return {};
}

/// Resolves a possibly negative axis against `rank`; `end` says whether rank itself is allowed.
Result<size_t> resolve_axis(int64_t axis, size_t rank, bool end = false) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis > signed_rank || (axis == signed_rank && !end)) {
    return invalid_argument("axis " + std::to_string(axis) + " is outside an input of " +
                            std::to_string(rank) + " dimensions");
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

/// Numpy-style broadcasting of one pair of sizes; nothing if they cannot meet.
std::optional<Dim> broadcast(const Dim& a, const Dim& b) {
  if (a == b) return a;
  if (a.known() && b.known()) {
    if (a.value() == 1) return b;
    if (b.value() == 1) return a;
    return std::nullopt;
  }
  for (const auto& [one, other] : {std::pair(a, b), std::pair(b, a)}) {
    if (one.known()) return one.value() == 1 ? other : one;
  }
  return Dim();
}

Result<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape shape = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    const std::optional<Dim> dim = broadcast(longer[offset + i], shorter[i]);
    if (!dim) {
      return invalid_argument("shapes " + to_string(a) + " and " + to_string(b) +
                              " do not broadcast");
    }
    shape[offset + i] = *dim;
  }
  return shape;
}

/// Product of sizes; a lone symbol among ones stays itself.
Result<Dim> product(std::span<const Dim> dims) {
  Dim result(1);
  for (const Dim& dim : dims) {
    if (result.known() && result.value() == 1) {
      result = dim;
    } else if (result.known() && dim.known()) {
      int64_t count = 0;
      if (__builtin_mul_overflow(result.value(), dim.value(), &count) || count > kMaxElements) {
        return invalid_argument("the product of its sizes is too large");
      }
      result = Dim(count);
    } else if (!dim.known() || dim.value() != 1) {
      result = Dim();
    }
  }
  return result;
}

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

Result<Shape> infer_conv(const NodeShapes& shapes) {
  const Node& node = shapes.node;
  const Shape& input = shapes.input(0);
  const Shape& weight = shapes.input(1);
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
  if (shapes.has_input(2)) {
    STRATA_RETURN_IF_ERROR(check_vector(shapes.input(2), weight[0], "the bias"));
  }
  STRATA_ASSIGN_OR_RETURN(const Window window, read_window(node, std::move(kernel)));
  STRATA_ASSIGN_OR_RETURN(Shape output, slide(window, input));
  output[1] = weight[0];
  return output;
}

Result<Shape> infer_pool(const NodeShapes& shapes) {
  const Node& node = shapes.node;
  const Shape& input = shapes.input(0);
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

Result<Shape> infer_global_pool(const NodeShapes& shapes) {
  const Shape& input = shapes.input(0);
  if (input.size() < 3) {
    return invalid_argument("input has shape " + to_string(input) +
                            ", expected batch, channels and at least one spatial axis");
  }
  Shape output = {input[0], input[1]};
  output.resize(input.size(), Dim(1));
  return output;
}

Result<Shape> infer_batch_normalization(const NodeShapes& shapes) {
  const Node& node = shapes.node;
  const Shape& input = shapes.input(0);
  if (input.size() < 2) {
    return invalid_argument("input has shape " + to_string(input) +
                            ", expected batch, channels and any spatial axes");
  }
  constexpr std::array<const char*, 4> kVectors = {"scale", "shift", "mean", "variance"};
  for (size_t i = 0; i < kVectors.size(); ++i) {
    STRATA_RETURN_IF_ERROR(check_vector(shapes.input(i + 1), input[1], kVectors[i]));
  }
  const float epsilon = node.attribute_float("epsilon", 1e-5F);
  if (!std::isfinite(epsilon) || epsilon < 0) {
    return invalid_argument("attribute 'epsilon' must be a finite number that is not negative");
  }
  if (node.attribute_int("training_mode", 0) != 0 || node.attribute_int("spatial", 1) != 1) {
    return unsupported("only inference with statistics per channel is supported");
  }
  return input;
}

Result<Shape> infer_same(const NodeShapes& shapes) { return shapes.input(0); }

Result<Shape> infer_softmax(const NodeShapes& shapes) {
  STRATA_RETURN_IF_ERROR(
      resolve_axis(shapes.node.attribute_int("axis", -1), shapes.input(0).size()).status());
  return shapes.input(0);
}

Result<Shape> infer_broadcast(const NodeShapes& shapes) {
  return broadcast(shapes.input(0), shapes.input(1));
}

Result<Shape> infer_flatten(const NodeShapes& shapes) {
  const std::span<const Dim> input = shapes.input(0);
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(shapes.node.attribute_int("axis", 1), input.size(), true));
  STRATA_ASSIGN_OR_RETURN(Dim rows, product(input.first(axis)));
  STRATA_ASSIGN_OR_RETURN(Dim columns, product(input.subspan(axis)));
  return Shape{std::move(rows), std::move(columns)};
}

/// Both operands of a product must agree on the size that is summed over.
Status check_inner(const Dim& a, const Dim& b) {
  if (!a.known() || !b.known() || a == b) return {};
  return invalid_argument("input has " + std::to_string(a.value()) +
                          " features, the weight expects " + std::to_string(b.value()));
}

Result<Shape> infer_gemm(const NodeShapes& shapes) {
  const Node& node = shapes.node;
  const Shape& a = shapes.input(0);
  const Shape& b = shapes.input(1);
  STRATA_RETURN_IF_ERROR(check_rank(a, 2, "input"));
  STRATA_RETURN_IF_ERROR(check_rank(b, 2, "the weight"));
  const bool trans_a = node.attribute_int("transA", 0) != 0;
  const bool trans_b = node.attribute_int("transB", 0) != 0;
  STRATA_RETURN_IF_ERROR(check_inner(a[trans_a ? 0 : 1], b[trans_b ? 1 : 0]));
  if (!std::isfinite(node.attribute_float("alpha", 1)) ||
      !std::isfinite(node.attribute_float("beta", 1))) {
    return invalid_argument("attributes 'alpha' and 'beta' must be finite");
  }
  Shape output = {a[trans_a ? 1 : 0], b[trans_b ? 0 : 1]};
  if (shapes.has_input(2)) {
    STRATA_ASSIGN_OR_RETURN(const Shape sum, broadcast(output, shapes.input(2)));
    for (size_t i = 0; i < sum.size(); ++i) {
      const bool grew =
          sum.size() != 2 || (sum[i].known() && output[i].known() && sum[i] != output[i]);
      if (grew) {
        return invalid_argument("the bias of shape " + to_string(shapes.input(2)) +
                                " does not broadcast to " + to_string(output));
      }
    }
  }
  return output;
}

Result<Shape> infer_matmul(const NodeShapes& shapes) {
  const std::span<const Dim> a = shapes.input(0);
  const std::span<const Dim> b = shapes.input(1);
  if (a.size() < 2 || b.size() < 2) {
    return unsupported("both inputs need at least two dimensions, they have shapes " +
                       to_string(shapes.input(0)) + " and " + to_string(shapes.input(1)));
  }
  STRATA_RETURN_IF_ERROR(check_inner(a.back(), b[b.size() - 2]));
  const auto batch_a = a.first(a.size() - 2);
  const auto batch_b = b.first(b.size() - 2);
  STRATA_ASSIGN_OR_RETURN(Shape output, broadcast(Shape(batch_a.begin(), batch_a.end()),
                                                  Shape(batch_b.begin(), batch_b.end())));
  output.push_back(a[a.size() - 2]);
  output.push_back(b.back());
  return output;
}

/// Pad as in opsets 2 to 10, where `pads` is an attribute: all begins, then all ends.
Result<Shape> infer_pad(const NodeShapes& shapes) {
  const Node& node = shapes.node;
  Shape output = shapes.input(0);
  const std::string mode = node.attribute_string("mode", "constant");
  if (mode != "constant" || node.attribute_float("value", 0) != 0) {
    return unsupported("only padding with the constant 0 is supported");
  }
  const std::vector<int64_t> pads = node.attribute_ints("pads", {});
  if (pads.size() != output.size() * 2) {
    return invalid_argument("attribute 'pads' has " + std::to_string(pads.size()) +
                            " values, expected " + std::to_string(output.size() * 2));
  }
  for (size_t i = 0; i < output.size(); ++i) {
    const int64_t begin = pads[i];
    const int64_t end = pads[i + output.size()];
    if (begin < 0 || end < 0 || begin > kMaxDimension || end > kMaxDimension) {
      return invalid_argument("attribute 'pads' holds a value outside 0 to " +
                              std::to_string(kMaxDimension));
    }
    if (begin == 0 && end == 0) continue;
    output[i] = output[i].known() ? Dim(output[i].value() + begin + end) : Dim();
  }
  return output;
}

Result<Shape> infer_concat(const NodeShapes& shapes) {
  if (!shapes.node.attributes.contains("axis")) {
    return invalid_argument("attribute 'axis' is missing");
  }
  Shape output = shapes.input(0);
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(shapes.node.attribute_int("axis", 0), output.size()));
  for (size_t i = 1; i < shapes.inputs.size(); ++i) {
    const Shape& input = shapes.input(i);
    STRATA_RETURN_IF_ERROR(check_rank(input, output.size(), "input " + std::to_string(i)));
    for (size_t d = 0; d < output.size(); ++d) {
      if (d == axis) {
        const bool known = output[d].known() && input[d].known();
        output[d] = known ? Dim(output[d].value() + input[d].value()) : Dim();
      } else if (!output[d].known()) {
        if (input[d].known()) output[d] = input[d];
      } else if (input[d].known() && input[d] != output[d]) {
        return invalid_argument("inputs of shapes " + to_string(shapes.input(0)) + " and " +
                                to_string(input) + " differ outside axis " + std::to_string(axis));
      }
    }
    STRATA_RETURN_IF_ERROR(element_count(output).status());
  }
  return output;
}

/// Sorted by name, for people; the search is linear.
const std::vector<Operator>& operators() {
  using Kind = AttributeKind;
  static const std::vector<Operator> table = {
      {"", "Add", 2, 2, false, {}, infer_broadcast},
      {"",
       "AveragePool",
       1,
       1,
       true,
       {{"auto_pad", Kind::kString},
        {"ceil_mode", Kind::kInt},
        {"count_include_pad", Kind::kInt},
        {"kernel_shape", Kind::kInts},
        {"pads", Kind::kInts},
        {"strides", Kind::kInts}},
       infer_pool},
      {"",
       "BatchNormalization",
       5,
       5,
       true,
       {{"epsilon", Kind::kFloat},
        {"momentum", Kind::kFloat},
        {"spatial", Kind::kInt},
        {"training_mode", Kind::kInt}},
       infer_batch_normalization},
      {"", "Concat", 1, kVariadic, false, {{"axis", Kind::kInt}}, infer_concat},
      {"",
       "Conv",
       2,
       3,
       true,
       {{"auto_pad", Kind::kString},
        {"dilations", Kind::kInts},
        {"group", Kind::kInt},
        {"kernel_shape", Kind::kInts},
        {"pads", Kind::kInts},
        {"strides", Kind::kInts}},
       infer_conv},
      {"", "Flatten", 1, 1, false, {{"axis", Kind::kInt}}, infer_flatten},
      {"",
       "Gemm",
       2,
       3,
       true,
       {{"alpha", Kind::kFloat},
        {"beta", Kind::kFloat},
        {"transA", Kind::kInt},
        {"transB", Kind::kInt}},
       infer_gemm},
      {"", "GlobalAveragePool", 1, 1, true, {}, infer_global_pool},
      {"", "Identity", 1, 1, false, {}, infer_same},
      {"", "MatMul", 2, 2, true, {}, infer_matmul},
      {"",
       "MaxPool",
       1,
       1,
       true,
       {{"auto_pad", Kind::kString},
        {"ceil_mode", Kind::kInt},
        {"dilations", Kind::kInts},
        {"kernel_shape", Kind::kInts},
        {"pads", Kind::kInts},
        {"storage_order", Kind::kInt},
        {"strides", Kind::kInts}},
       infer_pool},
      {"",
       "Pad",
       1,
       1,
       true,
       {{"mode", Kind::kString}, {"pads", Kind::kInts}, {"value", Kind::kFloat}},
       infer_pad},
      {"", "Relu", 1, 1, true, {}, infer_same},
      {"", "Softmax", 1, 1, true, {{"axis", Kind::kInt}}, infer_softmax},
  };
  return table;
}

Status check_attributes(const Node& node, const Operator& op) {
  constexpr std::array<std::string_view, 5> kKindNames = {
      "an integer", "a number", "a string", "a list of integers", "a list of numbers"};
  for (const auto& [name, value] : node.attributes) {
    const auto rule = std::find_if(op.attributes.begin(), op.attributes.end(),
                                   [&key = name](const AttributeRule& r) { return r.name == key; });
    if (rule == op.attributes.end()) {
      return unsupported("attribute " + quoted(name) + " is not known for this operator");
    }
    const auto expected = static_cast<size_t>(rule->kind);
    if (value.index() != expected) {
      return invalid_argument("attribute " + quoted(name) + " must be " +
                              std::string(kKindNames[expected]));
    }
  }
  return {};
}

}  // namespace

const Operator* find_operator(std::string_view domain, std::string_view op_type) {
  for (const Operator& op : operators()) {
    if (op.domain == domain && op.op_type == op_type) return &op;
  }
  return nullptr;
}

Status check_node(const Node& node) {
  const Operator* op = find_operator(node.domain, node.op_type);
  if (op == nullptr) {
    return unsupported("the operator is not known" +
                       (node.domain.empty() ? "" : " in domain " + quoted(node.domain)));
  }
  const size_t count = node.inputs.size();
  if (count < op->required_inputs || count > op->max_inputs) {
    return invalid_argument("it has " + std::to_string(count) + " inputs, the operator takes " +
                            std::to_string(op->required_inputs) +
                            (op->max_inputs == op->required_inputs ? ""
                             : op->max_inputs == kVariadic
                                 ? " or more"
                                 : " to " + std::to_string(op->max_inputs)));
  }
  const size_t needed = op->max_inputs == kVariadic ? count : op->required_inputs;
  for (size_t i = 0; i < needed; ++i) {
    if (node.inputs[i].empty()) {
      return invalid_argument("input " + std::to_string(i) + " must not be omitted");
    }
  }
  if (node.outputs.size() != 1 || node.outputs[0].empty()) {
    return unsupported("it must have exactly one output, with a name");
  }
  return check_attributes(node, *op);
}

Status node_error(const Graph& graph, const Node& node, const Status& reason) {
  return {reason.code(), "graph " + quoted(graph.name) + ": node " + quoted(node.name) + " (" +
                             node.op_type + "): " + reason.message()};
}

Result<int64_t> element_count(const Shape& shape) {
  int64_t count = 1;
  bool all_known = true;
  for (const Dim& dim : shape) {
    if (!dim.known()) {
      all_known = false;
      continue;
    }
    if (dim.value() > kMaxDimension || __builtin_mul_overflow(count, dim.value(), &count) ||
        count > kMaxElements) {
      return invalid_argument("shape " + to_string(shape) + " is too large");
    }
  }
  return all_known ? count : -1;
}

}  // namespace strata::graph
