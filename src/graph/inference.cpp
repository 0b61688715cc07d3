#include "graph/inference.h"

#include <optional>
#include <utility>

namespace strata::graph {
namespace {

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

}  // namespace

std::string quoted(std::string_view text) { return std::string("'").append(text).append("'"); }

Status check_rank(const Shape& shape, size_t rank, std::string_view what) {
  if (shape.size() == rank) return {};
  return invalid_argument(std::string(what) + " has shape " + to_string(shape) + ", expected " +
                          std::to_string(rank) + " dimensions");
}

Status check_vector(const Shape& shape, const Dim& channels, const std::string& what) {
  STRATA_RETURN_IF_ERROR(check_rank(shape, 1, what));
  if (shape[0].known() && channels.known() && shape[0] != channels) {
    return invalid_argument(what + " has " + std::to_string(shape[0].value()) +
                            " elements, expected " + std::to_string(channels.value()));
  }
  return {};
}

Result<size_t> resolve_axis(int64_t axis, size_t rank, bool end) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis > signed_rank || (axis == signed_rank && !end)) {
    return invalid_argument("axis " + std::to_string(axis) + " is outside an input of " +
                            std::to_string(rank) + " dimensions");
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
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

Result<std::vector<int64_t>> constant_integers(const NodeInputs& in, size_t index,
                                               std::string_view what) {
  const Constant* constant = in.constant(index);
  if (constant == nullptr) {
    return unsupported(std::string(what) + " must be a constant, it is computed by the network");
  }
  std::optional<std::vector<int64_t>> values = constant->integers();
  if (!values) {
    return invalid_argument(std::string(what) + " must be integers, they are of type " +
                            std::string(to_string(constant->type)));
  }
  return *std::move(values);
}

}  // namespace strata::graph
