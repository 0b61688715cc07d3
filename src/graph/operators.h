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

/// Element type and shape of one value.
struct TensorType {
  DataType type = DataType::kFloat32;
  Shape shape;
};

/// What inference knows of a node: its inputs, null where one is omitted.
struct NodeInputs {
  const Node& node;
  std::vector<const ValueInfo*> values;
  std::vector<const Constant*> constants;  ///< [input], null unless the input is a constant

  [[nodiscard]] bool has(size_t index) const {
    return index < values.size() && values[index] != nullptr;
  }
  [[nodiscard]] const Shape& shape(size_t index) const { return values[index]->shape; }
  [[nodiscard]] DataType type(size_t index) const { return values[index]->type; }
  /// Null if the input is omitted or no constant.
  [[nodiscard]] const Constant* constant(size_t index) const {
    return index < constants.size() ? constants[index] : nullptr;
  }
};

/// What the element types of the inputs must be; an operator with kAny checks them itself.
enum class TypeRule : uint8_t {
  kAny,
  kEqual,  ///< all the same
  kFloat,  ///< all the same, float32 or float16
};

/// One operator.
struct Operator {
  std::string_view domain;
  std::string_view op_type;
  size_t required_inputs;
  size_t max_inputs;
  size_t max_outputs;  ///< at least one of them must have a name
  TypeRule types;
  std::vector<AttributeRule> attributes;
  /// Types of the outputs, at least as many as the node has. Errors hold only the reason: the
  /// caller knows graph and node.
  Result<std::vector<TensorType>> (*infer)(const NodeInputs& inputs);
  /// How many multiply-adds one element of a weight that is input `index` takes part in, given the
  /// outputs; 0: the operator does not multiply by it. Null: by no input. -1: a size is not known.
  int64_t (*uses)(const NodeInputs& inputs, const std::vector<TensorType>& outputs,
                  size_t index) = nullptr;
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
