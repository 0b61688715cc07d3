// The model as data: graphs of nodes with ONNX operator names and semantics, and the parameters
// that they share. Holds no weight values (sparse::NestedModel does) and executes nothing
// (train/ and runtime/ do).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/status.h"

namespace strata::graph {

/// Domain of our own operators, where ONNX has none. ONNX's own domain is the empty string.
inline constexpr std::string_view kStrataDomain = "ai.strata";

/// Element types, numbered as in onnx.TensorProto.DataType.
enum class DataType : uint8_t {
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
};

/// One dimension of a value: a number (>= 0), a symbol such as "batch", or unknown.
class Dim {
 public:
  Dim() = default;                                         ///< unknown
  Dim(int64_t value) : value_(value) {}                    // NOLINT(google-explicit-constructor)
  Dim(std::string symbol) : symbol_(std::move(symbol)) {}  // NOLINT(google-explicit-constructor)
  Dim(const char* symbol) : symbol_(symbol) {}             // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool known() const { return value_ >= 0; }
  [[nodiscard]] int64_t value() const { return value_; }               ///< -1 unless known()
  [[nodiscard]] const std::string& symbol() const { return symbol_; }  ///< empty if none
  bool operator==(const Dim&) const = default;

 private:
  int64_t value_ = -1;
  std::string symbol_;
};

using Shape = std::vector<Dim>;

/// "[batch,3,224,224]"; "?" for an unknown dimension.
std::string to_string(const Shape& shape);

/// Bytes of one element; 0 for a type that is not known.
size_t element_size(DataType type);
/// "float32"; "?" for a type that is not known.
std::string_view to_string(DataType type);

struct ValueInfo {
  std::string name;
  DataType type = DataType::kFloat32;
  Shape shape;
  bool operator==(const ValueInfo&) const = default;
};

/// Values of the onnx.AttributeProto kinds that strata uses.
using Attribute =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>>;

/// One operator application. An input or output name that is empty is an omitted optional one.
struct Node {
  std::string name;  ///< unique within its graph
  std::string op_type;
  std::string domain;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::map<std::string, Attribute, std::less<>> attributes;
  bool operator==(const Node&) const = default;

  [[nodiscard]] int64_t attribute_int(std::string_view key, int64_t fallback) const;
  [[nodiscard]] float attribute_float(std::string_view key, float fallback) const;
  [[nodiscard]] std::string attribute_string(std::string_view key, std::string fallback) const;
  [[nodiscard]] std::vector<int64_t> attribute_ints(std::string_view key,
                                                    std::vector<int64_t> fallback) const;
};

/// What a parameter is to training, nesting and accounting.
enum class ParameterRole : uint8_t {
  kWeight = 0,    ///< nests over levels, counted in weights %
  kBias = 1,      ///< one vector per level
  kScale = 2,     ///< normalisation affine, one vector per level
  kShift = 3,     ///< normalisation affine, one vector per level
  kMean = 4,      ///< normalisation statistic, one vector per level
  kVariance = 5,  ///< normalisation statistic, one vector per level
};

/// A trained tensor, shared by all graphs of a model that name it.
struct Parameter {
  std::string name;
  std::vector<int64_t> shape;
  ParameterRole role = ParameterRole::kWeight;
  bool prunable = true;  ///< weights only: false keeps every level dense (first layer, classifier)
  bool operator==(const Parameter&) const = default;

  /// Product of the sizes; -1 where one is negative or the product overflows (validate() refuses
  /// such a parameter).
  [[nodiscard]] int64_t element_count() const;
};

/// A tensor that is the same in every level and that nothing trains: sizes, indices, axes.
struct Constant {
  std::string name;
  DataType type = DataType::kInt64;
  std::vector<int64_t> shape;
  std::vector<uint8_t> data;  ///< row-major, little-endian
  bool operator==(const Constant&) const = default;

