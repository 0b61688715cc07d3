// Operators that make one number of many along some axes.
#include <set>
#include <string>

#include "graph/inference.h"

namespace strata::graph {
namespace {

using Kind = AttributeKind;

Result<Shape> reduced(const Shape& input, const std::set<size_t>& axes, bool keep) {
  Shape output;
  for (size_t i = 0; i < input.size(); ++i) {
    if (!axes.contains(i)) {
      output.push_back(input[i]);
    } else if (input[i].known() && input[i].value() == 0) {
      return invalid_argument("it reduces an axis that is empty");
    } else if (keep) {
      output.emplace_back(1);
    }
  }
  return output;
}

/// Without 'axes', all of them.
Result<Shape> infer_reduce(const NodeInputs& in) {
  const Shape& input = in.shape(0);
  std::set<size_t> axes;
  for (const int64_t axis : in.node.attribute_ints("axes", {})) {
    STRATA_ASSIGN_OR_RETURN(const size_t place, resolve_axis(axis, input.size()));
    axes.insert(place);
  }
  if (!in.node.attributes.contains("axes")) {
    for (size_t i = 0; i < input.size(); ++i) axes.insert(i);
  }
  return reduced(input, axes, in.node.attribute_int("keepdims", 1) != 0);
}

Result<TensorTypes> infer_arg(const NodeInputs& in) {
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(in.node.attribute_int("axis", 0), in.shape(0).size()));
  STRATA_ASSIGN_OR_RETURN(Shape shape,
                          reduced(in.shape(0), {axis}, in.node.attribute_int("keepdims", 1) != 0));
  return TensorTypes{{DataType::kInt64, std::move(shape)}};
}

Operator reduce(std::string_view op_type) {
  return {"",
          op_type,
          1,
          1,
          1,
          TypeRule::kFloat,
          {{"axes", Kind::kInts}, {"keepdims", Kind::kInt}},
          like_input<infer_reduce>};
}

Operator arg(std::string_view op_type) {
  return {"",
          op_type,
          1,
          1,
          1,
          TypeRule::kFloat,
          {{"axis", Kind::kInt}, {"keepdims", Kind::kInt}, {"select_last_index", Kind::kInt}},
          infer_arg};
}

}  // namespace

std::vector<Operator> reduction_operators() {
  return {
      arg("ArgMax"),        arg("ArgMin"),          reduce("ReduceL1"),
      reduce("ReduceL2"),   reduce("ReduceLogSum"), reduce("ReduceLogSumExp"),
      reduce("ReduceMax"),  reduce("ReduceMean"),   reduce("ReduceMin"),
      reduce("ReduceProd"), reduce("ReduceSum"),    reduce("ReduceSumSquare"),
  };
}

}  // namespace strata::graph
