#include "kernels/graph_attention/weight_columns.h"

#include <algorithm>

namespace strata::kernels {

PackedColumns::PackedColumns(const float* dense, int64_t features, int64_t width,
                             int64_t slice_features)
    : begins_{0} {
  for (int64_t first = 0; first < features; first += slice_features) {
    const int64_t last = std::min(first + slice_features, features);
    for (int64_t column = 0; column < width; ++column) {
      for (int64_t feature = first; feature < last; ++feature) {
        const float value = dense[feature * width + column];
        if (value == 0.0F) continue;
        nonzero_features_.push_back(static_cast<int32_t>(feature));
        values_.push_back(value);
      }
      begins_.push_back(static_cast<int64_t>(values_.size()));
    }
  }
  const int64_t slices = (features + slice_features - 1) / slice_features;
  view_ = {dense,         features, width, slices, begins_.data(), nonzero_features_.data(),
           values_.data()};
}

size_t PackedColumns::bytes() const {
  return begins_.capacity() * sizeof(int64_t) + nonzero_features_.capacity() * sizeof(int32_t) +
         values_.capacity() * sizeof(float);
}

}  // namespace strata::kernels