  /// Product of the sizes; -1 where one is negative or the product overflows.
  [[nodiscard]] int64_t element_count() const;
  /// The elements of an int64 or int32 constant; nothing for another type.
  [[nodiscard]] std::optional<std::vector<int64_t>> integers() const;
};

/// Constants from numbers; an empty shape makes a scalar of the first one.
Constant make_constant(std::string name, std::vector<int64_t> shape,
                       std::span<const int64_t> values);
Constant make_constant(std::string name, std::vector<int64_t> shape, std::span<const float> values);

/// Nodes in a topological order; every input is a graph input, a parameter, a constant or an
/// earlier output.
struct Graph {
  std::string name;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<Node> nodes;
  bool operator==(const Graph&) const = default;
};

/// Several graphs (for example an encoder and a decoder step) that share parameters.
struct Model {
  std::string name;  ///< architecture, for people: "resnet50"
  std::vector<Graph> graphs;
  std::vector<Parameter> parameters;
  std::vector<Constant> constants;
  /// What a user of the model must know, like onnx metadata_props. Known keys: "input.mean" and
  /// "input.std" (per channel, comma-separated, of pixels scaled to 0..1), "classes" (names, one a
  /// line), "family" ("image-classification", "node-classification", "point-classification",
  /// "translation"), "input.turned" (the axis about which clouds may be turned: "y"), "source" and
  /// "target" (languages of a translator), "sizes" (see usual_sizes()).
  std::map<std::string, std::string, std::less<>> metadata;
  bool operator==(const Model&) const = default;

  [[nodiscard]] const Parameter* find_parameter(std::string_view parameter) const;
  [[nodiscard]] const Constant* find_constant(std::string_view constant) const;
  [[nodiscard]] const Graph* find_graph(std::string_view graph) const;
};

/// Checks what holds whatever the shapes: unique names, inputs defined before use, parameters and
/// constants that exist, declared outputs that are produced, known operators with their count of
/// inputs.
/// Errors name graph, node and reason.
Status validate(const Model& model);

/// Numbers for symbols, e.g. {"batch", 1}.
using Bindings = std::map<std::string, int64_t, std::less<>>;

/// What the model's metadata say of the usual sizes of its symbols ("sizes": "nodes=2708
/// edges=13264"), for accounting and timing where nobody gives others; empty if they say nothing.
/// Errors: another form, a size that is no possible dimension.
Result<Bindings> usual_sizes(const Model& model);

/// Sizes for an inference of `batch` inputs: of the leading dimension of every input of the graph
/// that has a symbol there. Others, such as the points of a cloud, are left alone.
Bindings batch_sizes(const Graph& graph, int64_t batch);

/// Shape and type of every value in a graph, by name (parameters and constants included).
using ValueTable = std::map<std::string, ValueInfo, std::less<>>;

/// ONNX shape inference over the operators that strata knows. Symbols in `bindings` become numbers
/// first; arithmetic on an unbound symbol gives an unknown dimension. Errors name node and reason
/// ("node 'layer1.0.conv1' (Conv): input has 3 channels, the weight expects 64").
Result<ValueTable> infer_shapes(const Model& model, const Graph& graph,
                                const Bindings& bindings = {});

/// Multiply-adds of one node that applies a weight; padding counts like any other position, as in
/// the published figures.
struct NodeCost {
  size_t node = 0;               ///< index into Graph::nodes
  std::string weight;            ///< the parameter's name
  int64_t dense_macs = 0;        ///< with every weight present
  int64_t macs_per_nonzero = 0;  ///< dense_macs / element count of the weight, exact
};

/// Cost of every weight that a node applies, in graph order (Operator::uses says which operators
/// multiply by weights).
/// Errors: a dimension that stays unknown.
Result<std::vector<NodeCost>> count_macs(const Model& model, const Graph& graph,
                                         const Bindings& bindings);

}  // namespace strata::graph
