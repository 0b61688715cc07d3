// Augmentation and batches: pure functions of (seed, epoch, sample).
#include "train/data/augment.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "sample_files.h"

namespace strata::data {
namespace {

constexpr ImageShape kShape = {3, 6, 7};

Dataset samples(int count) {
  Dataset dataset;
  dataset.name = "samples";
  dataset.count = count;
  dataset.channels = kShape.channels;
  dataset.height = kShape.height;
  dataset.width = kShape.width;
  dataset.classes = {"a"};
  for (int i = 0; i < count; ++i) {
    const Image image = sample_image(kShape, i);
    dataset.pixels.insert(dataset.pixels.end(), image.pixels.begin(), image.pixels.end());
    dataset.labels.push_back(0);
  }
  return dataset;
}

const Normalisation plain = {{0, 0, 0}, {1, 1, 1}};

std::vector<float> assemble(const Dataset& dataset, const std::vector<int64_t>& indices,
                            const Augmentation& augmentation, const RandomKey& key,
                            const Normalisation& normalisation = plain, int threads = 1) {
  std::vector<float> out(indices.size() * static_cast<size_t>(kShape.elements()), -99);
  assemble_batch(dataset, indices, augmentation, normalisation, key, out.data(), threads);
  return out;
}

RC_GTEST_PROP(BatchPlan, EverySampleIsInExactlyOneBatch, ()) {
  const auto count = *rc::gen::inRange<int64_t>(1, 500);
  const auto batch_size = *rc::gen::inRange<int64_t>(1, 600);
  const RandomKey key{*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>()};
  const BatchPlan plan(key, count, batch_size);
  std::vector<int64_t> seen;
  for (int64_t i = 0; i < plan.batch_count(); ++i) {
    const auto batch = plan.batch(i);
    RC_ASSERT(!batch.empty());
    RC_ASSERT(i + 1 == plan.batch_count() ||
              static_cast<int64_t>(batch.size()) == std::min(batch_size, count));
    seen.insert(seen.end(), batch.begin(), batch.end());
  }
  std::sort(seen.begin(), seen.end());
  RC_ASSERT(static_cast<int64_t>(seen.size()) == count);
  for (int64_t i = 0; i < count; ++i) RC_ASSERT(seen[static_cast<size_t>(i)] == i);
}

TEST(BatchPlan, DropsTheIncompleteBatchOnlyIfAsked) {
  EXPECT_EQ(BatchPlan({1, 0}, 10, 4).batch_count(), 3);
  EXPECT_EQ(BatchPlan({1, 0}, 10, 4).batch(2).size(), 2);
  EXPECT_EQ(BatchPlan({1, 0}, 10, 4, true).batch_count(), 2);
  EXPECT_EQ(BatchPlan({1, 0}, 3, 4, true).batch_count(), 1);
}

TEST(BatchPlan, OrderDependsOnSeedAndEpochAlone) {
  const auto order = [](uint64_t seed, uint64_t epoch) {
    const BatchPlan plan({seed, epoch}, 50, 50);
    return std::vector<int64_t>(plan.batch(0).begin(), plan.batch(0).end());
  };
  EXPECT_EQ(order(1, 2), order(1, 2));
  EXPECT_NE(order(1, 2), order(1, 3));
  EXPECT_NE(order(1, 2), order(2, 2));
  EXPECT_NE(order(1, 2), order(2, 1));
}

// Runs must continue alike on every machine and in every later version.
TEST(BatchPlan, OrderIsFixedForEver) {
  const BatchPlan plan({1, 1}, 8, 8);
  const std::vector<int64_t> order(plan.batch(0).begin(), plan.batch(0).end());
  EXPECT_EQ(order, (std::vector<int64_t>{2, 1, 5, 7, 4, 3, 6, 0}));
}

TEST(RandomBelow, IsEven) {
  constexpr int kDraws = 60'000;
  std::vector<int> counts(6);
  for (uint64_t i = 0; i < kDraws; ++i) {
    const int64_t value = random_below({3, 4}, i, 0, 6);
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 6);
    ++counts[static_cast<size_t>(value)];
  }
  double chi_squared = 0;
  for (const int count : counts) chi_squared += std::pow(count - kDraws / 6.0, 2) / (kDraws / 6.0);
  EXPECT_LT(chi_squared, 20.5);  // 5 degrees of freedom: exceeded once in a thousand
}

TEST(Augment, NothingAskedNothingDone) {
  const Dataset dataset = samples(3);
  const std::vector<int64_t> indices = {2, 0};
  std::vector<float> expected(indices.size() * static_cast<size_t>(kShape.elements()));
  to_float(dataset, indices, plain, expected.data());
  EXPECT_EQ(assemble(dataset, indices, {}, {1, 1}), expected);
}

// The definition, pixel by pixel: crop from the padded image, then mirror, then cut.
std::vector<float> augmented_by_definition(const Dataset& dataset, int64_t sample,
                                           const Augmentation& augmentation, const RandomKey& key) {
  const AugmentChoice choice = choose_augmentation(augmentation, key, sample, kShape);
  const int64_t padding = augmentation.crop_padding;
  std::vector<float> out;
  for (int64_t c = 0; c < kShape.channels; ++c) {
    const int64_t padded_width = kShape.width + 2 * padding;
    std::vector<float> padded(static_cast<size_t>((kShape.height + 2 * padding) * padded_width),
                              0.0F);
    for (int64_t y = 0; y < kShape.height; ++y) {
      for (int64_t x = 0; x < kShape.width; ++x) {
        padded[static_cast<size_t>((y + padding) * padded_width + x + padding)] =
            static_cast<float>(dataset.image(sample)[(c * kShape.height + y) * kShape.width + x]) /
            255.0F;
      }
    }
    for (int64_t y = 0; y < kShape.height; ++y) {
      for (int64_t x = 0; x < kShape.width; ++x) {
        const int64_t crop_x = choice.flip ? kShape.width - 1 - x : x;
        const float value = padded[static_cast<size_t>(
            (y + choice.shift_y + padding) * padded_width + crop_x + choice.shift_x + padding)];
        const int64_t half = augmentation.cutout / 2;
        const bool cut = augmentation.cutout > 0 && y >= choice.cutout_y - half &&
                         y < choice.cutout_y - half + augmentation.cutout &&
                         x >= choice.cutout_x - half &&
                         x < choice.cutout_x - half + augmentation.cutout;
        out.push_back(cut ? 0.0F : value);
      }
    }
  }
  return out;
}

RC_GTEST_PROP(Augment, MatchesItsDefinition, ()) {
  const Augmentation augmentation{*rc::gen::inRange<int64_t>(0, 10), *rc::gen::arbitrary<bool>(),
                                  *rc::gen::inRange<int64_t>(0, 10)};
  const RandomKey key{*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>()};
  const Dataset dataset = samples(4);
  const auto sample = *rc::gen::inRange<int64_t>(0, 4);
  RC_ASSERT(assemble(dataset, {sample}, augmentation, key) ==
            augmented_by_definition(dataset, sample, augmentation, key));
}

TEST(Augment, CropPadsWithBlackAndCutoutIsTheMean) {
  Dataset white = samples(1);
  std::fill(white.pixels.begin(), white.pixels.end(), uint8_t{255});
  const Normalisation normalisation{{0.5F, 0.5F, 0.5F}, {0.25F, 0.25F, 0.25F}};
  std::set<float> seen;
  for (uint64_t epoch = 0; epoch < 20; ++epoch) {
    for (const float value : assemble(white, {0}, {2, true, 2}, {1, epoch}, normalisation)) {
      seen.insert(value);
    }
  }
  EXPECT_EQ(seen, (std::set<float>{-2, 0, 2}));
}

TEST(Augment, ChoicesDependOnSampleEpochAndSeed) {
  const Augmentation augmentation{50, true, 3};
  const auto choose = [&](uint64_t seed, uint64_t epoch, int64_t sample) {
    return choose_augmentation(augmentation, {seed, epoch}, sample, kShape);
  };
  EXPECT_EQ(choose(1, 2, 3), choose(1, 2, 3));
  EXPECT_FALSE(choose(1, 2, 3) == choose(1, 2, 4));
  EXPECT_FALSE(choose(1, 2, 3) == choose(1, 3, 3));
  EXPECT_FALSE(choose(1, 2, 3) == choose(2, 2, 3));
}

TEST(Augment, EveryShiftAndBothSidesOccur) {
  std::set<std::pair<int64_t, int64_t>> shifts;
  int flips = 0;
  for (int64_t sample = 0; sample < 2000; ++sample) {
    const AugmentChoice choice = choose_augmentation({2, true, 0}, {5, 6}, sample, kShape);
    shifts.emplace(choice.shift_x, choice.shift_y);
    flips += choice.flip ? 1 : 0;
  }
  EXPECT_EQ(shifts.size(), 25);
  EXPECT_EQ(shifts.begin()->first, -2);
  EXPECT_EQ(shifts.rbegin()->first, 2);
  EXPECT_NEAR(flips, 1000, 100);
}

// A resumed run may see a sample in another batch, at another place, with other threads.
TEST(Augment, SampleIsTheSameWhateverTheBatchAndTheThreads) {
  const Dataset dataset = samples(9);
  const Augmentation augmentation{3, true, 3};
  const std::vector<int64_t> all = {4, 7, 1, 0, 8, 2, 3, 5, 6};
  const std::vector<float> together = assemble(dataset, all, augmentation, {1, 2});
  for (const int threads : {2, 3, 64}) {
    EXPECT_EQ(assemble(dataset, all, augmentation, {1, 2}, plain, threads), together);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    const std::vector<float> alone = assemble(dataset, {all[i]}, augmentation, {1, 2});
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(),
                           together.begin() + static_cast<std::ptrdiff_t>(i * alone.size())));
  }
}

}  // namespace
}  // namespace strata::data
