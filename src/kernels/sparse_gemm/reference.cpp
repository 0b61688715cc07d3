// One slot after the other, one weight after the other.
#include <algorithm>
#include <bit>

#include "kernels/sparse_gemm/panel_product.h"

namespace strata::kernels {
namespace {

template <int64_t kLanes>
void product(const PanelWeights& weights, int64_t panel, const float* input, float* sums) {
  std::fill_n(sums, weights.groups_per_panel * kSlotRows * kLanes, 0.0F);
  for (int64_t k = 0; k < weights.increment_count; ++k) {
    const PanelIncrement& increment = weights.increments[k];
    const int64_t first = panel * weights.groups_per_panel;
    for (int64_t group = first; group < first + weights.groups_per_panel; ++group) {
      for (int64_t slot = increment.group_begin[group]; slot < increment.group_begin[group + 1];
           ++slot) {
        for (int64_t i = 0; i < kSlotRows; ++i) {
          const uint32_t weight = increment.slots[slot * kSlotRows + i];
          const int64_t column = increment.windows[slot] * kWindowStep + weight % kWindowColumns;
          for (int64_t lane = 0; lane < kLanes; ++lane) {
            sums[increment.rows[group * kSlotRows + i] * kLanes + lane] +=
                std::bit_cast<float>(weight) * input[column * kLanes + lane];
          }
        }
      }
    }
  }
}

}  // namespace

PanelKernel panel_reference() {
  constexpr int64_t kLanes = 4;
  return {kLanes, 2, product<1>, product<kLanes>};
}

}  // namespace strata::kernels
