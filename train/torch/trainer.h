// The loop around every algorithm: batches, evaluation, log, checkpoints, interruption.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/recipe.h"
#include "train/torch/algorithm.h"
#include "train/torch/best_state.h"
#include "train/torch/checkpoint.h"
#include "train/torch/csv_log.h"
#include "train/torch/task.h"

namespace strata::train {

struct TrainerOptions {
  std::filesystem::path checkpoint;  ///< replaced now and then; removed by the caller in the end
  std::filesystem::path log;         ///< CSV
  bool resume = false;               ///< from the checkpoint, if there is one
  bool quiet = false;
  /// Called after every step, its row in the log included; SIGTERM raised here stops the run.
  std::function<void(int64_t steps_done)> after_step = {};
};

/// Recipe, task, network and algorithm must outlive it.
class Trainer {
 public:
  Trainer(const Recipe& recipe, Task& task, Network& network, NestingAlgorithm& algorithm,
          TrainerOptions options);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// To the last step, from the first or from where the checkpoint stands. Throws Error as train().
  void run();

  using Values = std::vector<std::optional<double>>;           ///< [level] the metric
  using Evaluations = std::vector<std::optional<Evaluation>>;  ///< [level]
  /// What every level that stands for something is worth now.
  [[nodiscard]] Evaluations evaluate();
  [[nodiscard]] static Values test_values(const Evaluations& evaluations);

  [[nodiscard]] int64_t steps_done() const { return steps_done_; }
  [[nodiscard]] double epoch() const {
    return static_cast<double>(steps_done_) / static_cast<double>(task_.steps_per_epoch());
  }
  [[nodiscard]] double seconds() const;  ///< over all resumed runs

 private:
  void resume();
  void loop();
  void save();
  void log(const StepReport& report, const Evaluations& evaluations);
  void keep_best(const Evaluations& evaluations);
  void end_stretch();
  void add_losses(const StepReport& report);
  void remove_half_written() const;
  [[nodiscard]] bool evaluation_due() const;
  [[nodiscard]] std::string progress_message(const StepReport& report) const;
  void visit_state(const StateVisitor& visitor);
  [[nodiscard]] CheckpointFacts facts() const;

  const Recipe& recipe_;
  Task& task_;
  Network& network_;
  NestingAlgorithm& algorithm_;
  TrainerOptions options_;
  std::unique_ptr<BestState> best_;  ///< if there is a validation split
  std::unique_ptr<CsvLog> csv_;
  int64_t steps_done_ = 0;
  double seconds_before_ = 0;
  double begin_;
  at::Tensor loss_sums_;  ///< [level][sum, count] since the last row of the log
};

/// Throws Error unless `path` can be written: its directory is missing or forbidden.
void check_writable(const std::filesystem::path& path);

/// The recipe's number of threads, or that of the processors.
int thread_count(const Recipe& recipe);

}  // namespace strata::train
