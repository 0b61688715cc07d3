// What the inference functions of several operators share: checks of ranks and axes, broadcasting,
// products of sizes. Errors hold only the reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/operators.h"

namespace strata::graph {

inline constexpr size_t kVariadic = std::numeric_limits<size_t>::max();

std::string quoted(std::string_view text);

Status check_rank(const Shape& shape, size_t rank, std::string_view what);

/// A per-channel vector: one dimension that equals `channels`, as far as both are known.
Status check_vector(const Shape& shape, const Dim& channels, const std::string& what);

/// Resolves a possibly negative axis against `rank`; `end` says whether rank itself is allowed.
Result<size_t> resolve_axis(int64_t axis, size_t rank, bool end = false);

/// Numpy-style broadcasting.
Result<Shape> broadcast(const Shape& a, const Shape& b);

/// Product of sizes; a lone symbol among ones stays itself.
Result<Dim> product(std::span<const Dim> dims);

/// The integers that input `index` holds, which must be a constant.
Result<std::vector<int64_t>> constant_integers(const NodeInputs& in, size_t index,
                                               std::string_view what);

using TensorTypes = std::vector<TensorType>;

/// Makes an operator with one output of its first input's element type from an inference of shapes.
template <Result<Shape> (*kInferShape)(const NodeInputs&)>
Result<TensorTypes> like_input(const NodeInputs& in) {
  STRATA_ASSIGN_OR_RETURN(Shape shape, kInferShape(in));
  return TensorTypes{{in.type(0), std::move(shape)}};
}

/// The first input's shape.
inline Result<Shape> same_shape(const NodeInputs& in) { return in.shape(0); }
/// The shape that the first two inputs broadcast to.
inline Result<Shape> broadcast_shape(const NodeInputs& in) {
  return broadcast(in.shape(0), in.shape(1));
}

/// What a Slice takes of one axis.
struct SliceAxis {
  int64_t start = 0;
  int64_t step = 1;
  Dim count;  ///< unknown where the axis is
};

/// Resolves the inputs of Slice against its data's shape; one entry per axis. Errors: counts that
/// differ, axes out of range, a step of 0.
Result<std::vector<SliceAxis>> read_slices(const Shape& input, const std::vector<int64_t>& starts,
                                           const std::vector<int64_t>& ends,
                                           const std::optional<std::vector<int64_t>>& axes,
                                           const std::optional<std::vector<int64_t>>& steps);

/// The sets that make up the table, one per file of operators/.
std::vector<Operator> arithmetic_operators();
std::vector<Operator> elementwise_operators();
std::vector<Operator> graph_attention_operators();
std::vector<Operator> layout_operators();
std::vector<Operator> matrix_operators();
std::vector<Operator> normalisation_operators();
std::vector<Operator> point_set_operators();
std::vector<Operator> recurrent_operators();
std::vector<Operator> reduction_operators();
std::vector<Operator> selection_operators();
std::vector<Operator> window_operators();

}  // namespace strata::graph
