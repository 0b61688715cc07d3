#include "train/torch/point_set_operators.h"

#include <string>
#include <vector>

#include <ATen/Parallel.h>

#include "kernels/point_set/point_set.h"
#include "train/error.h"

namespace strata::train {
namespace {

using Arguments = OperatorKernel::Arguments;
using Constants = std::span<const graph::Constant* const>;

kernels::PointSetKernel best_kernel() {
  return kernels::point_set_kernel(value_or_throw(kernels::default_target()));
}

/// The coordinates of every cloud of `points` [batch, points, 3] in planes.
std::vector<float> planes_of(const at::Tensor& points) {
  const int64_t stride = 3 * kernels::coordinate_stride(points.size(1));
  std::vector<float> planes(static_cast<size_t>(points.size(0) * stride));
  for (int64_t b = 0; b < points.size(0); ++b) {
    kernels::split_coordinates(points.data_ptr<float>() + b * points.size(1) * 3, points.size(1),
                               planes.data() + b * stride);
  }
  return planes;
}

at::Tensor on_cpu(const at::Tensor& tensor) { return tensor.detach().to(at::kCPU).contiguous(); }

}  // namespace

OperatorKernel make_farthest_point_sampling(const graph::Node& node, Constants /*constants*/) {
  const int64_t wanted = node.attribute_int("count", 0);
  return [wanted, kernel = best_kernel(), name = node.name](Arguments& in, const Pass&) {
    const at::Tensor points = on_cpu(in[0]);
    const int64_t count = points.size(1);
    if (count < wanted) {
      throw Error("node '" + name + "' (FarthestPointSampling): a cloud has " +
                  std::to_string(count) + " points, but " + std::to_string(wanted) +
                  " are to be chosen of it");
    }
    const at::Tensor chosen = at::empty({points.size(0), wanted}, at::kInt);
    const std::vector<float> planes = planes_of(points);
    const int64_t stride = kernels::coordinate_stride(count);
    at::parallel_for(0, points.size(0), 1, [&](int64_t begin, int64_t end) {
      std::vector<float> distances(static_cast<size_t>(stride));
      for (int64_t b = begin; b < end; ++b) {
        kernel.farthest_points({planes.data() + b * 3 * stride, count, wanted, distances.data(),
                                chosen.data_ptr<int32_t>() + b * wanted});
      }
    });
    return chosen.to(in[0].device());
  };
}

OperatorKernel make_ball_query(const graph::Node& node, Constants /*constants*/) {
  const int64_t neighbours = node.attribute_int("count", 0);
  const float radius = node.attribute_float("radius", 0);
  return [=, kernel = best_kernel()](Arguments& in, const Pass&) {
    const at::Tensor centres = on_cpu(in[0]);
    const at::Tensor points = on_cpu(in[1]);
    const int64_t count = points.size(1);
    const at::Tensor found = at::empty({points.size(0), centres.size(1), neighbours}, at::kInt);
    const std::vector<float> planes = planes_of(points);
    at::parallel_for(0, points.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        kernel.ball_query({planes.data() + b * 3 * kernels::coordinate_stride(count), count,
                           centres.data_ptr<float>() + b * centres.size(1) * 3, radius, neighbours,
                           found.data_ptr<int32_t>() + b * centres.size(1) * neighbours},
                          0, centres.size(1));
      }
    });
    return found.to(in[0].device());
  };
}

OperatorKernel make_gather_points(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    const at::Tensor indices = in[1].to(at::kLong).unsqueeze(2);
    return in[0].gather(1, indices.expand({-1, -1, in[0].size(2)}));
  };
}

/// Rows of points are gathered, so the result lies channels last, as convolutions like it.
OperatorKernel make_group_points(const graph::Node& /*node*/, Constants /*constants*/) {
  return [](Arguments& in, const Pass&) {
    const at::Tensor& centres = in[0];
    const int64_t batch = in[1].size(0);
    const int64_t points = in[1].size(1);
    const at::Tensor first =
        at::arange(batch, in[2].options().dtype(at::kLong)).mul(points).reshape({batch, 1, 1});
    const at::Tensor indices = in[2].to(at::kLong).transpose(1, 2).add(first);  // [b, k, m]
    const at::Tensor rows = indices.reshape({-1});
    const auto gathered = [&](const at::Tensor& values) {  // of [batch, points, channels]
      return values.reshape({batch * points, values.size(2)})
          .index_select(0, rows)
          .reshape({batch, indices.size(1), indices.size(2), values.size(2)});
    };
    at::Tensor grouped = gathered(in[1]) - centres.unsqueeze(1);
    if (in.size() > 3 && in[3].defined()) {
      const at::Tensor features = in[3].reshape({batch, -1, points}).transpose(1, 2);
      grouped = at::cat({grouped, gathered(features)}, 3);
    }
    return grouped.permute({0, 3, 1, 2});
  };
}

}  // namespace strata::train
