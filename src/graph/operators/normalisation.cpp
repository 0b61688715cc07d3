// Operators that normalise over channels or one axis.
#include <array>
#include <cmath>
#include <string>

#include "graph/inference.h"

namespace strata::graph {
namespace {

Result<Shape> infer_batch_normalization(const NodeInputs& in) {
  const Node& node = in.node;
  const Shape& input = in.shape(0);
  if (input.size() < 2) {
    return invalid_argument("input has shape " + to_string(input) +
                            ", expected batch, channels and any spatial axes");
  }
  constexpr std::array<const char*, 4> kVectors = {"scale", "shift", "mean", "variance"};
  for (size_t i = 0; i < kVectors.size(); ++i) {
    STRATA_RETURN_IF_ERROR(check_vector(in.shape(i + 1), input[1], kVectors[i]));
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

Result<Shape> infer_softmax(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(
      resolve_axis(in.node.attribute_int("axis", -1), in.shape(0).size()).status());
  return in.shape(0);
}

}  // namespace

std::vector<Operator> normalisation_operators() {
  using Kind = AttributeKind;
  return {
      {"",
       "BatchNormalization",
       5,
       5,
       1,
       TypeRule::kFloat,
       {{"epsilon", Kind::kFloat},
        {"momentum", Kind::kFloat},
        {"spatial", Kind::kInt},
        {"training_mode", Kind::kInt}},
       like_input<infer_batch_normalization>},
      {"", "Softmax", 1, 1, 1, TypeRule::kFloat, {{"axis", Kind::kInt}}, like_input<infer_softmax>},
  };
}

}  // namespace strata::graph
