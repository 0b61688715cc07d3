// Farthest-point sampling and ball query by libtorch's tensor operations alone, as they are written
// where nobody has kernels for them: what our kernels are tested against and compared with.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strata::train {

/// `wanted` indices of each cloud of `points` [batch, points, 3]; `batch` divides the values.
std::vector<int32_t> tensor_farthest_points(std::span<const float> points, int64_t batch,
                                            int64_t wanted);

/// [batch, centres, count] of `centres` [batch, centres, 3] and `points` [batch, points, 3].
std::vector<int32_t> tensor_ball_query(std::span<const float> centres,
                                       std::span<const float> points, int64_t batch, float radius,
                                       int64_t count);

}  // namespace strata::train
