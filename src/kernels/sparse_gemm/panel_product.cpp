// See panel_product.h.
#include "kernels/sparse_gemm/panel_product.h"

#include <algorithm>

namespace strata::kernels {

void PanelProduct::load(const PanelWeights& weights, const float* vector, int64_t stride,
                        int64_t index, int64_t count, float* input) const {
  const int64_t lanes = block(count);
  float* const to = input + index / lanes * block_floats(lanes) + index % lanes;
  for (int64_t i = 0; i < columns_; ++i) to[i * lanes] = vector[i * stride];
  for (int64_t i = columns_; i < padded_; ++i) to[i * lanes] = 0;
  if (lanes > 1) return;
  if (kernel_.split != nullptr && weights.has_codes()) kernel_.split(to, padded_);
  if (kernel_.by_bytes != nullptr && weights.has_floats()) kernel_.by_bytes(to, padded_);
}

int64_t PanelProduct::most_input_floats(const PanelShape& shape, int64_t count) {
  const int64_t padded = shape.padded_columns();
  const int64_t together = (count + kMostPanelLanes - 1) / kMostPanelLanes * kMostPanelLanes;
  return count == 1 ? split_floats(padded)
                    : std::max(together * padded, count * split_floats(padded));
}

void PanelProduct::run(const PanelWeights& weights, int64_t panel, const float* input,
                       int64_t count, int64_t b, float* sums) const {
  const int64_t lanes = block(count);
  const float* const from = input + b * block_floats(lanes);
  if (lanes == 1) {
    kernel_.one(weights, panel, from, sums);
    return;
  }
  alignas(kCacheLine) PanelSums by_row;
  kernel_.several(weights, panel, from, by_row.data());
  const int64_t used = std::min(count - b * lanes, lanes);
  for (int64_t vector = 0; vector < used; ++vector) {
    for (int64_t row = 0; row < weights.groups_per_panel * kSlotRows; ++row) {
      sums[vector * kPanelRows + row] = by_row[static_cast<size_t>(row * lanes + vector)];
    }
  }
}

}  // namespace strata::kernels
