// The first stage of PointNet++ on one cloud of 1,024 points: 512 by farthest-point sampling, and
// 32 neighbours of each within 0.2, on every target of this CPU and by libtorch's tensor
// operations, all on one thread.
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/point_set/point_set.h"
#include "kernels/target.h"

#ifdef STRATA_TORCH
#include "train/torch/tensor_point_sets.h"
#include "train/torch/tensor_threads.h"
#endif

namespace strata::kernels {
namespace {

constexpr int64_t kPoints = 1024;
constexpr int64_t kCentres = 512;
constexpr int64_t kNeighbours = 32;
constexpr float kRadius = 0.2F;

/// On the unit sphere.
std::vector<float> cloud() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> points;
  for (int64_t i = 0; i < kPoints; ++i) {
    const float x = normal(random);
    const float y = normal(random);
    const float z = normal(random);
    const float length = std::hypot(x, y, z);
    points.insert(points.end(), {x / length, y / length, z / length});
  }
  return points;
}

std::vector<float> some_centres(const std::vector<float>& points) {
  return {points.begin(), points.begin() + kCentres * 3};
}

void BM_FarthestPoints(benchmark::State& state, Target target) {
  const std::vector<float> points = cloud();
  const PointSetKernel kernel = point_set_kernel(target);
  std::vector<float> planes(static_cast<size_t>(4 * coordinate_stride(kPoints)));
  std::vector<int32_t> chosen(kCentres);
  for (auto _ : state) {
    split_coordinates(points.data(), kPoints, planes.data());
    kernel.farthest_points({planes.data(), kPoints, kCentres,
                            planes.data() + 3 * coordinate_stride(kPoints), chosen.data()});
    benchmark::DoNotOptimize(chosen.data());
    benchmark::ClobberMemory();
  }
}

void BM_BallQuery(benchmark::State& state, Target target) {
  const std::vector<float> points = cloud();
  const std::vector<float> centres = some_centres(points);
  const PointSetKernel kernel = point_set_kernel(target);
  std::vector<float> planes(static_cast<size_t>(3 * coordinate_stride(kPoints)));
  std::vector<int32_t> found(kCentres * kNeighbours);
  for (auto _ : state) {
    split_coordinates(points.data(), kPoints, planes.data());
    kernel.ball_query({planes.data(), kPoints, centres.data(), kRadius, kNeighbours, found.data()},
                      0, kCentres);
    benchmark::DoNotOptimize(found.data());
    benchmark::ClobberMemory();
  }
}

#ifdef STRATA_TORCH
void BM_FarthestPointsTorch(benchmark::State& state) {
  train::set_tensor_threads(1);
  const std::vector<float> points = cloud();
  for (auto _ : state) {
    benchmark::DoNotOptimize(train::tensor_farthest_points(points, 1, kCentres));
  }
}

void BM_BallQueryTorch(benchmark::State& state) {
  train::set_tensor_threads(1);
  const std::vector<float> points = cloud();
  const std::vector<float> centres = some_centres(points);
  for (auto _ : state) {
    benchmark::DoNotOptimize(train::tensor_ball_query(centres, points, 1, kRadius, kNeighbours));
  }
}
#endif

const bool registered = [] {
  for (const Target target : supported_targets()) {
    const std::string name(target_name(target));
    benchmark::RegisterBenchmark(("BM_FarthestPoints/" + name).c_str(), BM_FarthestPoints, target);
    benchmark::RegisterBenchmark(("BM_BallQuery/" + name).c_str(), BM_BallQuery, target);
  }
#ifdef STRATA_TORCH
  benchmark::RegisterBenchmark("BM_FarthestPoints/libtorch", BM_FarthestPointsTorch);
  benchmark::RegisterBenchmark("BM_BallQuery/libtorch", BM_BallQueryTorch);
#endif
  return true;
}();

}  // namespace
}  // namespace strata::kernels
