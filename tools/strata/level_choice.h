// How many weights every layer keeps at every level, from what a user asks for: shares of the
// weights or of the multiply-adds, or milliseconds on this machine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sparse/allocation.h"
#include "sparse/nested_model.h"
#include "tools/strata/console.h"
#include "train/torch/sensitivity.h"

namespace strata::cli {

enum class LevelUnit : uint8_t { kWeights, kFlops, kMilliseconds };

struct LevelRequest {
  LevelUnit unit = LevelUnit::kWeights;
  std::vector<double> values;  ///< ascending; percent, or milliseconds
};

/// counts[level][weight], in the order of sparse::layer_budgets().
using LevelCounts = std::vector<std::vector<int64_t>>;

/// From what pruning each layer costs the output, or, without that (empty), by `method`.
struct LevelChoice {
  const sparse::NestedModel& dense;  ///< normalisation not folded
  std::vector<train::LayerSensitivity> sensitivity = {};
  sparse::AllocationMethod method = sparse::AllocationMethod::kGlobalMagnitude;
  graph::Bindings bindings = {};  ///< sizes to time with
  int threads = 1;                ///< to time with
};

/// Milliseconds are found by bisection: models of magnitude-pruned weights are timed with the
/// runtime, which does not care what values they hold. Throws Error: what cannot be reached, with
/// the nearest that can; or Interrupted.
LevelCounts choose_levels(const Console& console, const LevelChoice& choice,
                          const LevelRequest& request);

}  // namespace strata::cli
