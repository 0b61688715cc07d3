// The CSV log of a run: one line per some steps, plain to plot, continued when a run is resumed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace strata::train {

struct LogRow {
  int64_t step = 0;  ///< steps done
  double epoch = 0;
  double learning_rate = 0;
  std::vector<std::optional<double>> loss;        ///< [level] mean since the last row
  std::vector<std::optional<double>> metric;      ///< [level] of the test split, where evaluated
  std::vector<std::optional<double>> validation;  ///< [level] the same; empty without such a split
  double seconds = 0;
};

class CsvLog {
 public:
  /// `metrics` names the columns of the metric, validation's last. Begins the file anew, or keeps
  /// the rows up to `steps_done` of the run that is resumed. Throws Error if it cannot be written.
  CsvLog(std::filesystem::path path, const std::vector<std::string>& metrics, int level_count,
         int64_t steps_done);
  /// Appends and flushes.
  void append(const LogRow& row);

 private:
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace strata::train
