// What the report shows, gathered from the results of eval, bench and qos and from the model
// itself, and checked to speak of the same model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/strata/console.h"

namespace strata::cli {

struct ReportLevel {
  int level = 0;
  double weights_pct = 0;
  double flops_pct = 0;
  uint64_t bytes_to_end = 0;
  std::optional<double> accuracy;  ///< top-1, percent
  std::optional<double> p50_ms, p90_ms, p99_ms;
  std::optional<double> speedup;     ///< over dense libtorch
  std::optional<double> over_alone;  ///< time over that of the same level stored alone
};

struct ReportPeer {
  std::string name;
  std::string description;
  double p50_ms = 0, p90_ms = 0, p99_ms = 0;
};

/// Accuracy of switching from one level to a sparser one, by the step before which it happens.
struct SwitchLine {
  int from = 0;
  int to = 0;
  struct Point {
    int64_t step = 0;
    std::string name;
    double value = 0;
  };
  std::vector<Point> points;
};

struct ReportLayer {
  std::string name;
  int64_t elements = 0;
  int64_t dense_macs = 0;
  bool prunable = true;
  std::vector<double> density_pct;  ///< [level]
};

struct ReportBlock {
  std::string name;  ///< "metadata", "increment 0"
  uint64_t bytes = 0;
  std::string detail;
};

struct ReportSource {
  std::string verb;
  std::string command;
  std::string machine;
  std::string build;
};

// Moving a Json is declared not to throw, but asserts what clang-tidy believes to throw.
struct ReportData {  // NOLINT(bugprone-exception-escape)
  std::string model;
  std::string file;
  int64_t parameters = 0;  ///< 0: unknown
  std::string values;      ///< "f32"; empty: unknown
  uint64_t file_bytes = 0;
  std::vector<ReportLevel> levels;
  std::string data_name;
  int64_t images = 0;
  std::vector<SwitchLine> switch_lines;
  int64_t switch_images = 0;
  std::vector<double> switch_levels;  ///< [level], on the images of the switch points
  std::vector<ReportPeer> peers;
  int threads = 0;
  bool steady = true;  ///< timed on a quiet machine, no contender's runs differ too much
  std::vector<ReportLayer> layers;
  std::vector<ReportBlock> blocks;
  Json qos;  ///< the whole result of strata qos; null: none
  std::vector<ReportSource> sources;
};

/// Files to gather from; an empty name: none. Without a model file, the one that the results name
/// is used if it is still there.
struct ReportFiles {
  std::string eval;
  std::string bench;
  std::string qos;
  std::string compress;
  std::string model;
};

/// Throws Error: a file that is missing, no result of that verb, or about another model.
ReportData gather(const ReportFiles& files);

}  // namespace strata::cli
