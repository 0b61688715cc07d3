// A tensor whose elements are known before the network runs: an initialiser, or what constant
// folding made of one. Integers may be symbolic, because the sizes of dynamic dimensions pass
// through the same arithmetic as those that are known.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::interop {

/// Floating-point numbers of every width are held as float32, integers and booleans as int64.
struct Constant {
  graph::DataType type = graph::DataType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<float> floats;      ///< row-major, of floating-point types
  std::vector<int64_t> integers;  ///< row-major, of all other types
  /// Empty, or per integer: "" where it is known, else the dimension that it is the size of, or
  /// kUnknown.
  std::vector<std::string> symbols;

  [[nodiscard]] bool floating() const;
  [[nodiscard]] int64_t element_count() const;
  /// Whether every element is a number.
  [[nodiscard]] bool known() const;
  [[nodiscard]] size_t bytes() const;
};

inline constexpr const char* kUnknown = "?";

/// Row-major integers of one dimension.
Constant integer_vector(std::vector<int64_t> values);
/// A shape as Shape gives it: symbols stay symbols.
Constant shape_vector(const graph::Shape& shape);
/// The other way. Precondition: an integer constant with no negative number.
graph::Shape as_shape(const Constant& constant);

/// Product of sizes that are not negative. Errors: more than graph::kMaxElements.
Result<int64_t> checked_count(const std::vector<int64_t>& shape);

/// Element i of the result is element `source(i)` of `in`.
Constant rearranged(const Constant& in, std::vector<int64_t> shape,
                    const std::function<int64_t(int64_t)>& source);

/// Numpy's broadcasting. Errors: shapes that do not meet, or a result that is too large.
Result<std::vector<int64_t>> broadcast_shape(const std::vector<int64_t>& a,
                                             const std::vector<int64_t>& b);

/// Where element `index` of an array of shape `to` comes from in one of shape `from`, which
/// broadcasts to it.
int64_t broadcast_source(int64_t index, const std::vector<int64_t>& from,
                         const std::vector<int64_t>& to);

/// The constant as `shape`, to which it broadcasts.
Constant expanded(const Constant& in, const std::vector<int64_t>& shape);
/// Axes in the order of `permutation`, which must be one.
Constant transposed(const Constant& in, const std::vector<int64_t>& permutation);

}  // namespace strata::interop
