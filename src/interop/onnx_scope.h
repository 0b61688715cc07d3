// What an import knows while it walks an ONNX graph: constants, values with their shapes, and the
// model that it builds. Rewriting and folding, one function per operator, talk to this alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"
#include "interop/constant.h"
#include "interop/onnx_file.h"
#include "interop/safetensors.h"

namespace strata::interop {

/// A node of the ONNX graph, its aliases resolved: the same as graph::Node, and what that cannot
/// hold.
struct OnnxNode {
  graph::Node node;
  std::map<std::string, const onnx::TensorProto*, std::less<>> tensors;  ///< attributes
  std::map<std::string, std::vector<std::string>, std::less<>> strings;  ///< attributes

  [[nodiscard]] bool has_input(size_t index) const {
    return index < node.inputs.size() && !node.inputs[index].empty();
  }
};

class Scope {
 public:
  Scope(OnnxFile& file, int64_t opset) : file_(file), opset_(opset) {}

  [[nodiscard]] int64_t opset() const { return opset_; }
  [[nodiscard]] Result<Constant> read(const onnx::TensorProto& tensor) {
    return file_.read(tensor);
  }

  /// Null unless `name` is a constant. Decodes an initialiser when it is first asked for.
  Result<const Constant*> constant(const std::string& name);
  /// Shape and type of a value that the network computes or is given; null if it is a constant.
  [[nodiscard]] const graph::ValueInfo* value(std::string_view name) const;
  /// Rank and sizes of whatever `name` is. Errors: it is not known.
  Result<graph::Shape> shape(const std::string& name);
  /// A value computed by nothing that strata knows; what reads it cannot be judged.
  [[nodiscard]] bool lost(std::string_view name) const { return lost_.contains(name); }

  /// Tensors that stand in for initialisers of their names. `weights` must outlive the scope.
  void use_weights(const SafetensorsFile& weights) { weights_ = &weights; }
  [[nodiscard]] bool has_weight(std::string_view name) const {
    return weights_ != nullptr && weights_->contains(name);
  }
  /// How many of them somebody has asked for.
  [[nodiscard]] size_t used_weights() const { return used_weights_.size(); }

  void add_input(graph::ValueInfo input);
  void add_initializer(const onnx::TensorProto& tensor);
  void lose(const std::string& name) { lost_.insert(name); }

  /// Whether constants of `shape` may be made: its element count. Errors: a negative size, more
  /// than a model may unfold to.
  [[nodiscard]] Result<int64_t> room_for(const std::vector<int64_t>& shape) const;
  /// Makes `name` a constant. Errors: more constants than a model may unfold to.
  Status define(const std::string& name, Constant constant);
  /// Makes `name` another name of the value or constant `of`.
  void alias(const std::string& name, const std::string& of);
  /// Makes `name` what QuantizeLinear makes of the value `of`; only DequantizeLinear may read it.
  void quantise(const std::string& name, const std::string& of) { quantised_[name] = of; }
  /// Null unless `name` is such.
  [[nodiscard]] const std::string* quantised(const std::string& name) const {
    const auto found = quantised_.find(name);
    return found == quantised_.end() ? nullptr : &found->second;
  }
  /// Calls the value `from` as `to` says.
  void rename(const std::string& from, graph::ValueInfo to);
  [[nodiscard]] std::string resolve(const std::string& name) const;

  /// Adds a node, whose inputs are values, parameters and constants, and infers what it makes.
  /// Errors: those of graph::infer_shapes, the reason alone.
  Status emit(graph::Node node);

  /// A parameter that holds `constant` (which is or came from `name`); asked for again, the same
  /// one. `transform` tells apart what was made of one initialiser. Errors: a number that is not
  /// finite, no elements.
  Result<std::string> parameter(const std::string& name, const Constant& constant,
                                graph::ParameterRole role, std::string_view transform = "");
  /// The same, but never shared.
  Result<std::string> own_parameter(const std::string& name, const Constant& constant,
                                    graph::ParameterRole role);
  /// A constant of the model that holds `constant`, called `name` if that is free; asked for again,
  /// the same one. Errors: a size that is not known.
  Result<std::string> model_constant(const std::string& name, const Constant& constant);
  /// The same for one float32 number.
  Result<std::string> number(const std::string& name, float number);
  /// A name for a value, node or parameter that nothing has yet.
  std::string unused_name(const std::string& wanted);
  void reserve_name(const std::string& name) { names_.insert(name); }

  [[nodiscard]] graph::Model& model() { return model_; }
  [[nodiscard]] graph::Graph& graph() { return graph_; }
  /// [parameter]
  [[nodiscard]] std::map<std::string, std::vector<float>, std::less<>>& parameter_values() {
    return parameter_values_;
  }

 private:
  OnnxFile& file_;
  int64_t opset_;
  graph::Model model_;
  graph::Graph graph_;
  std::map<std::string, const onnx::TensorProto*, std::less<>> initializers_;  ///< not read yet
  const SafetensorsFile* weights_ = nullptr;
  std::set<std::string, std::less<>> used_weights_;
  std::map<std::string, Constant, std::less<>> constants_;
  std::map<std::string, graph::ValueInfo, std::less<>> values_;
  std::map<std::string, std::string, std::less<>> aliases_;
  std::map<std::string, std::string, std::less<>> quantised_;
  std::map<std::string, graph::Parameter, std::less<>> parameters_;
  std::map<std::string, std::vector<float>, std::less<>> parameter_values_;
  std::map<std::pair<std::string, std::string>, std::string> parameter_of_;
  std::map<std::string, std::string, std::less<>> constant_of_;
  std::set<std::string, std::less<>> lost_;
  std::set<std::string, std::less<>> names_;
  size_t folded_bytes_ = 0;
};

/// The integers of an attribute or, from the opset on in which it became one, of a constant input;
/// nothing where both are missing. Errors: the input is computed, or not a list of known integers.
Result<std::optional<std::vector<int64_t>>> integers_of(Scope& scope, const OnnxNode& node,
                                                        std::string_view attribute, size_t input);

/// One number, like integers_of().
Result<std::optional<float>> number_of(Scope& scope, const OnnxNode& node,
                                       std::string_view attribute, size_t input);

/// The constant that input `index` is. Errors: it is computed or omitted.
Result<const Constant*> constant_input(Scope& scope, const OnnxNode& node, size_t index,
                                       std::string_view what);

/// A possibly negative axis as an index. Errors: one outside 0..rank-1.
Result<size_t> resolve_axis(int64_t axis, size_t rank);

/// Folds the node if all that it reads is constant. False: it is not foldable, and has to run.
Result<bool> fold(Scope& scope, const OnnxNode& node);

/// Expresses the node in operators of graph/operators.h. Errors: the reason why it cannot be.
Status rewrite(Scope& scope, const OnnxNode& node);

/// Whether fold() knows the operator, of the ONNX domain.
bool folds(std::string_view op_type);

/// Whether rewrite() or fold() has any way for the operator.
bool knows(const OnnxNode& node);

}  // namespace strata::interop
