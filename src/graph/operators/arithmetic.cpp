// Operators that work element by element.
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

Result<TensorTypes> infer_comparison(const NodeInputs& in) {
  STRATA_ASSIGN_OR_RETURN(Shape shape, broadcast_shape(in));
  return TensorTypes{{DataType::kBool, std::move(shape)}};
}

Result<TensorTypes> infer_logic(const NodeInputs& in) {
  if (in.type(0) != DataType::kBool) return invalid_argument("its inputs must be booleans");
  return infer_comparison(in);
}

Operator binary(std::string_view op_type) {
  return {"", op_type, 2, 2, 1, TypeRule::kEqual, {}, like_input<broadcast_shape>};
}
Operator comparison(std::string_view op_type) {
  return {"", op_type, 2, 2, 1, TypeRule::kEqual, {}, infer_comparison};
}
Operator logic(std::string_view op_type) {
  return {"", op_type, 2, 2, 1, TypeRule::kEqual, {}, infer_logic};
}

}  // namespace

std::vector<Operator> arithmetic_operators() {
  return {
      binary("Add"),
      logic("And"),
      binary("Div"),
      comparison("Equal"),
      comparison("Greater"),
      comparison("GreaterOrEqual"),
      {"", "Identity", 1, 1, 1, TypeRule::kEqual, {}, like_input<same_shape>},
      comparison("Less"),
      comparison("LessOrEqual"),
      binary("Max"),
      binary("Min"),
      binary("Mul"),
      logic("Or"),
      binary("Pow"),
      binary("PRelu"),
      {"", "Relu", 1, 1, 1, TypeRule::kFloat, {}, like_input<same_shape>},
      binary("Sub"),
      logic("Xor"),
  };
}

}  // namespace strata::graph
