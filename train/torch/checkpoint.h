// A checkpoint: named tensors and the facts of the run, in one checksummed file that is replaced
// atomically, so that there is always a readable one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "train/recipe.h"
#include "train/torch/network.h"

namespace strata::train {

struct CheckpointFacts {
  std::string recipe;        ///< to_toml() of the run's recipe
  uint64_t data_digest = 0;  ///< Task::digest()
  int64_t steps_done = 0;
  double seconds = 0;
};

/// Hands a visitor to everything that has state.
using VisitState = std::function<void(const StateVisitor&)>;

/// Throws Error naming the path; the checkpoint that was there stays then.
void write_checkpoint(const std::string& path, const CheckpointFacts& facts,
                      const VisitState& state);

/// Fills the state in place. `expected` has the recipe and the data of the run that resumes. Throws
/// Error: damaged, of another version, another recipe (naming the first key that differs, save
/// those of [checkpoint]) or other data.
CheckpointFacts read_checkpoint(const std::string& path, const CheckpointFacts& expected,
                                const VisitState& state);

/// The recipe of the run that wrote it. Throws Error: damaged, of another version.
Recipe checkpoint_recipe(const std::string& path);

}  // namespace strata::train
