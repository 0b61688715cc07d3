// One slot after the other, one weight after the other.
#include <algorithm>

#include "core/bit_cast.h"
#include "core/half.h"
#include "core/int8.h"
#include "kernels/sparse_gemm/panel_product.h"

namespace strata::kernels {
namespace {

struct Weight {
  float value = 0;
  int64_t place = 0;
};

/// Weight `index` of a slot's.
Weight weight_at(const PanelIncrement& increment, int64_t group, int64_t slot, int64_t index) {
  const int64_t per_row = weights_per_row(increment.coding);
  const int64_t at = slot * kSlotRows * per_row + index;
  switch (increment.coding) {
    case PanelCoding::kHalf:
      return {from_half(increment.halves[at]), increment.places[at]};
    case PanelCoding::kInt8:
      return {
          decode_int8(increment.codes[at], increment.scales[group * kSlotRows + index / per_row]),
          increment.places[at]};
    case PanelCoding::kWord:
      break;
  }
  return {bit_cast<float>(increment.words[at]), increment.words[at] % kWindowColumns};
}

template <int64_t kLanes>
void product(const PanelWeights& weights, int64_t panel, const float* input, float* sums) {
  std::fill_n(sums, weights.groups_per_panel * kSlotRows * kLanes, 0.0F);
  for (int64_t k = 0; k < weights.increment_count; ++k) {
    const PanelIncrement& increment = weights.increments[k];
    const int64_t per_row = weights_per_row(increment.coding);
    const int64_t first = panel * weights.groups_per_panel;
    for (int64_t group = first; group < first + weights.groups_per_panel; ++group) {
      for (int64_t slot = increment.group_begin[group]; slot < increment.group_begin[group + 1];
           ++slot) {
        for (int64_t i = 0; i < kSlotRows * per_row; ++i) {
          const Weight weight = weight_at(increment, group, slot, i);
          const int64_t column = increment.windows[slot] * kWindowStep + weight.place;
          const int64_t row = increment.rows[group * kSlotRows + i / per_row];
          for (int64_t lane = 0; lane < kLanes; ++lane) {
            sums[row * kLanes + lane] += weight.value * input[column * kLanes + lane];
          }
        }
      }
    }
  }
}

}  // namespace

PanelKernel panel_reference() {
  constexpr int64_t kLanes = 4;
  return {kLanes, 2, product<1>, product<kLanes>, nullptr, nullptr};
}

}  // namespace strata::kernels
