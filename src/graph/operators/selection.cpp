// Operators that choose elements: slices, parts, rows by index, repetition, one of two.
#include <algorithm>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

using Ints = std::vector<int64_t>;

Result<Shape> infer_expand(const NodeInputs& in) {
  STRATA_ASSIGN_OR_RETURN(const Ints target, constant_integers(in, 1, "the new shape"));
  Shape shape;
  for (const int64_t size : target) {
    if (size < 0 || size > kMaxDimension) {
      return invalid_argument("the new shape holds the size " + std::to_string(size));
    }
    shape.emplace_back(size);
  }
  return broadcast(in.shape(0), shape);
}

Result<TensorTypes> infer_gather(const NodeInputs& in) {
  const Shape& input = in.shape(0);
  if (in.type(1) != DataType::kInt64 && in.type(1) != DataType::kInt32) {
    return invalid_argument("its indices must be int64 or int32");
  }
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(in.node.attribute_int("axis", 0), input.size()));
  const auto place = input.begin() + static_cast<std::ptrdiff_t>(axis);
  Shape output(input.begin(), place);
  output.insert(output.end(), in.shape(1).begin(), in.shape(1).end());
  output.insert(output.end(), place + 1, input.end());
  return TensorTypes{{in.type(0), std::move(output)}};
}

}  // namespace

Result<std::vector<SliceAxis>> read_slices(const Shape& input, const Ints& starts, const Ints& ends,
                                           const std::optional<Ints>& axes,
                                           const std::optional<Ints>& steps) {
  if (ends.size() != starts.size() || (axes && axes->size() != starts.size()) ||
      (steps && steps->size() != starts.size())) {
    return invalid_argument("its starts, ends, axes and steps differ in count");
  }
  std::vector<SliceAxis> slices;
  for (const Dim& dim : input) slices.push_back({0, 1, dim});
  for (size_t i = 0; i < starts.size(); ++i) {
    STRATA_ASSIGN_OR_RETURN(
        const size_t axis, resolve_axis(axes ? (*axes)[i] : static_cast<int64_t>(i), input.size()));
    SliceAxis& slice = slices[axis];
    const int64_t step = steps ? (*steps)[i] : 1;
    if (step == 0 || step < -kMaxDimension)
      return invalid_argument("one of its steps is not possible");
    slice.step = step;
    if (!input[axis].known()) {
      const bool whole = starts[i] == 0 && step == 1 && ends[i] > kMaxDimension;
      if (!whole) slice.count = Dim();
      slice.start = starts[i];
      continue;
    }
    const int64_t size = input[axis].value();
    const auto from_end = [&](int64_t at) { return at < 0 ? std::max(at, -size - 1) + size : at; };
    const int64_t start = std::clamp<int64_t>(from_end(starts[i]), 0, step > 0 ? size : size - 1);
    const int64_t end = step > 0 ? std::clamp<int64_t>(from_end(ends[i]), 0, size)
                                 : std::clamp<int64_t>(from_end(ends[i]), -1, size - 1);
    const int64_t span = step > 0 ? end - start : start - end;
    slice.start = start;
    slice.count = Dim(span > 0 ? (span - 1) / (step > 0 ? step : -step) + 1 : 0);
  }
  return slices;
}

namespace {

Result<Shape> infer_slice(const NodeInputs& in) {
  STRATA_ASSIGN_OR_RETURN(const Ints starts, constant_integers(in, 1, "'starts'"));
  STRATA_ASSIGN_OR_RETURN(const Ints ends, constant_integers(in, 2, "'ends'"));
  std::optional<Ints> axes;
  std::optional<Ints> steps;
  if (in.has(3)) {
    STRATA_ASSIGN_OR_RETURN(axes, constant_integers(in, 3, "'axes'"));
  }
  if (in.has(4)) {
    STRATA_ASSIGN_OR_RETURN(steps, constant_integers(in, 4, "'steps'"));
  }
  STRATA_ASSIGN_OR_RETURN(const auto slices, read_slices(in.shape(0), starts, ends, axes, steps));
  Shape output;
  for (const SliceAxis& slice : slices) output.push_back(slice.count);
  return output;
}

/// One part per output; sizes come from input 1.
Result<TensorTypes> infer_split(const NodeInputs& in) {
  const Shape& input = in.shape(0);
  STRATA_ASSIGN_OR_RETURN(const size_t axis,
                          resolve_axis(in.node.attribute_int("axis", 0), input.size()));
  STRATA_ASSIGN_OR_RETURN(const Ints sizes, constant_integers(in, 1, "'split'"));
  if (sizes.size() != in.node.outputs.size()) {
    return invalid_argument("it has " + std::to_string(in.node.outputs.size()) +
                            " outputs, but sizes of " + std::to_string(sizes.size()) + " parts");
  }
  TensorTypes outputs;
  int64_t sum = 0;
  for (const int64_t size : sizes) {
    if (size < 0 || size > kMaxDimension) {
      return invalid_argument("a part has size " + std::to_string(size));
    }
    sum += size;
    outputs.push_back({in.type(0), input});
    outputs.back().shape[axis] = Dim(size);
  }
  if (input[axis].known() && input[axis].value() != sum) {
    return invalid_argument("its parts have " + std::to_string(sum) + " elements along axis " +
                            std::to_string(axis) + " of " + to_string(input));
  }
  return outputs;
}

Result<TensorTypes> infer_where(const NodeInputs& in) {
  if (in.type(0) != DataType::kBool || in.type(1) != in.type(2)) {
    return invalid_argument("it needs a boolean and two operands of one type");
  }
  STRATA_ASSIGN_OR_RETURN(const Shape both, broadcast(in.shape(1), in.shape(2)));
  STRATA_ASSIGN_OR_RETURN(Shape shape, broadcast(in.shape(0), both));
  return TensorTypes{{in.type(1), std::move(shape)}};
}

}  // namespace

std::vector<Operator> selection_operators() {
  using Kind = AttributeKind;
  return {
      {"", "Expand", 2, 2, 1, TypeRule::kAny, {}, like_input<infer_expand>},
      {"", "Gather", 2, 2, 1, TypeRule::kAny, {{"axis", Kind::kInt}}, infer_gather},
      {"", "Slice", 3, 5, 1, TypeRule::kAny, {}, like_input<infer_slice>},
      {"", "Split", 2, 2, kVariadic, TypeRule::kAny, {{"axis", Kind::kInt}}, infer_split},
      {"", "Where", 3, 3, 1, TypeRule::kAny, {}, infer_where},
  };
}

}  // namespace strata::graph
