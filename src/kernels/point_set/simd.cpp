// Lanes run over points, and over centres where points are gathered. This file is compiled without
// contraction to fused multiply-adds: a distance must be the same on every target.
#include "kernels/point_set/point_set.h"
#include "kernels/point_set/reference.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/point_set/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/vector_registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

/// A block of a plane is a whole number of vectors.
using Floats = hn::CappedTag<float, kPixelBlock>;
using Indices = hn::Rebind<int32_t, Floats>;
using FloatVector = ArrayElement<hn::Vec<Floats>>;

struct Centre {
  FloatVector x, y, z;
};

HWY_INLINE FloatVector squared_distance(const float* planes, int64_t stride, int64_t point,
                                        const Centre& centre) {
  const Floats d;
  const auto dx = hn::Sub(hn::LoadU(d, planes + point), centre.x);
  const auto dy = hn::Sub(hn::LoadU(d, planes + stride + point), centre.y);
  const auto dz = hn::Sub(hn::LoadU(d, planes + 2 * stride + point), centre.z);
  return hn::Add(hn::Add(hn::Mul(dx, dx), hn::Mul(dy, dy)), hn::Mul(dz, dz));
}

void farthest_points(const FarthestPointsArguments& a) {
  const Floats d;
  const Indices di;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t stride = coordinate_stride(a.points);
  // What pads the planes is never farther than any point.
  for (int64_t p = 0; p < stride; ++p)
    a.distances[p] = p < a.points ? hwy::HighestValue<float>() : -1;
  const auto step = hn::Set(di, static_cast<int32_t>(lanes));
  int64_t chosen = 0;
  for (int64_t i = 0; i < a.wanted; ++i) {
    a.output[i] = static_cast<int32_t>(chosen);
    const Centre centre = {hn::Set(d, a.planes[chosen]), hn::Set(d, a.planes[stride + chosen]),
                           hn::Set(d, a.planes[2 * stride + chosen])};
    auto record = hn::Set(d, -1.0F);
    auto farthest = hn::Zero(di);
    auto here = hn::Iota(di, 0);
    for (int64_t p = 0; p < stride; p += lanes) {
      const auto distance = squared_distance(a.planes, stride, p, centre);
      const auto before = hn::LoadU(d, a.distances + p);
      const auto nearest = hn::IfThenElse(hn::Lt(distance, before), distance, before);
      hn::StoreU(nearest, d, a.distances + p);
      const auto better = hn::Gt(nearest, record);
      record = hn::IfThenElse(better, nearest, record);
      farthest = hn::IfThenElse(hn::RebindMask(di, better), here, farthest);
      here = hn::Add(here, step);
    }
    // Each lane has the first of its equals; of the lanes that hold the record the first counts.
    const auto best = hn::Eq(record, hn::MaxOfLanes(d, record));
    const auto places = hn::IfThenElse(hn::RebindMask(di, best), farthest,
                                       hn::Set(di, hwy::HighestValue<int32_t>()));
    chosen = hn::GetLane(hn::MinOfLanes(di, places));
  }
}

/// Points nearer than the radius, in their order; returns how many.
HWY_INLINE int64_t collect(const BallQueryArguments& a, const Centre& centre, int32_t* output) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t stride = coordinate_stride(a.points);
  const auto limit = hn::Set(d, a.radius * a.radius);
  int64_t found = 0;
  for (int64_t p = 0; p < stride; p += lanes) {
    const auto inside = hn::Lt(squared_distance(a.planes, stride, p, centre), limit);
    if (hn::AllFalse(d, inside)) continue;
    uint8_t bytes[8] = {};
    hn::StoreMaskBits(d, inside, bytes);
    uint32_t bits = bytes[0] | static_cast<uint32_t>(bytes[1]) << 8;
    for (; bits != 0; bits &= bits - 1) {
      output[found++] = static_cast<int32_t>(p) + __builtin_ctz(bits);
      if (found == a.neighbours) return found;
    }
  }
  return found;
}

void ball_query(const BallQueryArguments& a, int64_t begin, int64_t end) {
  const Floats d;
  for (int64_t m = begin; m < end; ++m) {
    const float* const centre = a.centres + m * 3;
    int32_t* const output = a.output + m * a.neighbours;
    const int64_t found =
        collect(a, {hn::Set(d, centre[0]), hn::Set(d, centre[1]), hn::Set(d, centre[2])}, output);
    for (int64_t k = found; k < a.neighbours; ++k) output[k] = found > 0 ? output[0] : 0;
  }
}

void group_points(const GroupPointsArguments& a, int64_t begin, int64_t end) {
  const Floats d;
  const Indices di;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t c = begin; c < end; ++c) {
    const bool position = c < 3;
    const float* const plane =
        position ? a.planes + c * coordinate_stride(a.points) : a.features + (c - 3) * a.points;
    const float* const centres =
        position ? a.centre_planes + c * coordinate_stride(a.centres) : nullptr;
    for (int64_t k = 0; k < a.neighbours; ++k) {
      const int32_t* const indices = a.indices + k * a.centres;
      float* const output = a.output + (c * a.neighbours + k) * a.centres;
      int64_t m = 0;
      for (; m + lanes <= a.centres; m += lanes) {
        auto value = hn::GatherIndex(d, plane, hn::LoadU(di, indices + m));
        if (position) value = hn::Sub(value, hn::LoadU(d, centres + m));
        hn::StoreU(value, d, output + m);
      }
      for (; m < a.centres; ++m) {
        output[m] = plane[indices[m]];
        if (position) output[m] -= centres[m];
      }
    }
  }
}

PointSetKernel point_set() { return {farthest_points, ball_query, group_points}; }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

PointSetKernel point_set_kernel(Target target) {
  namespace reference = point_set_reference;
  STRATA_RETURN_FOR_TARGET(
      target, point_set(),
      (PointSetKernel{reference::farthest_points, reference::ball_query, reference::group_points}))
}

}  // namespace strata::kernels
#endif
