// Trains a nested model by a recipe: data in, one .strata file out. Needs libtorch to link, but
// shows nothing of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "format/writer.h"
#include "train/metric.h"
#include "train/recipe.h"

namespace strata::train {

struct TrainOptions {
  Recipe recipe;
  std::string recipe_text;       ///< as the user wrote it, kept in the model's record; may be empty
  std::filesystem::path output;  ///< OUTPUT; OUTPUT.csv is the log, OUTPUT.ckpt the checkpoint
  std::string data_dir;          ///< overrides recipe.data.dir unless empty
  bool resume = false;           ///< continue from the checkpoint; from the start if there is none
  std::string device = "cpu";    ///< "cpu" or "cuda"
  /// How OUTPUT stores weights; the network learns in f32, and its results are those in f32.
  format::ValueType values = format::ValueType::kFloat32;
  bool quiet = false;
  /// Called after every step, its row in the log included; SIGTERM raised here stops the run.
  std::function<void(int64_t steps_done)> after_step = {};
};

struct LevelResult {
  int level = 0;
  double value = 0;  ///< the metric on the test split, as measured
  double weights_pct = 0;
  double weights_pct_prunable = 0;
  double flops_pct = 0;
};

struct TrainResult {
  Metric metric;
  std::vector<LevelResult> levels;
  double seconds = 0;  ///< of training, over all resumed runs
  double epochs = 0;
  int64_t steps = 0;
};

/// Runs to the end and writes OUTPUT, then removes the checkpoint. The same recipe, data, seed and
/// thread count give the same bytes, resumed or not. Not for several threads at once: it takes over
/// SIGINT and SIGTERM while it runs, finishes the step at hand, writes a checkpoint and throws an
/// Error that says how to go on.
/// Throws Error: data that cannot be read, a budget that cannot be met, a checkpoint of another
/// recipe or data set (naming the key) or a damaged one, a full disk, a loss that is not finite.
TrainResult train(const TrainOptions& options);

}  // namespace strata::train
