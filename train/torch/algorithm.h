// One interface for everything that turns batches into a nested network; the trainer owns the loop
// around it (data, schedule of evaluation, checkpoints, log).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sparse/allocation.h"
#include "train/recipe.h"
#include "train/torch/network.h"
#include "train/torch/task.h"

namespace strata::train {

/// What a step tells the log.
struct StepReport {
  double learning_rate = 0;
  /// [level] the task's loss, where the level ran by itself in this step.
  std::vector<std::optional<double>> loss;
};

/// Given the same network, recipe and batches, every implementation does the same, bit for bit,
/// from any step on whose state it was given back through visit(): it keeps no random state.
class NestingAlgorithm {
 public:
  virtual ~NestingAlgorithm() = default;

  [[nodiscard]] virtual int64_t total_steps() const = 0;
  /// One optimiser step; called with 0, 1, … total_steps() - 1, or from a resumed step on.
  virtual StepReport step(const Batch& batch, int64_t step) = 0;
  /// Whether a level stands for something after `steps_done` steps, so that evaluating it tells.
  [[nodiscard]] virtual bool ready(int level, int64_t steps_done) const = 0;
  /// The stretch of the run to which the state after `steps_done` steps belongs, if it may stand
  /// for the stretch's end: its masks are final. Where there is a validation split, the best state
  /// of a stretch replaces its last one.
  struct Stretch {
    int index = 0;
    int first_level = 0, last_level = 0;  ///< whose scores count
    bool operator==(const Stretch&) const = default;
  };
  [[nodiscard]] virtual std::optional<Stretch> stretch(int64_t steps_done) const = 0;
  /// What the algorithm is doing now, for the progress line: "pruning", "retraining level 1".
  [[nodiscard]] virtual std::string phase(int64_t step) const = 0;
  /// State besides the network's.
  virtual void visit(const StateVisitor& visitor) = 0;
};

/// Implements `recipe.algorithm.kind`. `network` and `task` must outlive it. Throws Error if the
/// budgets of the levels cannot be met.
std::unique_ptr<NestingAlgorithm> make_algorithm(const Recipe& recipe, Network& network,
                                                 const Task& task);

/// The same for one kind; make_algorithm() chooses among them.
std::unique_ptr<NestingAlgorithm> make_joint(const Recipe& recipe, Network& network,
                                             const Task& task);
std::unique_ptr<NestingAlgorithm> make_grow(const Recipe& recipe, Network& network,
                                            const Task& task);

/// The `joint` algorithm on a network that is nested already: its masks stay as they are.
std::unique_ptr<NestingAlgorithm> make_joint_tuning(const Recipe& recipe, Network& network,
                                                    const Task& task);

/// What the passes of one step draw from: a function of the recipe's seed and of the arguments.
at::Generator pass_generator(const Recipe& recipe, int64_t step, int64_t pass);

/// Layers and magnitudes in the order of network.weights(), as allocation wants them.
struct WeightScores {
  explicit WeightScores(Network& network);
  std::vector<sparse::LayerBudget> layers;
  std::vector<std::vector<float>> values;     ///< |weight|
  std::vector<std::span<const float>> views;  ///< of `values`
};

}  // namespace strata::train
