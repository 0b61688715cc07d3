// The operators of domain ai.strata over points in space, on the kernels beside this file. Indices
// are checked in every call before a kernel may follow them.
#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "kernels/operators/support.h"
#include "kernels/point_set/point_set.h"

namespace strata::kernels {
namespace {

constexpr int64_t kCoordinates = 3;

/// Calls body(image, from, to) for the parts of begin..end-1 that lie in one image of `per_image`.
template <typename Body>
void for_images(int64_t begin, int64_t end, int64_t per_image, const Body& body) {
  while (begin < end) {
    const int64_t image = begin / per_image;
    const int64_t stop = std::min(end, (image + 1) * per_image);
    body(image, begin - image * per_image, stop - image * per_image);
    begin = stop;
  }
}

/// Errors name the first index that is none of a point.
Status check_indices(const int32_t* indices, int64_t count, int64_t points) {
  uint32_t largest = 0;  // a negative index is a large one
  for (int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, static_cast<uint32_t>(indices[i]));
  }
  if (count == 0 || static_cast<int64_t>(largest) < points) return {};
  const auto* const bad = std::find_if(indices, indices + count,
                                       [&](int32_t index) { return index < 0 || index >= points; });
  return out_of_range("entry " + std::to_string(bad - indices) + " names point " +
                      std::to_string(*bad) + ", there are points 0 to " +
                      std::to_string(points - 1));
}

size_t float_bytes(int64_t count) { return static_cast<size_t>(count) * sizeof(float); }

class FarthestPointSamplingOperator final : public OperatorKernel {
 public:
  FarthestPointSamplingOperator(const OperatorSite& site, const PointSetKernel& kernel)
      : kernel_(kernel),
        batch_(site.inputs[0].shape[0]),
        points_(site.inputs[0].shape[1]),
        wanted_(site.outputs[0].shape[1]) {}

  [[nodiscard]] size_t scratch_bytes(int /*threads*/) const override {
    return float_bytes(batch_ * (kCoordinates + 1) * coordinate_stride(points_));
  }

  /// A cloud is one task: what is chosen next depends on all that was.
  Status run(const OperatorData& data, ThreadPool& pool) const override {
    auto* const scratch = reinterpret_cast<float*>(data.scratch);
    const int64_t stride = coordinate_stride(points_);
    for_ranges(pool, batch_, wanted_ * points_, [&](int64_t begin, int64_t end) {
      for (int64_t image = begin; image < end; ++image) {
        float* const planes = scratch + image * (kCoordinates + 1) * stride;
        split_coordinates(data.input<float>(0) + image * points_ * kCoordinates, points_, planes);
        kernel_.farthest_points({planes, points_, wanted_, planes + kCoordinates * stride,
                                 data.output<int32_t>(0) + image * wanted_});
      }
    });
    return {};
  }

 private:
  PointSetKernel kernel_;
  int64_t batch_, points_, wanted_;
};

class GatherPointsOperator final : public OperatorKernel {
 public:
  GatherPointsOperator(const OperatorSite& site, const PointSetKernel& /*kernel*/)
      : batch_(site.inputs[0].shape[0]),
        points_(site.inputs[0].shape[1]),
        width_(site.inputs[0].shape[2]),
        wanted_(site.inputs[1].shape[1]) {}

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* const indices = data.input<int32_t>(1);
    STRATA_RETURN_IF_ERROR(check_indices(indices, batch_ * wanted_, points_));
    for_ranges(pool, batch_ * wanted_, width_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t point = i / wanted_ * points_ + indices[i];
        std::copy_n(data.input<float>(0) + point * width_, width_,
                    data.output<float>(0) + i * width_);
      }
    });
    return {};
  }

 private:
  int64_t batch_, points_, width_, wanted_;
};

class BallQueryOperator final : public OperatorKernel {
 public:
  BallQueryOperator(const OperatorSite& site, const PointSetKernel& kernel)
      : kernel_(kernel),
        batch_(site.inputs[0].shape[0]),
        centres_(site.inputs[0].shape[1]),
        points_(site.inputs[1].shape[1]),
        neighbours_(site.outputs[0].shape[2]),
        radius_(site.node.attribute_float("radius", 0)) {}

