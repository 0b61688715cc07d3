#include "train/torch/tensor_point_sets.h"

#include <limits>
#include <tuple>

#include <ATen/ATen.h>

namespace strata::train {
namespace {

at::Tensor clouds_of(std::span<const float> points, int64_t batch) {
  // The tensor reads the caller's memory and is never written.
  const auto count = static_cast<int64_t>(points.size()) / (3 * batch);
  return at::from_blob(const_cast<float*>(points.data()), {batch, count, 3}, at::kFloat);
}

/// In the order of operations that kernels/point_set fixes.
at::Tensor squared_distances(const at::Tensor& a, const at::Tensor& b) {
  const auto squares = [&](int64_t axis) {
    const at::Tensor difference = a.select(-1, axis) - b.select(-1, axis);
    return difference * difference;
  };
  return (squares(0) + squares(1)) + squares(2);
}

std::vector<int32_t> indices_of(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kInt).contiguous();
  return {flat.data_ptr<int32_t>(), flat.data_ptr<int32_t>() + flat.numel()};
}

}  // namespace

std::vector<int32_t> tensor_farthest_points(std::span<const float> points, int64_t batch,
                                            int64_t wanted) {
  const c10::InferenceMode inference;
  const at::Tensor clouds = clouds_of(points, batch);
  const at::Tensor chosen = at::zeros({batch, wanted}, at::kLong);
  at::Tensor distances =
      at::full({batch, clouds.size(1)}, std::numeric_limits<float>::max(), at::kFloat);
  at::Tensor farthest = at::zeros({batch}, at::kLong);
  for (int64_t i = 0; i < wanted; ++i) {
    chosen.select(1, i).copy_(farthest);
    const at::Tensor centre = clouds.gather(1, farthest.reshape({batch, 1, 1}).expand({-1, 1, 3}));
    distances = at::minimum(distances, squared_distances(clouds, centre));
    farthest = std::get<1>(distances.max(1));
  }
  return indices_of(chosen);
}

std::vector<int32_t> tensor_ball_query(std::span<const float> centres,
                                       std::span<const float> points, int64_t batch, float radius,
                                       int64_t count) {
  const c10::InferenceMode inference;
  const at::Tensor from = clouds_of(centres, batch);
  const at::Tensor to = clouds_of(points, batch);
  const int64_t number = to.size(1);
  const at::Tensor distances = squared_distances(from.unsqueeze(2), to.unsqueeze(1));
  const at::Tensor all =
      at::arange(number, at::kLong).reshape({1, 1, number}).expand({batch, from.size(1), -1});
  const at::Tensor inside = all.masked_fill(distances.ge(radius * radius), number);
  const at::Tensor first = std::get<0>(inside.sort(-1)).slice(2, 0, count);
  at::Tensor fill = first.slice(2, 0, 1).expand_as(first);
  fill = fill.masked_fill(fill.eq(number), 0);
  return indices_of(at::where(first.eq(number), fill, first));
}

}  // namespace strata::train
