// Trains on what one-shot compression has made: masks stay, values and what every level owns learn
// from the dense original. Needs libtorch to link, but shows nothing of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "sparse/nested_model.h"
#include "train/data/samples.h"
#include "train/recipe.h"

namespace strata::train {

struct FineTuneOptions {
  Recipe recipe;       ///< optimizer, algorithm.joint, data.augment, checkpoint and eval count
  double minutes = 0;  ///< above 0: as many epochs as take so long here, whatever the recipe says
  std::filesystem::path checkpoint;
  std::filesystem::path log;  ///< CSV
  bool resume = false;        ///< continue from the checkpoint; from the start if there is none
  bool quiet = false;
  /// Called after every step; SIGTERM raised here stops the run.
  std::function<void(int64_t steps_done)> after_step = {};
};

struct FineTuneResult {
  sparse::NestedModel nested;  ///< normalisation not folded
  double seconds = 0;          ///< over all resumed runs
  double epochs = 0;
  int64_t steps = 0;
};

/// What suits a network that is trained already, of any kind.
Recipe fine_tuning_recipe();

/// `dense` is the original, `start` the same graph with nested levels, both with normalisation that
/// is not folded. With labels, levels learn from them and from the original; without, from the
/// original alone. Ends like train() when it is interrupted, and leaves the checkpoint where it is.
/// Throws Error: as train().
FineTuneResult fine_tune(const sparse::NestedModel& dense, const sparse::NestedModel& start,
                         const data::Samples& samples, const FineTuneOptions& options);

}  // namespace strata::train
