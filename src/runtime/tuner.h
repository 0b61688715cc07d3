// Finds, by measuring on the device, how the steps of a graph run fastest: one choice after the
// other (lists of taps, tiles, slices, dense kernels) is tried for all steps at once, in turns with
// the best found so far, and kept for those steps and levels that are clearly faster with it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/status.h"
#include "format/reader.h"
#include "runtime/session.h"
#include "runtime/tuning.h"

namespace strata::runtime {

struct TunerOptions {
  int64_t rounds =
      0;  ///< inferences of each level per trial; 0: what fits into `seconds`, 7 to 200
  double seconds = 2;       ///< of one trial, what `rounds` is chosen by
  double most_bytes = 1.5;  ///< packed weights, times the bytes of the file; what needs more than
                            ///< this and than the rules is not chosen
  /// Called before every round; false ends the search with what was found so far. Must not throw.
  std::function<bool(int64_t done, int64_t total)> progress = {};
};

struct TuningResult {
  Tuning steps;           ///< [step]
  bool complete = false;  ///< false: `progress` ended it, there are no times
  int64_t rounds = 0;     ///< per trial
  /// Medians in nanoseconds as the rules say and as tuned, in turns: [step * levels + level].
  std::vector<double> before_ns;
  std::vector<double> after_ns;
  std::vector<StepPacking> packing;  ///< [step], as tuned
  size_t bytes_before = 0;           ///< of packed weights
  size_t bytes_after = 0;
};

/// Tunes the session that `options` describe; its tuning is left aside. The machine should have
/// nothing else to do. Packs the weights twice. Errors: those of Session::create()
/// and of inferences on random inputs.
Result<TuningResult> tune(std::shared_ptr<const format::Reader> reader,
                          const SessionOptions& options, const TunerOptions& tuner_options = {});

/// Every choice that tune() may make for all steps at once: for tests.
std::vector<StepTuning> tuning_candidates(int level_count);

}  // namespace strata::runtime
