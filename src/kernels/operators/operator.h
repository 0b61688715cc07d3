// Operators that the plan does not fuse into a step of its own kind: they run over whole tensors in
// row-major order, of any type and rank. To add one, write its kernel in a file of this folder, or
// in a folder of its own below src/kernels if it has SIMD sources, and list it in the file's set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "core/thread_pool.h"
#include "graph/graph.h"
#include "kernels/sparse_gemm/panel_weights.h"

namespace strata::kernels {

/// Type and sizes of a tensor in row-major order without gaps.
struct TensorSpec {
  bool present = false;  ///< false: the node omits it
  graph::DataType type = graph::DataType::kFloat32;
  std::vector<int64_t> shape;

  [[nodiscard]] int64_t elements() const {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    return count;
  }
};

/// A node and everything about it that is known before there is data.
struct OperatorSite {
  const graph::Node& node;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::vector<const graph::Constant*> constants;  ///< [input], null unless it is a constant
  std::vector<bool> weights;                      ///< [input], whether it is a weight of the model
};

/// Where the data of one call is.
struct OperatorData {
  std::span<const void* const> inputs;  ///< null where omitted
  std::span<void* const> outputs;       ///< null where nobody reads it
  std::byte* scratch = nullptr;         ///< OperatorKernel::scratch_bytes(), on a cache line

  template <typename T>
  [[nodiscard]] const T* input(size_t index) const {
    return index < inputs.size() ? static_cast<const T*>(inputs[index]) : nullptr;
  }
  template <typename T>
  [[nodiscard]] T* output(size_t index) const {
    return index < outputs.size() ? static_cast<T*>(outputs[index]) : nullptr;
  }
};

/// Immutable: sessions of several threads may share one.
class OperatorKernel {
 public:
  virtual ~OperatorKernel() = default;
  OperatorKernel() = default;
  OperatorKernel(const OperatorKernel&) = delete;
  OperatorKernel& operator=(const OperatorKernel&) = delete;

  /// Memory that run() needs besides its tensors.
  [[nodiscard]] virtual size_t scratch_bytes(int /*threads*/) const { return 0; }
  /// How input `index`, if it is a weight, is packed: then it comes as PanelWeights; else, unless
  /// there is a column_slice(), as dense floats, a copy per level.
  [[nodiscard]] virtual std::optional<PanelShape> panels(size_t /*index*/) const { return {}; }
  /// Features per slice of input `index`, if it is a weight that is to come as WeightColumns.
  [[nodiscard]] virtual std::optional<int64_t> column_slice(size_t /*index*/) const { return {}; }
  /// Results must not depend on the number of threads. Allocates nothing unless it fails. Errors:
  /// data that the operator does not allow, such as an index out of range; only the reason, the
  /// caller knows the node.
  virtual Status run(const OperatorData& data, ThreadPool& pool) const = 0;
};

/// Errors: an operator, type or attribute that there is no kernel for; only the reason.
Result<std::shared_ptr<const OperatorKernel>> make_operator(const OperatorSite& site);

/// One line of the table of kernels.
struct OperatorEntry {
  std::string_view domain;
  std::string_view op_type;
  Result<std::shared_ptr<const OperatorKernel>> (*make)(const OperatorSite& site);
};

/// The sets that make up the table.
std::span<const OperatorEntry> activation_kernels();
std::span<const OperatorEntry> arithmetic_kernels();
std::span<const OperatorEntry> elementwise_kernels();
std::span<const OperatorEntry> graph_attention_kernels();
std::span<const OperatorEntry> layout_kernels();
std::span<const OperatorEntry> matrix_kernels();
std::span<const OperatorEntry> normalisation_kernels();
std::span<const OperatorEntry> point_set_kernels();
std::span<const OperatorEntry> recurrent_kernels();
std::span<const OperatorEntry> reduction_kernels();
std::span<const OperatorEntry> selection_kernels();

}  // namespace strata::kernels
