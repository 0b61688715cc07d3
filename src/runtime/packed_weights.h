// The weights of one step as the kernels read them: lists of taps, row after row. A level is how
// far the kernels go in them, so changing it costs nothing. Levels that are hardly sparse have
// dense weights instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/status.h"
#include "kernels/dense_conv/dense_conv.h"
#include "kernels/dense_gemm/dense_gemm.h"
#include "kernels/graph_attention/weight_columns.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_gemm/panel_weights.h"
#include "runtime/dense_weights.h"
#include "runtime/matrix_shape.h"
#include "runtime/memory_plan.h"
#include "runtime/plan.h"
#include "runtime/tap_weights.h"
#include "runtime/tuning.h"
#include "sparse/nested.h"

namespace strata::runtime {

/// The levels that are being loaded, wherever they come from. The functions return null for a name
/// that does not exist.
struct LevelSource {
  int level_count = 0;
  std::function<const sparse::Increment*(int level, std::string_view parameter)> increment;
  std::function<const std::vector<float>*(int level, std::string_view parameter)> vector;
};

/// Which levels of a step get the weights of a dense kernel.
struct DenseRule {
  kernels::DenseConvKernel conv;
  kernels::DenseGemmKernel gemm;
  std::optional<double> from;  ///< density; none: where the kernel is faster
};

class PackedWeights {
 public:
  /// Errors: a parameter that a level lacks, sizes that do not match, no memory.
  static Result<PackedWeights> pack(const graph::Model& model, const Plan& plan, const Step& step,
                                    const StepMemory& memory, const LevelSource& source,
                                    const DenseRule& rule, const StepTuning& tuning);

  [[nodiscard]] int64_t nonzeros(int level) const { return nonzeros_[static_cast<size_t>(level)]; }
  /// The first level that runs dense; level_count if none does. Those above it do, too.
  [[nodiscard]] int first_dense_level() const { return first_dense_level_; }
  [[nodiscard]] bool runs_dense(int level) const { return level >= first_dense_level_; }
  [[nodiscard]] const DenseWeights& dense() const { return dense_; }
  /// For the convolution kernel; only of a step that uses it, of levels that run sparse.
  [[nodiscard]] const TapWeights& taps() const { return taps_; }
  [[nodiscard]] bool has_taps() const { return taps_.bytes() > 0; }
  /// For the product with few vectors; only of a step that is one.
  [[nodiscard]] const kernels::PanelWeights& panels(int level) const {
    return panels_.weights[static_cast<size_t>(level)];
  }
  /// Bias and normalisation of one level: row r becomes scale[r] * sum + shift[r].
  [[nodiscard]] const float* scale(int level) const { return at(scale_, level); }
  [[nodiscard]] const float* shift(int level) const { return at(shift_, level); }

  /// Of an operator step: what its kernel gets for Step::parameters[index] at one level, dense
  /// floats, kernels::PanelWeights or kernels::WeightColumns.
  [[nodiscard]] const void* operand(int level, size_t index) const {
    const auto k = static_cast<size_t>(level);
    const OperandWeights& operand = operands_[index];
    if (!operand.panels.weights.empty()) return &operand.panels.weights[k];
    if (!operand.columns.empty()) return &operand.columns[k].view();
    return operand.dense[k].data();
  }

  /// Bytes held.
  [[nodiscard]] size_t bytes() const;

  /// Frees the levels from `level_count` on.
  void keep_levels(int level_count);

 private:
  /// A matrix in panels, [level] each.
  struct Panels {
    std::vector<kernels::PackedPanels> packed;
    std::vector<kernels::PanelIncrement> increments;  ///< all are kept, for others point to them
    std::vector<kernels::PanelWeights> weights;

    [[nodiscard]] size_t bytes() const;
    void keep_levels(size_t level_count);
  };

  /// A parameter of an operator, [level]: dense, with lists of its columns if the kernel wants
  /// them, or in panels if it reads it so.
  struct OperandWeights {
    std::vector<std::vector<float>> dense;
    std::vector<kernels::PackedColumns> columns;
    Panels panels;
  };

  template <typename T>
  static const T* at(const std::vector<std::vector<T>>& levels, int level) {
    return levels[static_cast<size_t>(level)].data();
  }
  /// The weights of a convolution or a product.
  Status pack_product(const graph::Parameter& weight, const Plan& plan, const Step& step,
                      const StepMemory& memory, const LevelSource& source, const DenseRule& rule,
                      const StepTuning& tuning);
  Status pack_vectors(const Step& step, const LevelSource& source);
  static Result<Panels> pack_panels(const std::string& weight, const kernels::PanelShape& shape,
                                    const LevelSource& source, int level_count);
  Status pack_operands(const graph::Model& model, const Step& step, const LevelSource& source);

  int64_t rows_ = 0;
  TapWeights taps_;     ///< of the levels that run sparse
  DenseWeights dense_;  ///< of the levels that run dense
  int first_dense_level_ = 0;
  Panels panels_;                          ///< of a product with few vectors
  std::vector<std::vector<float>> scale_;  ///< [level][row]
  std::vector<std::vector<float>> shift_;  ///< [level][row]
  std::vector<OperandWeights> operands_;   ///< [parameter] of an operator
  std::vector<int64_t> nonzeros_;          ///< [level]
};

}  // namespace strata::runtime
