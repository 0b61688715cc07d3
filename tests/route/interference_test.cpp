// Interference: bootstrap of a recording, and the synthetic models.
#include "route/interference.h"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace strata::route {
namespace {

/// Inference i of n is slowed by 1 + i in its first step and by twice that in its second.
Recording numbered(int n) {
  Recording recording;
  recording.step_count = 2;
  for (int i = 0; i < n; ++i) {
    recording.slowdowns.push_back(static_cast<float>(1 + i));
    recording.slowdowns.push_back(static_cast<float>(2 * (1 + i)));
  }
  return recording;
}

std::vector<int> draw(Interference& interference, int count) {
  std::vector<int> drawn;
  for (int i = 0; i < count; ++i) {
    float slowdowns[2];
    interference.next(i, slowdowns);
    EXPECT_EQ(slowdowns[1], 2 * slowdowns[0]);  // an inference stays whole
    drawn.push_back(static_cast<int>(slowdowns[0]) - 1);
  }
  return drawn;
}

TEST(ReplayInterference, PlaysARecordingInOrderOverAndOver) {
  const auto replay = replay_interference(numbered(3), 0, 1).value();
  EXPECT_EQ(draw(*replay, 7), (std::vector<int>{0, 1, 2, 0, 1, 2, 0}));
}

RC_GTEST_PROP(ReplayInterference, DrawsWholeBlocksFromAnywhere, ()) {
  const int n = *rc::gen::inRange(1, 20);
  const int block = *rc::gen::inRange(1, 8);
  const auto replay = replay_interference(numbered(n), block, *rc::gen::arbitrary<uint64_t>());
  const std::vector<int> drawn = draw(**replay, block * 10);
  for (size_t i = 0; i < drawn.size(); ++i) {
    if (i % static_cast<size_t>(block) != 0) RC_ASSERT(drawn[i] == (drawn[i - 1] + 1) % n);
  }
}

TEST(ReplayInterference, ReachesEveryInferenceEquallyOften) {
  const auto replay = replay_interference(numbered(10), 3, 1).value();
  std::vector<int> counts(10);
  for (const int i : draw(*replay, 60000)) ++counts[static_cast<size_t>(i)];
  for (const int count : counts) EXPECT_NEAR(count, 6000, 600);
}

TEST(ReplayInterference, RefusesWhatIsNoRecording) {
  EXPECT_FALSE(replay_interference({}, 1, 1).ok());
  EXPECT_FALSE(replay_interference({2, {1, 2, 3}}, 1, 1).ok());
  EXPECT_FALSE(replay_interference({2, {1, 0}}, 1, 1).ok());
  EXPECT_FALSE(replay_interference({2, {1, std::numeric_limits<float>::quiet_NaN()}}, 1, 1).ok());
  EXPECT_FALSE(replay_interference(numbered(3), -1, 1).ok());
}

TEST(SyntheticInterference, WithoutAnythingIsOne) {
  const auto quiet = synthetic_interference({.step_count = 3}, 1).value();
  std::vector<float> slowdowns(3);
  quiet->next(0, slowdowns.data());
  EXPECT_EQ(slowdowns, (std::vector<float>{1, 1, 1}));
}

TEST(SyntheticInterference, NoiseHasTheDeviationsAskedFor) {
  const auto noise =
      synthetic_interference({.step_count = 2,
                              .slowdown = 2,
                              .noise = {.inference_deviation = 0.3, .step_deviation = 0.1}},
                             1)
          .value();
  constexpr int kMany = 100000;
  double sum = 0;
  double squares = 0;
  double within = 0;
  for (int i = 0; i < kMany; ++i) {
    float slowdowns[2];
    noise->next(i, slowdowns);
    const double log_slowdown = std::log(slowdowns[0] / 2.0);
    sum += log_slowdown;
    squares += log_slowdown * log_slowdown;
    within += std::pow(std::log(slowdowns[1] / slowdowns[0]), 2);
  }
  EXPECT_NEAR(sum / kMany, 0, 0.005);
  EXPECT_NEAR(squares / kMany, 0.1, 0.002);
  EXPECT_NEAR(within / kMany, 0.02, 0.0005);
}

TEST(SyntheticInterference, BurstsAreThereTheirShareOfTheTimeAndLast) {
  const auto bursts =
      synthetic_interference(
          {.step_count = 4, .step_ns = 1, .bursts = {.off_ns = 3000, .on_ns = 1000, .slowdown = 5}},
          1)
          .value();
  constexpr int kMany = 400000;
  int on = 0;
  int changes = 0;
  for (int i = 0; i < kMany; ++i) {
    float slowdowns[4];
    bursts->next(i * 2.0, slowdowns);  // overlaps the one before: they must agree on the bursts
    on += slowdowns[0] == 5 ? 1 : 0;
    changes += slowdowns[0] != slowdowns[1] ? 1 : 0;
    EXPECT_TRUE(slowdowns[3] == 1 || slowdowns[3] == 5);
  }
  EXPECT_NEAR(on / static_cast<double>(kMany), 0.25, 0.05);
  // One change every 2000 ns on average, of which a look at 1 in 2 ns sees half.
  EXPECT_NEAR(changes / (kMany * 2.0 / 2000 / 2), 1, 0.2);
}

TEST(SyntheticInterference, OverlappingInferencesSeeTheSameBursts) {
  const SyntheticInterference model = {
      .step_count = 8, .step_ns = 1, .bursts = {.off_ns = 20, .on_ns = 10, .slowdown = 5}};
  const auto dense = synthetic_interference(model, 3).value();
  const auto sparse = synthetic_interference(model, 3).value();
  std::vector<float> every;
  for (int i = 0; i < 800; ++i) {
    float slowdowns[8];
    dense->next(i, slowdowns);
    every.push_back(slowdowns[0]);
  }
  for (int i = 0; i < 100; ++i) {
    float slowdowns[8];
    sparse->next(8 * i, slowdowns);
    for (int step = 0; step < 8; ++step) {
      EXPECT_EQ(slowdowns[step], every[static_cast<size_t>(8 * i + step)]);
    }
  }
}

TEST(SyntheticInterference, HiccupsComeAsOftenAsAsked) {
  const auto hiccups = synthetic_interference(
                           {.step_count = 10, .hiccups = {.probability = 0.01, .slowdown = 50}}, 1)
                           .value();
  int hit = 0;
  for (int i = 0; i < 20000; ++i) {
    float slowdowns[10];
    hiccups->next(i, slowdowns);
    for (const float slowdown : slowdowns) hit += slowdown == 50 ? 1 : 0;
  }
  EXPECT_NEAR(hit, 2000, 200);
}

TEST(SyntheticInterference, RefusesWhatCannotBe) {
  const double nan = std::nan("");
  const std::vector<SyntheticInterference> wrong = {
      {.step_count = 0},
      {.step_count = 1, .slowdown = 0},
      {.step_count = 1, .step_ns = nan},
      {.step_count = 1, .noise = {.inference_deviation = -1}},
      {.step_count = 1, .noise = {.step_deviation = nan}},
      {.step_count = 1, .bursts = {.off_ns = 1, .on_ns = 0}},
      {.step_count = 1, .bursts = {.off_ns = -1, .on_ns = 1}},
      {.step_count = 1, .hiccups = {.probability = 2}},
      {.step_count = 1, .hiccups = {.probability = 0.1, .slowdown = -1}}};
  for (const SyntheticInterference& model : wrong) {
    EXPECT_FALSE(synthetic_interference(model, 1).ok());
  }
}

}  // namespace
}  // namespace strata::route
