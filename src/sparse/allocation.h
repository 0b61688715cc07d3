// How many weights each layer keeps at a level, given a budget for the whole model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"

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

enum class AllocationMethod : uint8_t {
  kUniform,           ///< the same density in every prunable layer
  kErdosRenyiKernel,  ///< density ~ (sum of dims) / (product of dims); Evci et al. 2020 (RigL)
  kGlobalMagnitude,   ///< the largest magnitudes wherever they are
};

/// "uniform", "erk" or "global"; errors list them.
Result<AllocationMethod> parse_allocation_method(const std::string& name);

/// What one level may keep: `weights` is the share (0..1] of ALL weights, non-prunable included.
struct LevelBudget {
  double weights = 1.0;
  std::optional<double> flops;  ///< share (0..1] of all multiply-adds; layers are re-weighted to
                                ///< meet both, see allocate()
};

/// Non-zeros per layer, in the order of `layers`; every layer keeps at least one element and
/// `at_least`, at most all. The sum meets the weights budget exactly (rounded to one element) when
/// it can be met; with `flops` given, densities are tilted by macs_per_nonzero (density multiplied
/// by macs_per_nonzero^-t, t by bisection) until the multiply-adds meet it within 0.1 % of the
/// budget. Errors: a budget below what the non-prunable layers and `at_least` need, or a FLOPs
/// share that no tilt reaches; both say the nearest reachable figure. kGlobalMagnitude needs
/// `magnitudes`: per layer, |value| of every element.
Result<std::vector<int64_t>> allocate(AllocationMethod method, std::span<const LayerBudget> layers,
                                      const LevelBudget& budget,
                                      std::span<const std::span<const float>> magnitudes = {});

}  // namespace strata::sparse
