// What every level of a compressed network is worth beside the original: on test samples, with the
// runtime, as a user will run it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "format/reader.h"
#include "tools/strata/console.h"
#include "tools/strata/session_buffers.h"
#include "train/data/samples.h"

namespace strata::cli {

/// |output - reference|^2 / |reference|^2, mean over the outputs that are floating-point numbers,
/// of what two sessions made last.
double output_distance(const SessionBuffers& session, const SessionBuffers& reference);

/// Whether the largest number of the first output is the one at `label`.
bool answers(const SessionBuffers& session, int64_t label);

struct LevelWorth {
  std::optional<double> top1;  ///< percent, where there are labels
  /// Mean over samples and outputs of |output - dense output|^2 / |dense output|^2.
  double output_distance = 0;
};

struct LevelComparison {
  std::optional<double> dense_top1;
  std::vector<LevelWorth> levels;
  int64_t samples = 0;
};

/// Runs all samples through the dense network and every level. Throws Error, or Interrupted.
LevelComparison compare_levels(const Console& console,
                               const std::shared_ptr<const format::Reader>& dense,
                               const std::shared_ptr<const format::Reader>& compressed,
                               const data::Samples& samples, int threads);

/// Of one inference, milliseconds.
struct LevelTime {
  double p50_ms = 0, p90_ms = 0, p99_ms = 0;
};

/// Run in turns: [level], and last the dense network.
std::vector<LevelTime> time_levels(const std::shared_ptr<const format::Reader>& dense,
                                   const std::shared_ptr<const format::Reader>& compressed,
                                   const graph::Bindings& bindings, int threads);

}  // namespace strata::cli
