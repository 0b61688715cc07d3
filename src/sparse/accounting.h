// Density accounting: what share of the weights and of the multiply-adds a level keeps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"
#include "sparse/nested_model.h"

namespace strata::sparse {

/// Shares in percent, 0..100.
struct LevelDensity {
  int level = 0;
  int64_t nonzeros = 0;             ///< over every weight tensor
  double weights_pct = 0;           ///< of all weights (bias and normalisation left out)
  double weights_pct_prunable = 0;  ///< of the weights of prunable tensors alone
  int64_t macs = 0;                 ///< multiply-adds that the non-zeros need for one input
  double flops_pct = 0;             ///< of the dense model's, layers kept dense included
};

/// Share of one weight tensor in one level.
struct TensorDensity {
  std::string name;
  int64_t elements = 0;
  bool prunable = true;
  int64_t dense_macs = 0;         ///< for one input, over all nodes and graphs that use it
  std::vector<int64_t> nonzeros;  ///< [level]
};

struct DensityReport {
  int64_t weights = 0;  ///< elements of all weight tensors
  int64_t weights_prunable = 0;
  int64_t dense_macs = 0;
  std::vector<LevelDensity> levels;    ///< [level]
  std::vector<TensorDensity> tensors;  ///< in the model's parameter order
};

/// Unbound symbols (batch and the like) have the model's usual sizes, or else 1. Errors: shapes
/// that cannot be inferred.
Result<DensityReport> account(const NestedModel& nested, const graph::Bindings& bindings = {});

}  // namespace strata::sparse
