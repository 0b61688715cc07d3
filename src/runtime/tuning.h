// What measurement chose for the steps of a graph where, without it, rules guess: how a convolution
// is cut (kernels/sparse_conv/tiling.h), which levels have lists of taps of their own
// (tap_weights.h), and which run dense (dense_weights.h). Results do not depend on it, but for the
// order in which terms are added.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace strata::runtime {

inline constexpr int32_t kMaxTunedTile = 64;           ///< more than any kernel takes
inline constexpr int32_t kMaxTunedSliceKib = 1 << 20;  ///< more than any step reads

/// How one level of a step runs where it runs sparse. 0: as the rules say.
struct LevelTuning {
  /// Output blocks of a tile; the nearest number that the step allows, see allowed_tile().
  int32_t tile_blocks = 0;
  /// What a slice holds of the input of a tile. Levels that share lists share the slices of the
  /// first of them.
  int32_t slice_kib = 0;
  bool operator==(const LevelTuning&) const = default;
};

struct StepTuning {
  std::vector<LevelTuning> levels;  ///< of those that are missing: as the rules say
  /// So many of the sparsest levels have a list of taps each, those above share lists with the last
  /// of them; 0: as the rules say.
  int32_t alone = 0;
  int32_t first_dense_level = -1;  ///< it and those above run dense; -1: as the rules say
  bool operator==(const StepTuning&) const = default;
};

/// Whether anything differs from what the rules say.
inline bool changes_anything(const StepTuning& step) {
  return step.alone != 0 || step.first_dense_level >= 0 ||
         std::any_of(step.levels.begin(), step.levels.end(),
                     [](const LevelTuning& level) { return level != LevelTuning(); });
}

using Tuning = std::vector<StepTuning>;  ///< [step]

}  // namespace strata::runtime
