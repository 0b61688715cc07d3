// One slot after the other, one weight after the other.
#include <algorithm>

#include "core/bit_cast.h"
#include "core/half.h"
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
          const int64_t at = slot * kSlotRows + i;
          const bool half = increment.halves != nullptr;
          const float weight =
              half ? from_half(increment.halves[at]) : bit_cast<float>(increment.slots[at]);
          const int64_t place = half ? increment.places[at] : increment.slots[at] % kWindowColumns;
          const int64_t column = increment.windows[slot] * kWindowStep + place;
          for (int64_t lane = 0; lane < kLanes; ++lane) {
            sums[increment.rows[group * kSlotRows + i] * kLanes + lane] +=
                weight * input[column * kLanes + lane];
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
