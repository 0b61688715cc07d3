#include "train/data/point_augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

namespace strata::data {
namespace {

// What a number is drawn for; those of every point have a stream of their own.
enum Draw : uint64_t {
  kDrawDropRatio = 100,
  kDrawAngle,
  kDrawScale,
  kDrawShift,  // and the two after it
};
constexpr uint64_t kDrawOrder = uint64_t{1} << 32;
constexpr uint64_t kDrawDrop = uint64_t{2} << 32;
constexpr uint64_t kDrawJitter = uint64_t{3} << 32;

/// Uniform in 0..1, 1 left out.
double uniform(const RandomKey& key, uint64_t index, uint64_t draw) {
  return static_cast<double>(random_bits(key, index, draw) >> 11) * 0x1p-53;
}

/// Standard normal (Box and Muller 1958).
double normal(const RandomKey& key, uint64_t index, uint64_t draw) {
  const double radius = std::sqrt(-2 * std::log(1 - uniform(key, index, 2 * draw)));
  return radius * std::cos(2 * std::numbers::pi * uniform(key, index, 2 * draw + 1));
}

void copy_in_random_order(const float* cloud, int64_t points, int64_t width, const RandomKey& key,
                          uint64_t index, float* out) {
  std::vector<int64_t> order(static_cast<size_t>(points));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = points; i > 1; --i) {
    const int64_t other = random_below(key, index, kDrawOrder + static_cast<uint64_t>(i), i);
    std::swap(order[static_cast<size_t>(i - 1)], order[static_cast<size_t>(other)]);
  }
  for (int64_t i = 0; i < points; ++i) {
    std::copy_n(cloud + order[static_cast<size_t>(i)] * width, width, out + i * width);
  }
}

/// About y, positions and normals.
void turn(float* cloud, int64_t points, int64_t width, double angle) {
  const auto sine = static_cast<float>(std::sin(angle));
  const auto cosine = static_cast<float>(std::cos(angle));
  for (int64_t i = 0; i < points * width / 3; ++i) {
    float* const vector = cloud + i * 3;
    const float x = vector[0];
    const float z = vector[2];
    vector[0] = cosine * x + sine * z;
    vector[2] = cosine * z - sine * x;
  }
}

}  // namespace

void augment_cloud(const float* cloud, int64_t points, int64_t width,
                   const PointAugmentation& augmentation, const RandomKey& key, int64_t sample,
                   float* out) {
  const auto index = static_cast<uint64_t>(sample);
  copy_in_random_order(cloud, points, width, key, index, out);
  if (augmentation.point_dropout > 0) {
    const double ratio = augmentation.point_dropout * uniform(key, index, kDrawDropRatio);
    for (int64_t i = 1; i < points; ++i) {
      if (uniform(key, index, kDrawDrop + static_cast<uint64_t>(i)) < ratio) {
        std::copy_n(out, width, out + i * width);
      }
    }
  }
  if (augmentation.rotate) {
    turn(out, points, width, 2 * std::numbers::pi * uniform(key, index, kDrawAngle));
  }
  const double least = 1 - augmentation.scale;
  const double scale = least + (1 / least - least) * uniform(key, index, kDrawScale);
  for (int64_t axis = 0; axis < 3; ++axis) {
    const double draw = uniform(key, index, kDrawShift + static_cast<uint64_t>(axis));
    const double shift = augmentation.shift * (2 * draw - 1);
    for (int64_t i = 0; i < points; ++i) {
      double value = scale * static_cast<double>(out[i * width + axis]) + shift;
      if (augmentation.jitter > 0) {
        constexpr double kMostDeviations = 5;
        const double moved = normal(key, index, kDrawJitter + static_cast<uint64_t>(i * 3 + axis));
        value += augmentation.jitter * std::clamp(moved, -kMostDeviations, kMostDeviations);
      }
      out[i * width + axis] = static_cast<float>(value);
    }
  }
}

void view_of_cloud(const float* cloud, int64_t points, int64_t width, int64_t vote, int64_t votes,
                   bool rotate, float* out) {
  if (vote == 0) {
    std::copy_n(cloud, points * width, out);
    return;
  }
  copy_in_random_order(cloud, points, width, {0, static_cast<uint64_t>(vote)}, 0, out);
  if (rotate) {
    const double turns = static_cast<double>(vote) / static_cast<double>(votes);
    turn(out, points, width, 2 * std::numbers::pi * turns);
  }
}

}  // namespace strata::data
