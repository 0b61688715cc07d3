// Operators that move elements without computing with them.
#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

Result<Shape> infer_concat(const NodeInputs& in) {
  if (!in.node.attributes.contains("axis")) {
    return invalid_argument("attribute 'axis' is missing");
  }
  Shape output = in.shape(0);
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(in.node.attribute_int("axis", 0), output.size()));
  for (size_t i = 1; i < in.values.size(); ++i) {
    const Shape& input = in.shape(i);
    STRATA_RETURN_IF_ERROR(check_rank(input, output.size(), "input " + std::to_string(i)));
    for (size_t d = 0; d < output.size(); ++d) {
      if (d == axis) {
        const bool known = output[d].known() && input[d].known();
        output[d] = known ? Dim(output[d].value() + input[d].value()) : Dim();
      } else if (!output[d].known()) {
        if (input[d].known()) output[d] = input[d];
      } else if (input[d].known() && input[d] != output[d]) {
        return invalid_argument("inputs of shapes " + to_string(in.shape(0)) + " and " +
                                to_string(input) + " differ outside axis " + std::to_string(axis));
      }
    }
    STRATA_RETURN_IF_ERROR(element_count(output).status());
  }
  return output;
}

Result<Shape> infer_flatten(const NodeInputs& in) {
  const std::span<const Dim> input = in.shape(0);
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(in.node.attribute_int("axis", 1), input.size(), true));
  STRATA_ASSIGN_OR_RETURN(Dim rows, product(input.first(axis)));
  STRATA_ASSIGN_OR_RETURN(Dim columns, product(input.subspan(axis)));
  return Shape{std::move(rows), std::move(columns)};
}

/// Pad as in opsets 2 to 10, where `pads` is an attribute: all begins, then all ends.
Result<Shape> infer_pad(const NodeInputs& in) {
  const Node& node = in.node;
  Shape output = in.shape(0);
  const std::string mode = node.attribute_string("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect") {
    return unsupported("padding of mode '" + mode + "' is not supported");
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
    if (mode == "reflect" && output[i].known() && std::max(begin, end) >= output[i].value()) {
      return invalid_argument("axis " + std::to_string(i) + " of size " +
                              std::to_string(output[i].value()) + " reflects less than " +
                              std::to_string(std::max(begin, end)) + " elements");
    }
    output[i] = output[i].known() ? Dim(output[i].value() + begin + end) : Dim();
  }
  return output;
}

Status reshape_error(const Shape& input, const std::vector<int64_t>& target) {
  std::string sizes;
  for (const int64_t size : target) sizes += (sizes.empty() ? "" : ",") + std::to_string(size);
  return invalid_argument("an input of shape " + to_string(input) + " cannot become [" + sizes +
                          "]");
}

/// The open size of a reshape whose input is not known everywhere: what is left once the sizes that
/// both sides share, symbols included, are struck out; unknown if that is no single size.
Dim open_size(const Shape& input, const Shape& output, size_t open) {
  Shape rest = input;
  int64_t divisor = 1;
  for (size_t i = 0; i < output.size(); ++i) {
    if (i == open) continue;
    const auto same = std::find(rest.begin(), rest.end(), output[i]);
    if (same != rest.end() && (output[i].known() || !output[i].symbol().empty())) {
      rest.erase(same);
    } else if (output[i].known()) {
      divisor *= output[i].value();
    } else {
      return {};
    }
  }
  const Result<Dim> left = product(rest);
  if (!left.ok()) return {};
  if (divisor == 1) return *left;
  if (!left->known() || divisor == 0 || left->value() % divisor != 0) return {};
  return left->value() / divisor;
}

/// A target size of 0 copies the input's, one of -1 takes what is left.
Result<Shape> infer_reshape(const NodeInputs& in) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<int64_t> target,
                          constant_integers(in, 1, "the new shape"));
  const Shape& input = in.shape(0);
  const bool zero_is_size = in.node.attribute_int("allowzero", 0) != 0;
  Shape output;
  std::optional<size_t> open;
  for (size_t i = 0; i < target.size(); ++i) {
    if (target[i] == -1 && !open) {
      open = i;
      output.emplace_back(1);
    } else if (target[i] == 0 && !zero_is_size) {
      if (i >= input.size()) {
        return invalid_argument("size 0 at place " + std::to_string(i) +
                                " of the new shape copies a dimension that the input of shape " +
                                to_string(input) + " has not");
      }
      output.push_back(input[i]);
    } else if (target[i] < 0 || target[i] > kMaxDimension) {
      return invalid_argument("the new shape holds the size " + std::to_string(target[i]));
    } else {
      output.emplace_back(target[i]);
    }
  }
  STRATA_ASSIGN_OR_RETURN(const int64_t from, element_count(input));
  STRATA_ASSIGN_OR_RETURN(const int64_t to, element_count(output));
  if (from < 0 || to < 0) {
    if (open) output[*open] = open_size(input, output, *open);
    return output;
  }
  if (open) {
    if (to == 0 || from % to != 0) return reshape_error(input, target);
    output[*open] = Dim(from / to);
  } else if (from != to) {
    return reshape_error(input, target);
  }
  return output;
}

Result<Shape> infer_transpose(const NodeInputs& in) {
  const Shape& input = in.shape(0);
  std::vector<int64_t> order;
  for (size_t i = input.size(); i-- > 0;) order.push_back(static_cast<int64_t>(i));
  order = in.node.attribute_ints("perm", order);
  std::vector<bool> seen(input.size());
  Shape output;
  for (const int64_t axis : order) {
    if (axis < 0 || axis >= static_cast<int64_t>(input.size()) || seen[static_cast<size_t>(axis)]) {
      break;
    }
    seen[static_cast<size_t>(axis)] = true;
    output.push_back(input[static_cast<size_t>(axis)]);
  }
  if (order.size() != input.size() || output.size() != input.size()) {
    return invalid_argument("attribute 'perm' is no order of the " + std::to_string(input.size()) +
                            " dimensions of its input");
  }
  return output;
}

}  // namespace

std::vector<Operator> layout_operators() {
  using Kind = AttributeKind;
  return {
      {"",
       "Concat",
       1,
       kVariadic,
       1,
       TypeRule::kEqual,
       {{"axis", Kind::kInt}},
       like_input<infer_concat>},
      {"", "Flatten", 1, 1, 1, TypeRule::kEqual, {{"axis", Kind::kInt}}, like_input<infer_flatten>},
      {"",
       "Pad",
       1,
       1,
       1,
       TypeRule::kFloat,
       {{"mode", Kind::kString}, {"pads", Kind::kInts}, {"value", Kind::kFloat}},
       like_input<infer_pad>},
      {"",
       "Reshape",
       2,
       2,
       1,
       TypeRule::kAny,
       {{"allowzero", Kind::kInt}},
       like_input<infer_reshape>},
      {"",
       "Transpose",
       1,
       1,
       1,
       TypeRule::kEqual,
       {{"perm", Kind::kInts}},
       like_input<infer_transpose>},
  };
}

}  // namespace strata::graph
