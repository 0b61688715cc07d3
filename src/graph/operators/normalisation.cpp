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

/// Of all axes from 'axis' on; scale and shift have their shape.
Result<Shape> infer_layer_normalization(const NodeInputs& in) {
  const Shape& input = in.shape(0);
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(in.node.attribute_int("axis", -1), input.size()));
  for (const size_t index : {size_t{1}, size_t{2}}) {
    if (!in.has(index)) continue;
    const Shape& vector = in.shape(index);
    bool fits = vector.size() == input.size() - axis;
    for (size_t i = 0; fits && i < vector.size(); ++i) {
      const Dim& wanted = input[axis + i];
      fits = !wanted.known() || !vector[i].known() || wanted == vector[i];
    }
    if (!fits) {
      return invalid_argument("its input " + std::to_string(index) + " has shape " +
                              to_string(vector) + ", not that of the normalised axes of " +
                              to_string(input));
    }
  }
  return input;
}

Result<Shape> infer_instance_normalization(const NodeInputs& in) {
  const Shape& input = in.shape(0);
  if (input.size() < 3) {
    return invalid_argument("input has shape " + to_string(input) +
                            ", expected batch, channels and at least one spatial axis");
  }
  STRATA_RETURN_IF_ERROR(check_vector(in.shape(1), input[1], "scale"));
  STRATA_RETURN_IF_ERROR(check_vector(in.shape(2), input[1], "shift"));
  return input;
}

Result<Shape> infer_lrn(const NodeInputs& in) {
  const int64_t size = in.node.attribute_int("size", 0);
  if (size < 1 || size > kMaxDimension || in.shape(0).size() < 2) {
    return invalid_argument("attribute 'size' must be at least 1, and the input have channels");
  }
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
      {"",
       "InstanceNormalization",
       3,
       3,
       1,
       TypeRule::kFloat,
       {{"epsilon", Kind::kFloat}},
       like_input<infer_instance_normalization>},
      {"",
       "LRN",
       1,
       1,
       1,
       TypeRule::kFloat,
       {{"alpha", Kind::kFloat},
        {"beta", Kind::kFloat},
        {"bias", Kind::kFloat},
        {"size", Kind::kInt}},
       like_input<infer_lrn>},
      {"",
       "LayerNormalization",
       2,
       3,
       1,
       TypeRule::kFloat,
       {{"axis", Kind::kInt}, {"epsilon", Kind::kFloat}, {"stash_type", Kind::kInt}},
       like_input<infer_layer_normalization>},
      {"",
       "LogSoftmax",
       1,
       1,
       1,
       TypeRule::kFloat,
       {{"axis", Kind::kInt}},
       like_input<infer_softmax>},
      {"", "Softmax", 1, 1, 1, TypeRule::kFloat, {{"axis", Kind::kInt}}, like_input<infer_softmax>},
  };
}

}  // namespace strata::graph
