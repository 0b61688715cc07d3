// What `compress` tells: every level beside the original, every layer, and which levels are not
// worth having.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/reader.h"
#include "sparse/accounting.h"
#include "tools/strata/console.h"
#include "tools/strata/level_comparison.h"

namespace strata::cli {

struct CompressedLayer {
  std::string weight;
  int64_t elements = 0;
  double sensitivity = 0;
  std::vector<int64_t> nonzeros;  ///< [level]
  std::vector<double> error;      ///< [level]
  double seconds = 0;
};

struct CompressionReport {
  std::shared_ptr<const format::Reader> reader;  ///< of what was written
  sparse::DensityReport density;
  std::string method;
  double seconds = 0;  ///< without fine-tuning
  struct FineTuning {
    double seconds = 0, epochs = 0;
    int64_t steps = 0;
  };
  std::optional<FineTuning> fine_tuning;
  std::optional<LevelComparison> comparison;  ///< on test data, if there are any
  std::optional<LevelComparison> unrounded;   ///< with f32 values, if those of the file are not
  std::string data;                           ///< its name; empty: none
  int threads = 1;                            ///< that levels were timed with
  std::vector<LevelTime> times;               ///< [level], the dense network's last
  std::vector<double> asked_ms;               ///< [level], if levels were asked for by time
  std::vector<CompressedLayer> layers;
};

/// Levels that cost accuracy or time for nothing, a sentence each.
std::vector<std::string> doubtful_levels(const CompressionReport& report);

/// Prints the table, or the document with --json, and the doubts on stderr.
void show(const Console& console, const CompressionReport& report);

}  // namespace strata::cli
