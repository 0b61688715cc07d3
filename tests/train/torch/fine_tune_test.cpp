// Training what one-shot compression has made: masks stay, every level comes closer to the
// original, with labels and without, and an interrupted run goes on bit for bit.
#include "train/torch/fine_tune.h"

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include "graph/builder.h"
#include "memory_samples.h"
#include "session_fixture.h"
#include "small_training.h"
#include "sparse/random.h"
#include "temporary_directory.h"
#include "train/error.h"
#include "train/torch/dense_runner.h"

namespace strata::train {
namespace {

using testing::MemorySamples;

/// A network without normalisation and what it is fed with.
sparse::NestedModel dense_perceptron() {
  graph::Model model;
  model.name = "perceptron";
  graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("x", {"batch", 24});
  value = builder.relu("relu1", builder.gemm("fc1", value, 24, 32));
  value = builder.relu("relu2", builder.gemm("fc2", value, 32, 32));
  builder.output(builder.gemm("fc3", value, 32, 5), "y", {"batch", 5});
  builder.finish();
  const std::vector<sparse::LevelBudget> all = {{.weights = 1.0, .flops = {}}};
  return *sparse::random_nested_model(model, all, sparse::AllocationMethod::kUniform, 2);
}

/// What `dense` itself answers, as labels if `labelled`.
MemorySamples samples_for(const sparse::NestedModel& dense, const std::vector<int64_t>& shape,
                          int64_t count, int64_t classes, bool labelled) {
  const MemorySamples inputs = testing::random_inputs(shape, count);
  std::vector<int64_t> labels;
  if (labelled) {
    std::vector<float> answers(static_cast<size_t>(count * classes));
    TorchModel(dense).run(inputs.values(), count, answers);
    for (int64_t i = 0; i < count; ++i) {
      const auto row = answers.begin() + i * classes;
      labels.push_back(std::max_element(row, row + classes) - row);
    }
  }
  MemorySamples samples(count, labels);
  samples.add("x", shape, inputs.values());
  return samples;
}

FineTuneOptions options_in(const std::filesystem::path& folder, double epochs) {
  FineTuneOptions options;
  options.recipe = fine_tuning_recipe();
  options.recipe.threads = 1;
  options.recipe.optimizer.batch_size = 16;
  options.recipe.optimizer.epochs = epochs;
  options.checkpoint = folder / "run.ckpt";
  options.log = folder / "run.csv";
  options.quiet = true;
  return options;
}

/// Mean over samples of |level's output - dense output|^2 / |dense output|^2.
double distance(const sparse::NestedModel& dense, const sparse::NestedModel& nested, int level,
                const MemorySamples& samples, size_t outputs) {
  const int64_t count = samples.count();
  std::vector<float> expected(static_cast<size_t>(count) * outputs);
  std::vector<float> actual(expected.size());
  TorchModel(dense).run(samples.values(), count, expected);
  TorchModelOptions options;
  options.level = level;
  TorchModel(nested, options).run(samples.values(), count, actual);
  double difference = 0;
  double energy = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    energy += expected[i] * expected[i];
  }
  return difference / energy;
}

void expect_same_masks(const sparse::NestedModel& a, const sparse::NestedModel& b) {
  ASSERT_EQ(a.weights.size(), b.weights.size());
  for (const auto& [name, tensor] : a.weights) {
    for (int k = 0; k < a.level_count; ++k) {
      EXPECT_EQ(sparse::mask(tensor, k), sparse::mask(b.weights.at(name), k)) << name;
    }
  }
}

TEST(FineTune, WithoutLabelsLevelsComeCloserToTheOriginal) {
  const TemporaryDirectory folder;
  const sparse::NestedModel dense = dense_perceptron();
  const MemorySamples samples = samples_for(dense, {24}, 256, 5, /*labelled=*/false);
  const sparse::NestedModel start = testing::compress(dense, samples, {0.25, 0.5}).nested;
  const FineTuneResult tuned = fine_tune(dense, start, samples, options_in(folder.path(), 20));
  expect_same_masks(start, tuned.nested);
  EXPECT_TRUE(sparse::check(tuned.nested).ok());
  for (int k = 0; k < 2; ++k) {
    EXPECT_LT(distance(dense, tuned.nested, k, samples, 5),
              0.7 * distance(dense, start, k, samples, 5))
        << k;
  }
  EXPECT_NEAR(tuned.epochs, 20, 0.1);
}

TEST(FineTune, ResumedAfterAnInterruptionItIsTheSameRun) {
  const sparse::NestedModel dense =
      testing::random_nested(testing::resnet("resnet8", 16, 16, 4), {1.0}, 5);
  const MemorySamples samples = samples_for(dense, {3, 16, 16}, 64, 10, /*labelled=*/true);
  const sparse::NestedModel start = testing::compress(dense, samples, {0.3, 0.6}).nested;
  const TemporaryDirectory folder;
  const FineTuneResult whole = fine_tune(dense, start, samples, options_in(folder.path(), 2));
  EXPECT_NE(whole.nested, start);

  const TemporaryDirectory other;
  FineTuneOptions options = options_in(other.path(), 2);
  options.after_step = [](int64_t done) {
    if (done == 2) (void)std::raise(SIGTERM);
  };
  const std::string error =
      testing::error_of([&] { static_cast<void>(fine_tune(dense, start, samples, options)); });
  EXPECT_NE(error.find("--resume"), std::string::npos) << error;
  options.after_step = {};
  options.resume = true;
  const FineTuneResult resumed = fine_tune(dense, start, samples, options);
  EXPECT_EQ(resumed.nested, whole.nested);
  EXPECT_EQ(resumed.steps, whole.steps);
}

TEST(FineTune, MinutesBecomeEpochsAndAreKeptWhenResumed) {
  const TemporaryDirectory folder;
  const sparse::NestedModel dense = dense_perceptron();
  const MemorySamples samples = samples_for(dense, {24}, 64, 5, /*labelled=*/true);
  const sparse::NestedModel start = testing::compress(dense, samples, {0.5}).nested;
  FineTuneOptions options = options_in(folder.path(), 1);
  options.minutes = 0.02;
  options.after_step = [](int64_t done) {
    if (done == 1) (void)std::raise(SIGTERM);
  };
  const std::string error =
      testing::error_of([&] { static_cast<void>(fine_tune(dense, start, samples, options)); });
  EXPECT_NE(error.find("interrupted after step 1 of"), std::string::npos) << error;
  options.after_step = {};
  options.resume = true;
  const FineTuneResult result = fine_tune(dense, start, samples, options);
  EXPECT_GT(result.steps, 1);
  EXPECT_NE(error.find("of " + std::to_string(result.steps)), std::string::npos) << error;
}

TEST(FineTune, LabelsThatTheNetworkDoesNotKnowAreRefused) {
  const TemporaryDirectory folder;
  const sparse::NestedModel dense = dense_perceptron();
  MemorySamples samples(32, std::vector<int64_t>(32, 7));
  samples.add("x", {24}, testing::random_floats(int64_t{32} * 24));
  const std::string error = testing::error_of(
      [&] { static_cast<void>(fine_tune(dense, dense, samples, options_in(folder.path(), 1))); });
  EXPECT_NE(error.find("go up to 7"), std::string::npos) << error;
}

}  // namespace
}  // namespace strata::train
