#include "kernels/point_set/reference.h"

#include <algorithm>
#include <limits>

namespace strata::kernels {

void split_coordinates(const float* points, int64_t count, float* planes) {
  const int64_t stride = coordinate_stride(count);
  for (int64_t axis = 0; axis < 3; ++axis) {
    float* const plane = planes + axis * stride;
    for (int64_t i = 0; i < count; ++i) plane[i] = points[i * 3 + axis];
    std::fill(plane + count, plane + stride, std::numeric_limits<float>::infinity());
  }
}

namespace point_set_reference {
namespace {

float squared_distance(const float* planes, int64_t stride, int64_t point, float x, float y,
                       float z) {
  const float dx = planes[point] - x;
  const float dy = planes[stride + point] - y;
  const float dz = planes[2 * stride + point] - z;
  return (dx * dx + dy * dy) + dz * dz;
}

}  // namespace

void farthest_points(const FarthestPointsArguments& a) {
  const int64_t stride = coordinate_stride(a.points);
  std::fill(a.distances, a.distances + a.points, std::numeric_limits<float>::max());
  int64_t chosen = 0;
  for (int64_t i = 0; i < a.wanted; ++i) {
    a.output[i] = static_cast<int32_t>(chosen);
    const float x = a.planes[chosen];
    const float y = a.planes[stride + chosen];
    const float z = a.planes[2 * stride + chosen];
    int64_t farthest = 0;
    float record = -1;
    for (int64_t p = 0; p < a.points; ++p) {
      const float distance = squared_distance(a.planes, stride, p, x, y, z);
      if (distance < a.distances[p]) a.distances[p] = distance;
      if (a.distances[p] > record) {
        record = a.distances[p];
        farthest = p;
      }
    }
    chosen = farthest;
  }
}

void ball_query(const BallQueryArguments& a, int64_t begin, int64_t end) {
  const int64_t stride = coordinate_stride(a.points);
  const float limit = a.radius * a.radius;
  for (int64_t m = begin; m < end; ++m) {
    const float* const centre = a.centres + m * 3;
    int32_t* const output = a.output + m * a.neighbours;
    int64_t found = 0;
    for (int64_t p = 0; p < a.points && found < a.neighbours; ++p) {
      if (squared_distance(a.planes, stride, p, centre[0], centre[1], centre[2]) < limit) {
        output[found++] = static_cast<int32_t>(p);
      }
    }
    std::fill(output + found, output + a.neighbours, found > 0 ? output[0] : 0);
  }
}

void group_points(const GroupPointsArguments& a, int64_t begin, int64_t end) {
  for (int64_t c = begin; c < end; ++c) {
    for (int64_t k = 0; k < a.neighbours; ++k) {
      for (int64_t m = 0; m < a.centres; ++m) {
        const int64_t point = a.indices[k * a.centres + m];
        float* const output = a.output + (c * a.neighbours + k) * a.centres + m;
        if (c < 3) {
          *output = a.planes[c * coordinate_stride(a.points) + point] -
                    a.centre_planes[c * coordinate_stride(a.centres) + m];
        } else {
          *output = a.features[(c - 3) * a.points + point];
        }
      }
    }
  }
}

}  // namespace point_set_reference
}  // namespace strata::kernels
