// Sampling, ball query and grouping: the published semantics on small clouds, and every target of
// this CPU choosing the same points as the scalar reference, doubles and lonely centres included.
#include "kernels/point_set/point_set.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "random_data.h"

namespace strata::kernels {
namespace {

std::vector<float> planes_of(const std::vector<float>& points) {
  const auto count = static_cast<int64_t>(points.size()) / 3;
  std::vector<float> planes(static_cast<size_t>(3 * coordinate_stride(count)));
  split_coordinates(points.data(), count, planes.data());
  return planes;
}

/// Some of the points are doubles of others, or lie on a coarse grid, so that distances tie.
std::vector<float> random_cloud(int64_t count, uint32_t seed) {
  std::vector<float> points = random_floats(count * 3, seed);
  std::mt19937 random(seed);
  for (int64_t i = 0; i < count; ++i) {
    const auto kind = random() % 4;
    for (int64_t axis = 0; axis < 3; ++axis) {
      float& value = points[static_cast<size_t>(i * 3 + axis)];
      if (kind == 0) value = std::round(value * 2) / 2;
      if (kind == 1) value = points[static_cast<size_t>(axis)];
    }
  }
  return points;
}

std::vector<int32_t> sample(Target target, const std::vector<float>& points, int64_t wanted) {
  const std::vector<float> planes = planes_of(points);
  const auto count = static_cast<int64_t>(points.size()) / 3;
  std::vector<float> distances(static_cast<size_t>(coordinate_stride(count)));
  std::vector<int32_t> output(static_cast<size_t>(wanted), -1);
  point_set_kernel(target).farthest_points(
      {planes.data(), count, wanted, distances.data(), output.data()});
  return output;
}

std::vector<int32_t> query(Target target, const std::vector<float>& points,
                           const std::vector<float>& centres, float radius, int64_t neighbours) {
  const std::vector<float> planes = planes_of(points);
  const auto count = static_cast<int64_t>(centres.size()) / 3;
  std::vector<int32_t> output(static_cast<size_t>(count * neighbours), -1);
  const BallQueryArguments arguments{planes.data(),  static_cast<int64_t>(points.size()) / 3,
                                     centres.data(), radius,
                                     neighbours,     output.data()};
  point_set_kernel(target).ball_query(arguments, 0, count / 2);
  point_set_kernel(target).ball_query(arguments, count / 2, count);
  return output;
}

class PointSet : public ::testing::TestWithParam<Target> {};

using Indices = std::vector<int32_t>;

TEST_P(PointSet, SamplesStartAtPointZeroAndGoOnWithTheFarthest) {
  const std::vector<float> line = {0, 0, 0, 1, 0, 0, 5, 0, 0, 3, 0, 0, 4, 0, 0};
  EXPECT_EQ(sample(GetParam(), line, 5), (Indices{0, 2, 3, 1, 4}));
  const std::vector<float> square = {0, 0, 0, 0, 1, 0, 1, 0, 0};
  EXPECT_EQ(sample(GetParam(), square, 2), (Indices{0, 1})) << "the first of equals";
}

TEST_P(PointSet, SamplesOfOnePointManyTimesAreThatPoint) {
  const std::vector<float> doubles(size_t{3} * 7, 0.5F);
  EXPECT_EQ(sample(GetParam(), doubles, 4), Indices(4, 0));
  EXPECT_EQ(sample(GetParam(), {1, 2, 3}, 1), Indices(1, 0));
}

TEST_P(PointSet, NumbersThatAreNotFiniteChooseSomePoint) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<float> points = {0, 0, 0, kNan, 0, 0, kInfinity, 0, 0, 1, 0, 0};
  EXPECT_EQ(sample(GetParam(), points, 4), sample(Target::kScalar, points, 4));
  EXPECT_EQ(query(GetParam(), points, points, 2, 3), query(Target::kScalar, points, points, 2, 3));
}

TEST_P(PointSet, BallsHoldTheFirstPointsAndRepeatTheVeryFirst) {
  const std::vector<float> line = {9, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 1.5F, 0, 0};
  EXPECT_EQ(query(GetParam(), line, {1, 0, 0}, 1.1F, 2), (Indices{1, 2})) << "in their order";
  EXPECT_EQ(query(GetParam(), line, {1, 0, 0}, 1.1F, 5), (Indices{1, 2, 4, 1, 1}));
  EXPECT_EQ(query(GetParam(), line, {2, 0, 0}, 1, 3), (Indices{2, 4, 2})) << "radius left out";
  EXPECT_EQ(query(GetParam(), line, {-9, 0, 0}, 1, 3), Indices(3, 0)) << "nobody near";
}

TEST_P(PointSet, SamplesAgreeWithTheReference) {
  EXPECT_TRUE(rc::check("farthest points", [] {
    const int64_t count = pick(1, 200);
    const auto points = random_cloud(count, static_cast<uint32_t>(pick(0, 1000)));
    const int64_t wanted = pick(1, count);
    RC_ASSERT(sample(GetParam(), points, wanted) == sample(Target::kScalar, points, wanted));
  }));
}

TEST_P(PointSet, BallsAgreeWithTheReference) {
  EXPECT_TRUE(rc::check("ball query", [] {
    const auto points = random_cloud(pick(1, 200), static_cast<uint32_t>(pick(0, 1000)));
    const auto centres = random_cloud(pick(1, 40), static_cast<uint32_t>(pick(0, 1000)));
    const auto radius = static_cast<float>(pick(1, 20)) * 0.1F;
    const int64_t neighbours = pick(1, 70);
    RC_ASSERT(query(GetParam(), points, centres, radius, neighbours) ==
              query(Target::kScalar, points, centres, radius, neighbours));
  }));
}

TEST_P(PointSet, GroupsAgreeWithTheReference) {
  EXPECT_TRUE(rc::check("group points", [] {
    const int64_t points = pick(1, 60);
    const int64_t centres = pick(1, 60);
    const int64_t neighbours = pick(1, 9);
    const int64_t channels = 3 + pick(0, 5);
    const auto planes = planes_of(random_cloud(points, 1));
    const auto centre_planes = planes_of(random_cloud(centres, 2));
    const auto features = random_floats((channels - 3) * points, 3);
    std::vector<int32_t> indices(static_cast<size_t>(neighbours * centres));
    for (int32_t& index : indices) index = static_cast<int32_t>(pick(0, points - 1));
    std::vector<float> expected(static_cast<size_t>(channels * neighbours * centres), -7.0F);
    std::vector<float> actual = expected;
    GroupPointsArguments arguments{
        planes.data(), centre_planes.data(), features.data(), indices.data(), points,
        centres,       neighbours,           expected.data()};
    point_set_kernel(Target::kScalar).group_points(arguments, 0, channels);
    arguments.output = actual.data();
    const int64_t middle = pick(0, channels);
    point_set_kernel(GetParam()).group_points(arguments, 0, middle);
    point_set_kernel(GetParam()).group_points(arguments, middle, channels);
    RC_ASSERT(expected == actual);
  }));
}

INSTANTIATE_TEST_SUITE_P(Targets, PointSet, ::testing::ValuesIn(supported_targets()),
                         [](const auto& instance) {
                           return std::string(target_name(instance.param));
                         });

}  // namespace
}  // namespace strata::kernels
