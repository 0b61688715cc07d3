// A batch of inputs that have nothing to do with each other is run in parts, one after another: the
// tensors of a part stay in the cache, where those of the whole batch would go through main memory
// from step to step.
#pragma once

#include <cstdint>

#include "core/status.h"
#include "graph/graph.h"
#include "runtime/memory_plan.h"
#include "runtime/plan.h"

namespace strata::runtime {

/// What one part needs whose plan and memory are these; the whole batch is `count` of them.
/// Plan::input_infos and output_infos are those of the whole batch.
struct SubBatches {
  Plan plan;
  MemoryPlan memory;
  int64_t count = 1;
};

/// Whether the graph does with every input of a batch what it would do with that input alone:
/// whatever it computes has the batch as leading dimension and no node looks across it. `values`
/// are the shapes for a batch of `batch` inputs. An operator that is not known to keep inputs apart
/// is taken to mix them.
bool keeps_inputs_apart(const graph::Model& model, const graph::Graph& graph,
                        const graph::ValueTable& values, int64_t batch);

/// As few parts as let a part's tensors stay in the cache. There is one part, the whole batch,
/// where inputs are not kept apart, where products with single vectors, whose weights the inputs of
/// a batch share, take a large share of the multiply-adds, and if `whole`. Errors: those of
/// make_plan() and plan_memory() for the whole batch.
Result<SubBatches> plan_sub_batches(const graph::Model& model, const graph::Graph& graph,
                                    const graph::Bindings& bindings,
                                    const kernels::TileSizes& tile_sizes, int threads, bool whole);

}  // namespace strata::runtime
