// Counts what the non-zeros of each level are and cost, beside the dense model.
#include "sparse/accounting.h"

#include "sparse/allocation.h"

namespace strata::sparse {

namespace {

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Result<DensityReport> account(const NestedModel& nested, const graph::Bindings& bindings) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<LayerBudget> layers,
                          layer_budgets(nested.model, bindings));
  DensityReport report;
  for (int level = 0; level < nested.level_count; ++level)
    report.levels.push_back({.level = level});

  std::vector<int64_t> nonzeros_prunable(report.levels.size(), 0);
  for (const LayerBudget& layer : layers) {
    const auto found = nested.weights.find(layer.name);
    if (found == nested.weights.end()) {
      return invalid_argument("weight '" + layer.name + "': the model has no values of it");
    }
    if (found->second.increments.size() != report.levels.size()) {
      return invalid_argument("weight '" + layer.name + "': it has " +
                              std::to_string(found->second.increments.size()) +
                              " levels, the model has " + std::to_string(report.levels.size()));
    }
    TensorDensity tensor{.name = layer.name,
                         .elements = layer.elements,
                         .prunable = layer.prunable,
                         .dense_macs = layer.elements * layer.macs_per_nonzero,
                         .nonzeros = {}};
    for (size_t level = 0; level < report.levels.size(); ++level) {
      const int64_t nonzeros = found->second.nonzeros(static_cast<int>(level));
      tensor.nonzeros.push_back(nonzeros);
      report.levels[level].nonzeros += nonzeros;
      report.levels[level].macs += nonzeros * layer.macs_per_nonzero;
      if (layer.prunable) nonzeros_prunable[level] += nonzeros;
    }
    report.weights += tensor.elements;
    if (tensor.prunable) report.weights_prunable += tensor.elements;
    report.dense_macs += tensor.dense_macs;
    report.tensors.push_back(std::move(tensor));
  }
  for (size_t level = 0; level < report.levels.size(); ++level) {
    LevelDensity& density = report.levels[level];
    density.weights_pct = percent(density.nonzeros, report.weights);
    density.weights_pct_prunable = percent(nonzeros_prunable[level], report.weights_prunable);
    density.flops_pct = percent(density.macs, report.dense_macs);
  }
  return report;
}

}  // namespace strata::sparse
