// See fine_tune.h.
#include "train/torch/fine_tune.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include <ATen/Context.h>

#include "train/error.h"
#include "train/torch/algorithm.h"
#include "train/torch/checkpoint.h"
#include "train/torch/tasks/distillation.h"
#include "train/torch/tensor_threads.h"
#include "train/torch/trainer.h"

namespace strata::train {
namespace {

constexpr int64_t kTrialSteps = 20;  ///< at most, to learn how long one takes
constexpr double kTrialSeconds = 10;
constexpr double kLeastEpochs = 0.01;

std::unique_ptr<Network> network_of(const sparse::NestedModel& start) {
  auto network = std::make_unique<Network>(start.model, start.level_count, 0, at::kCPU);
  network->load(start);
  return network;
}

/// How many epochs of these steps fit into the time.
double epochs_for(double minutes, const Recipe& recipe, const sparse::NestedModel& start,
                  Task& task) {
  const std::unique_ptr<Network> network = network_of(start);
  const std::unique_ptr<NestingAlgorithm> algorithm = make_joint_tuning(recipe, *network, task);
  using Clock = std::chrono::steady_clock;
  algorithm->step(task.batch(0), 0);  // the first one allocates
  const auto begin = Clock::now();
  int64_t steps = 0;
  double seconds = 0;
  while (steps < kTrialSteps && seconds < kTrialSeconds) {
    algorithm->step(task.batch(steps), steps);
    ++steps;
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  const double wanted = 60 * minutes / (seconds / static_cast<double>(steps));
  return std::max(kLeastEpochs, wanted / static_cast<double>(task.steps_per_epoch()));
}

FineTuneResult run(const sparse::NestedModel& dense, const sparse::NestedModel& start,
                   const data::Samples& samples, const FineTuneOptions& options) {
  Recipe recipe = options.recipe;
  // Without labels there is nothing to learn but the original's answers.
  if (samples.labels().empty()) recipe.algorithm.joint.distill = 1;
  check_writable(options.checkpoint);
  const int threads = thread_count(recipe);
  set_tensor_threads(threads);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  const std::unique_ptr<Task> task = make_distillation(recipe, dense, samples, threads);
  if (options.minutes > 0) {
    const bool resumes = options.resume && std::filesystem::exists(options.checkpoint);
    recipe.optimizer.epochs = resumes
                                  ? checkpoint_recipe(options.checkpoint.string()).optimizer.epochs
                                  : epochs_for(options.minutes, recipe, start, *task);
  }
  const std::unique_ptr<Network> network = network_of(start);
  const std::unique_ptr<NestingAlgorithm> algorithm = make_joint_tuning(recipe, *network, *task);
  Trainer trainer(recipe, *task, *network, *algorithm,
                  {.checkpoint = options.checkpoint,
                   .log = options.log,
                   .resume = options.resume,
                   .quiet = options.quiet,
                   .after_step = options.after_step});
  trainer.run();
  return {network->nested(), trainer.seconds(), trainer.epoch(), trainer.steps_done()};
}

}  // namespace

Recipe fine_tuning_recipe() {
  Recipe recipe;
  recipe.optimizer.kind = OptimizerKind::kSgd;
  recipe.optimizer.lr = 0.01;
  recipe.optimizer.batch_size = 128;
  recipe.optimizer.gradient_clip = 5;
  recipe.algorithm.joint.distill = 0.5;
  return recipe;
}

FineTuneResult fine_tune(const sparse::NestedModel& dense, const sparse::NestedModel& start,
                         const data::Samples& samples, const FineTuneOptions& options) {
  try {
    return run(dense, start, samples, options);
  } catch (const c10::Error& error) {
    throw Error(std::string("fine-tuning failed inside libtorch: ") +
                error.what_without_backtrace());
  }
}

}  // namespace strata::train
