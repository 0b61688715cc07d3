// Augmentation of clouds: what may change and by how much, and that a view is the same cloud.
#include "train/data/point_augment.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace strata::data {
namespace {

constexpr int64_t kPoints = 50;

std::vector<float> cloud(int64_t width) {
  std::vector<float> values;
  for (int64_t i = 0; i < kPoints * width; ++i)
    values.push_back(std::sin(static_cast<float>(i + 1)));
  return values;
}

std::vector<float> augmented(const PointAugmentation& augmentation, const RandomKey& key,
                             int64_t sample = 0, int64_t width = 3) {
  std::vector<float> out(static_cast<size_t>(kPoints * width));
  augment_cloud(cloud(width).data(), kPoints, width, augmentation, key, sample, out.data());
  return out;
}

std::multiset<std::vector<float>> rows(const std::vector<float>& values, size_t width) {
  std::multiset<std::vector<float>> set;
  for (size_t i = 0; i < values.size(); i += width) {
    set.emplace(values.begin() + static_cast<std::ptrdiff_t>(i),
                values.begin() + static_cast<std::ptrdiff_t>(i + width));
  }
  return set;
}

TEST(PointAugmentation, NothingAskedChangesTheOrderOnly) {
  const auto out = augmented({}, {1, 2});
  EXPECT_NE(out, cloud(3));
  EXPECT_EQ(rows(out, 3), rows(cloud(3), 3));
  EXPECT_EQ(out, augmented({}, {1, 2})) << "a pure function";
  EXPECT_NE(out, augmented({}, {1, 3}));
  EXPECT_NE(out, augmented({}, {1, 2}, 1));
}

TEST(PointAugmentation, DropoutRepeatsTheFirstPoint) {
  size_t fewest = kPoints;
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    const auto out = augmented({.point_dropout = 0.875}, {1, epoch});
    const auto set = rows(out, 3);
    const std::vector<float> first(out.begin(), out.begin() + 3);
    const size_t distinct = std::set(set.begin(), set.end()).size();
    EXPECT_EQ(set.count(first) + distinct - 1, size_t{kPoints});
    fewest = std::min(fewest, distinct);
  }
  EXPECT_LT(fewest, size_t{kPoints / 2});
}

TEST(PointAugmentation, ScaleShiftAndJitterStayInTheirLimits) {
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    const RandomKey key{7, epoch};
    const auto plain = augmented({}, key);
    const auto scaled = augmented({.scale = 0.2}, key);
    const float factor = scaled[0] / plain[0];
    EXPECT_GE(factor, 0.7999F);
    EXPECT_LE(factor, 1.2501F);
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(scaled[i], factor * plain[i], 1e-5);
    const auto shifted = augmented({.shift = 0.1}, key);
    const auto jittered = augmented({.jitter = 0.01}, key);
    for (size_t i = 0; i < plain.size(); ++i) {
      EXPECT_NEAR(shifted[i] - plain[i], shifted[i % 3] - plain[i % 3], 1e-5);
      EXPECT_LE(std::fabs(shifted[i] - plain[i]), 0.1001F);
      EXPECT_LE(std::fabs(jittered[i] - plain[i]), 0.0501F);
    }
    EXPECT_NE(jittered, plain);
  }
}

TEST(PointAugmentation, TurningKeepsHeightsAndTurnsNormals) {
  const auto plain = augmented({}, {3, 1}, 0, 6);
  const auto turned = augmented({.rotate = true}, {3, 1}, 0, 6);
  for (size_t i = 0; i < plain.size(); i += 3) {
    EXPECT_EQ(turned[i + 1], plain[i + 1]);
    EXPECT_NEAR(std::hypot(turned[i], turned[i + 2]), std::hypot(plain[i], plain[i + 2]), 1e-5);
  }
  const auto product = [](const std::vector<float>& v, size_t i) {
    return v[i] * v[i + 3] + v[i + 2] * v[i + 5];
  };
  for (size_t i = 0; i < plain.size(); i += 6) {
    EXPECT_NEAR(product(turned, i), product(plain, i), 1e-5) << "a normal keeps its angle";
  }
}

TEST(PointViews, TheFirstIsTheCloudAndTheOthersAreTheSamePoints) {
  const auto view = [](int64_t vote, bool rotate) {
    std::vector<float> out(static_cast<size_t>(kPoints * 3));
    view_of_cloud(cloud(3).data(), kPoints, 3, vote, 4, rotate, out.data());
    return out;
  };
  EXPECT_EQ(view(0, true), cloud(3));
  EXPECT_EQ(rows(view(1, false), 3), rows(cloud(3), 3));
  EXPECT_NE(view(1, false), view(2, false));
  EXPECT_NE(rows(view(1, true), 3), rows(cloud(3), 3));
}

}  // namespace
}  // namespace strata::data
