// How many weights each layer keeps at a level, given a budget for the whole model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::sparse {

/// What allocation needs to know of one weight tensor.
struct LayerBudget {
  std::string name;
  std::vector<int64_t> shape;
  int64_t elements = 0;
  int64_t macs_per_nonzero = 0;  ///< per input
  bool prunable = true;          ///< false: keeps every element
  int64_t at_least = 0;          ///< non-zeros that the next sparser level already takes
};

/// The budget entry of every weight of a model, in parameter order, `at_least` 0. A weight that no
/// Conv, Gemm or MatMul applies (an embedding) costs no multiply-adds; one that several nodes or
/// graphs apply costs their sum. Unbound symbols have the model's usual sizes, or else 1. Errors:
/// shapes that cannot be inferred.
Result<std::vector<LayerBudget>> layer_budgets(const graph::Model& model,
                                               const graph::Bindings& bindings = {});

enum class AllocationMethod : uint8_t {
  kUniform,           ///< the same density in every prunable layer
  kErdosRenyiKernel,  ///< density ~ (sum of dims) / (product of dims); Evci et al. 2020 (RigL)
  kGlobalMagnitude,   ///< the largest magnitudes wherever they are
};

/// "uniform", "erk" or "global"; errors list them.
Result<AllocationMethod> parse_allocation_method(const std::string& name);

/// The name that parse_allocation_method() reads.
std::string to_string(AllocationMethod method);

/// What one level may keep: `weights` is the share (0..1] of ALL weights, non-prunable included.
struct LevelBudget {
  double weights = 1.0;
  std::optional<double> flops;  ///< share (0..1] of all multiply-adds; layers are re-weighted to
                                ///< meet both, see allocate()
};

/// Non-zeros per layer, in the order of `layers`; every layer keeps at least one element and
/// `at_least`, at most all. The sum meets the weights budget exactly, rounded to one element
/// (largest-remainder rounding; what a full layer cannot take goes to the others).
///
/// With `flops` given, layers are tilted towards cheap or dear ones: the density that the method
/// wants is multiplied by macs_per_nonzero^-t, and for kGlobalMagnitude every magnitude is. The
/// multiply-adds fall monotonically with t, so bisection finds the t that meets the budget within
/// 0.1 % of it, or half of what one element of the dearest layer costs where that is more.
///
/// kGlobalMagnitude (Han et al. 2015; as a share of the whole network, Frankle and Carbin 2019)
/// needs `magnitudes`: per layer, |value| of every element. Elements of equal magnitude at the
/// threshold are shared out in proportion.
///
/// Errors: a share outside (0, 1]; a weights budget below what the non-prunable layers and
/// `at_least` need, or a FLOPs share that no tilt reaches (both say the nearest reachable figure);
/// magnitudes that are missing, of the wrong size, negative or not finite.
Result<std::vector<int64_t>> allocate(AllocationMethod method, std::span<const LayerBudget> layers,
                                      const LevelBudget& budget,
                                      std::span<const std::span<const float>> magnitudes = {});

}  // namespace strata::sparse
