// Columns: step, epoch, lr, loss_K and METRIC_K (such as accuracy_K) and perhaps
// validation_METRIC_K per level, seconds. An empty field is a figure that there was none of.
#include "train/torch/csv_log.h"

#include <charconv>
#include <cstdio>
#include <utility>

#include "train/error.h"

namespace strata::train {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

std::string fields(const std::vector<std::optional<double>>& values) {
  std::string text;
  for (const std::optional<double>& value : values) {
    text += ",";
    if (value) text += number(*value);
  }
  return text;
}

/// Rows of an earlier run that are still true: those up to `steps_done`.
std::string earlier_rows(const std::filesystem::path& path, int64_t steps_done) {
  std::string rows;
  if (steps_done == 0) return rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    int64_t step = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), step);
    if (error != std::errc() || end == line.data() + line.size() || *end != ',') continue;
    if (step <= steps_done) rows += line + "\n";
  }
  return rows;
}

}  // namespace

CsvLog::CsvLog(std::filesystem::path path, const std::vector<std::string>& metrics, int level_count,
               int64_t steps_done)
    : path_(std::move(path)) {
  const std::string kept = earlier_rows(path_, steps_done);
  file_.open(path_, std::ios::trunc);
  std::string header = "step,epoch,lr";
  std::vector<std::string> columns = {"loss"};
  columns.insert(columns.end(), metrics.begin(), metrics.end());
  for (const std::string& column : columns) {
    for (int level = 0; level < level_count; ++level) {
      header += "," + column + "_" + std::to_string(level);
    }
  }
  file_ << header << ",seconds\n" << kept << std::flush;
  if (!file_) throw Error("the log '" + path_.string() + "' cannot be written");
}

void CsvLog::append(const LogRow& row) {
  file_ << row.step << "," << number(row.epoch) << "," << number(row.learning_rate)
        << fields(row.loss) << fields(row.metric) << fields(row.validation) << ","
        << number(row.seconds) << "\n"
        << std::flush;
  if (!file_) {
    throw Error("the log '" + path_.string() + "' cannot be written; is the disk full?");
  }
}

}  // namespace strata::train
