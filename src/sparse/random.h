// A nested model with random weights at random places, for timing and for tests: what a trained
// model of the same densities costs, without the training.
#pragma once

#include <cstdint>
#include <span>

#include "core/status.h"
#include "graph/graph.h"
#include "sparse/allocation.h"
#include "sparse/nested_model.h"

namespace strata::sparse {

/// Prunes at random places to `levels`, sparsest first, each inside the next; `method` shares the
/// densities out to layers, and tensors that are not prunable are dense in every level. Weights are
/// normal with the variance of He et al. 2015 in its fan-out mode, 2 / fan-out, where fan-out
/// counts the connections that the least sparse level has (Evci et al. 2022), so that signals keep
/// their size. Normalisation is near the identity and differs a little from level to level, as
/// training would leave it; biases are small.
///
/// The same arguments give the same bytes on every platform: random numbers come from integers, and
/// floats meet only operations that IEEE 754 rounds correctly and that fusing does not change.
///
/// Errors: no level, budgets that shrink from level to level or that cannot be met (see
/// allocate()), shapes that cannot be inferred.
Result<NestedModel> random_nested_model(const graph::Model& model,
                                        std::span<const LevelBudget> levels,
                                        AllocationMethod method, uint64_t seed);

}  // namespace strata::sparse