  [[nodiscard]] size_t scratch_bytes(int /*threads*/) const override {
    return float_bytes(batch_ * kCoordinates * coordinate_stride(points_));
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    auto* const planes = reinterpret_cast<float*>(data.scratch);
    const int64_t image_floats = kCoordinates * coordinate_stride(points_);
    for_ranges(pool, batch_, image_floats, [&](int64_t begin, int64_t end) {
      for (int64_t image = begin; image < end; ++image) {
        split_coordinates(data.input<float>(1) + image * points_ * kCoordinates, points_,
                          planes + image * image_floats);
      }
    });
    for_ranges(pool, batch_ * centres_, points_, [&](int64_t begin, int64_t end) {
      for_images(begin, end, centres_, [&](int64_t image, int64_t from, int64_t to) {
        kernel_.ball_query({planes + image * image_floats, points_,
                            data.input<float>(0) + image * centres_ * kCoordinates, radius_,
                            neighbours_, data.output<int32_t>(0) + image * centres_ * neighbours_},
                           from, to);
      });
    });
    return {};
  }

 private:
  PointSetKernel kernel_;
  int64_t batch_, centres_, points_, neighbours_;
  float radius_;
};

class GroupPointsOperator final : public OperatorKernel {
 public:
  GroupPointsOperator(const OperatorSite& site, const PointSetKernel& kernel)
      : kernel_(kernel),
        batch_(site.inputs[0].shape[0]),
        centres_(site.inputs[0].shape[1]),
        points_(site.inputs[1].shape[1]),
        neighbours_(site.inputs[2].shape[2]),
        channels_(site.outputs[0].shape[1]) {}

  [[nodiscard]] size_t scratch_bytes(int /*threads*/) const override {
    return float_bytes(batch_ * image_scratch());
  }

  Status run(const OperatorData& data, ThreadPool& pool) const override {
    const auto* const indices = data.input<int32_t>(2);
    const int64_t entries = centres_ * neighbours_;
    STRATA_RETURN_IF_ERROR(check_indices(indices, batch_ * entries, points_));
    auto* const scratch = reinterpret_cast<float*>(data.scratch);
    for_ranges(pool, batch_, image_scratch(), [&](int64_t begin, int64_t end) {
      for (int64_t image = begin; image < end; ++image) {
        float* const planes = scratch + image * image_scratch();
        split_coordinates(data.input<float>(1) + image * points_ * kCoordinates, points_, planes);
        split_coordinates(data.input<float>(0) + image * centres_ * kCoordinates, centres_,
                          planes + kCoordinates * coordinate_stride(points_));
        int32_t* const by_neighbour = transposed(planes);
        for (int64_t m = 0; m < centres_; ++m) {
          for (int64_t k = 0; k < neighbours_; ++k) {
            by_neighbour[k * centres_ + m] = indices[image * entries + m * neighbours_ + k];
          }
        }
      }
    });
    for_ranges(pool, batch_ * channels_, entries, [&](int64_t begin, int64_t end) {
      for_images(begin, end, channels_, [&](int64_t image, int64_t from, int64_t to) {
        float* const planes = scratch + image * image_scratch();
        const auto* features = data.input<float>(3);
        if (features != nullptr) features += image * (channels_ - kCoordinates) * points_;
        kernel_.group_points({planes, planes + kCoordinates * coordinate_stride(points_), features,
                              transposed(planes), points_, centres_, neighbours_,
                              data.output<float>(0) + image * channels_ * entries},
                             from, to);
      });
    });
    return {};
  }

 private:
  /// Of one image: points and centres in planes, and the indices by neighbour.
  [[nodiscard]] int64_t image_scratch() const {
    return kCoordinates * (coordinate_stride(points_) + coordinate_stride(centres_)) +
           round_up(centres_ * neighbours_, kPixelBlock);
  }
  [[nodiscard]] int32_t* transposed(float* planes) const {
    return reinterpret_cast<int32_t*>(
        planes + kCoordinates * (coordinate_stride(points_) + coordinate_stride(centres_)));
  }

  PointSetKernel kernel_;
  int64_t batch_, centres_, points_, neighbours_, channels_;
};

template <typename Operator>
MadeOperator make_point_operator(const OperatorSite& site) {
  STRATA_ASSIGN_OR_RETURN(const Target target, default_target());
  return MadeOperator(std::make_shared<Operator>(site, point_set_kernel(target)));
}

}  // namespace

std::span<const OperatorEntry> point_set_kernels() {
  static constexpr std::array kEntries = {
      OperatorEntry{graph::kStrataDomain, "BallQuery", make_point_operator<BallQueryOperator>},
      OperatorEntry{graph::kStrataDomain, "FarthestPointSampling",
                    make_point_operator<FarthestPointSamplingOperator>},
      OperatorEntry{graph::kStrataDomain, "GatherPoints",
                    make_point_operator<GatherPointsOperator>},
      OperatorEntry{graph::kStrataDomain, "GroupPoints", make_point_operator<GroupPointsOperator>},
  };
  return kEntries;
}

}  // namespace strata::kernels
