// A weight [features, width] of which few elements are not zero, as lists of those.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata::kernels {

/// The features are cut into slices, for what kernels keep of them lies in the first-level cache.
/// The non-zeros of slice s and column k are [begins[s * width + k], begins[s * width + k + 1]),
/// their features ascending.
struct WeightColumns {
  const float* dense = nullptr;  ///< [feature, width], zeros included
  int64_t features = 0;
  int64_t width = 0;
  int64_t slices = 0;
  const int64_t* begins = nullptr;            ///< [slices * width + 1]
  const int32_t* nonzero_features = nullptr;  ///< [non-zero]
  const float* values = nullptr;              ///< [non-zero]

  [[nodiscard]] int64_t nonzeros() const { return begins[slices * width]; }
};

/// Owns the lists. May be moved, for what the view points to stays where it is.
class PackedColumns {
 public:
  /// `dense` has features * width floats and must outlive the lists; fewer than 2^31 features.
  PackedColumns(const float* dense, int64_t features, int64_t width, int64_t slice_features);

  PackedColumns(PackedColumns&&) = default;
  PackedColumns& operator=(PackedColumns&&) = default;

  [[nodiscard]] const WeightColumns& view() const { return view_; }
  [[nodiscard]] size_t bytes() const;  ///< of the lists

 private:
  WeightColumns view_;
  std::vector<int64_t> begins_;
  std::vector<int32_t> nonzero_features_;
  std::vector<float> values_;
};

}  // namespace strata::kernels
