// Reads an ONNX model as a graph of strata's with one dense level, whatever the opset that it was
// written in: constants are folded, what does nothing in inference is left out, and every node is
// said in the operators of graph/operators.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"
#include "sparse/nested_model.h"

namespace strata::interop {

inline constexpr int64_t kOldestOpset = 7;
inline constexpr int64_t kNewestOpset = 25;

struct ImportOptions {
  /// Sizes for symbolic dimensions; the others stay symbols. A dimension without a name is called
  /// "batch" if it is the first of its input, else INPUT_AXIS.
  graph::Bindings bindings = {};
  std::string name = {};  ///< of the model; empty: what the file says
  /// A .safetensors file whose tensors stand in for initialisers of their names, be these in the
  /// model, beside it, or nowhere but as inputs; empty: none.
  std::string weights = {};
};

/// All nodes of one operator.
struct OperatorUse {
  std::string domain;  ///< empty: ONNX's own
  std::string op_type;
  int64_t count = 0;
  int64_t folded = 0;  ///< of `count`, how many only compute constants
  std::string first_node;
  std::string problem;  ///< why one of them cannot be imported, with its name; empty: all can
};

/// What an ONNX model needs, and what of it strata has.
struct ImportReport {
  int64_t ir_version = 0;
  int64_t opset = 0;
  std::string producer;
  std::vector<OperatorUse> operators;             ///< by domain and name
  std::vector<std::string> problems;              ///< what prevents the import, the first one first
  std::vector<graph::ValueInfo> inputs, outputs;  ///< as far as they could be inferred
};

/// Says for every operator whether the model can be imported. Errors: those of import_onnx() that
/// concern the file as a whole (unreadable, no ONNX, another opset).
Result<ImportReport> check_onnx(const std::string& path, const ImportOptions& options = {});

/// The model with level_count 1, every weight dense (but for what is exactly zero), and
/// normalisation not folded. Memory is bounded by a few times what the files hold plus 1 GiB.
///
/// Errors name the file or the node: what is not ONNX, an opset outside kOldestOpset..kNewestOpset,
/// cycles, names defined twice or never, operators or attributes that strata has not, tensors that
/// do not fit their shapes, data outside the model's directory, weights of which none is the
/// model's.
Result<sparse::NestedModel> import_onnx(const std::string& path, const ImportOptions& options = {});

/// The same from memory, where external data is refused. `name` stands for the path in errors.
Result<sparse::NestedModel> import_onnx_bytes(std::span<const uint8_t> bytes,
                                              const std::string& name,
                                              const ImportOptions& options = {});

}  // namespace strata::interop
