// The operators that strata knows: one table with each operator's inputs, attributes and shape
// inference. To add an operator, write its inference function and add its row in operators.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::graph {

/// Limits that keep every later product of sizes, in bytes too, inside 64 bits.
inline constexpr int64_t kMaxDimension = (int64_t{1} << 31) - 1;
inline constexpr int64_t kMaxElements = int64_t{1} << 48;

/// What an attribute must hold; the order of graph::Attribute's alternatives.
enum class AttributeKind : uint8_t { kInt, kFloat, kString, kInts, kFloats };

struct AttributeRule {
  std::string_view name;
  AttributeKind kind;
};

/// What shape inference knows of a node: the shapes of its inputs, null where one is omitted.
struct NodeShapes {
  const Node& node;
  std::vector<const Shape*> inputs;

  [[nodiscard]] const Shape& input(size_t index) const { return *inputs[index]; }
  [[nodiscard]] bool has_input(size_t index) const {
    return index < inputs.size() && inputs[index] != nullptr;
  }
};

/// One operator. All of them have one output, of the same element type as their inputs.
struct Operator {
  std::string_view domain;
  std::string_view op_type;
  size_t required_inputs;
  size_t max_inputs;
  bool floating_point;  ///< inputs must be float32 or float16
  std::vector<AttributeRule> attributes;
  /// Shape of the output. Errors hold only the reason: the caller knows graph and node.
  Result<Shape> (*infer)(const NodeShapes& shapes);
};

/// Null if strata does not know the operator.
const Operator* find_operator(std::string_view domain, std::string_view op_type);

/// Checks what a node says by itself: a known operator, its count of inputs and outputs, names and
/// kinds of attributes. Errors hold only the reason.
Status check_node(const Node& node);

/// "graph 'main': node 'fc' (Gemm): REASON", with the code of `reason`.
Status node_error(const Graph& graph, const Node& node, const Status& reason);

/// Number of elements; unknown sizes give -1. Errors: more than kMaxElements.
Result<int64_t> element_count(const Shape& shape);

}  // namespace strata::graph
