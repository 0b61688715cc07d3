// Operators that compute each element from one element alone.
#include <string>

#include "graph/inference.h"

namespace strata::graph {
namespace {

using Kind = AttributeKind;

Operator unary(std::string_view op_type, std::vector<AttributeRule> attributes = {},
               TypeRule types = TypeRule::kFloat) {
  return {"", op_type, 1, 1, 1, types, std::move(attributes), like_input<same_shape>};
}

/// Both limits are numbers, of the input's type.
Result<Shape> infer_clip(const NodeInputs& in) {
  for (const size_t limit : {size_t{1}, size_t{2}}) {
    if (!in.has(limit)) continue;
    STRATA_ASSIGN_OR_RETURN(const int64_t count, element_count(in.shape(limit)));
    if (count != 1) return invalid_argument("its limits must be single numbers");
  }
  return in.shape(0);
}

Result<Shape> infer_logical(const NodeInputs& in) {
  if (in.type(0) != DataType::kBool) return invalid_argument("its input must be a boolean");
  return in.shape(0);
}

Result<TensorTypes> infer_cast(const NodeInputs& in) {
  const int64_t to = in.node.attribute_int("to", 0);
  const auto type = static_cast<DataType>(to);
  if (to < 0 || to > 255 || element_size(type) == 0) {
    return unsupported("attribute 'to' names element type " + std::to_string(to) +
                       ", which is not known");
  }
  return TensorTypes{{type, in.shape(0)}};
}

}  // namespace

std::vector<Operator> elementwise_operators() {
  return {
      unary("Abs", {}, TypeRule::kEqual),
      {"", "Cast", 1, 1, 1, TypeRule::kAny, {{"to", Kind::kInt}}, infer_cast},
      unary("Ceil"),
      {"", "Clip", 1, 3, 1, TypeRule::kEqual, {}, like_input<infer_clip>},
      unary("Cos"),
      unary("Elu", {{"alpha", Kind::kFloat}}),
      unary("Erf"),
      unary("Exp"),
      unary("Floor"),
      unary("HardSigmoid", {{"alpha", Kind::kFloat}, {"beta", Kind::kFloat}}),
      unary("LeakyRelu", {{"alpha", Kind::kFloat}}),
      unary("Log"),
      unary("Neg", {}, TypeRule::kEqual),
      {"", "Not", 1, 1, 1, TypeRule::kEqual, {}, like_input<infer_logical>},
      unary("Reciprocal"),
      unary("Round"),
      unary("Selu", {{"alpha", Kind::kFloat}, {"gamma", Kind::kFloat}}),
      unary("Sigmoid"),
      unary("Sign", {}, TypeRule::kEqual),
      unary("Sin"),
      unary("Softplus"),
      unary("Softsign"),
      unary("Sqrt"),
      unary("Tanh"),
      unary("ThresholdedRelu", {{"alpha", Kind::kFloat}}),
  };
}

}  // namespace strata::graph
