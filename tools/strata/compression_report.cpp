#include "tools/strata/compression_report.h"

#include "tools/strata/inspection.h"
#include "tools/strata/machine.h"
#include "tools/strata/table.h"

namespace strata::cli {
namespace {

constexpr double kSteepLoss = 10;      ///< points below dense at which a level is doubted
constexpr double kFarOutput = 0.5;     ///< output distance at which it is
constexpr double kTimingNoise = 0.02;  ///< share by which medians differ for no reason

std::string level_name(size_t level) { return "level " + std::to_string(level); }

/// Why a level is not worth its accuracy.
void doubt_accuracy(const CompressionReport& report, std::vector<std::string>& doubts) {
  if (!report.comparison) return;
  const auto& levels = report.comparison->levels;
  for (size_t k = 0; k < levels.size(); ++k) {
    const bool labelled = levels[k].top1.has_value();
    if (labelled && *report.comparison->dense_top1 - *levels[k].top1 > kSteepLoss) {
      doubts.push_back(level_name(k) + " is " +
                       format_fixed(*report.comparison->dense_top1 - *levels[k].top1, 1) +
                       " points below the dense network; it is hardly worth having");
    } else if (!labelled && levels[k].output_distance > kFarOutput) {
      doubts.push_back(level_name(k) + " gives outputs that are far from the dense network's (" +
                       format_fixed(levels[k].output_distance, 2) + "); it is hardly worth having");
    }
    if (k == 0) continue;
    const bool better = labelled ? *levels[k].top1 > *levels[k - 1].top1
                                 : levels[k].output_distance < levels[k - 1].output_distance;
    if (!better) {
      doubts.push_back(level_name(k) + " is not more accurate than " + level_name(k - 1) +
                       ", which is sparser; leave it out");
    }
  }
}

void doubt_time(const CompressionReport& report, std::vector<std::string>& doubts) {
  for (size_t k = 0; k + 1 < report.times.size(); ++k) {
    const double here = report.times[k].p50_ms;
    const double next = report.times[k + 1].p50_ms;
    if (here < (1 - kTimingNoise) * next) continue;
    const bool last = k + 2 == report.times.size();
    doubts.push_back(level_name(k) + " is not faster than " +
                     (last ? "the dense network" : level_name(k + 1)) + " on this machine (" +
                     format_fixed(here, 3) + " and " + format_fixed(next, 3) + " ms)");
  }
}

Json layers_json(const std::vector<CompressedLayer>& layers) {
  Json all = Json::array();
  for (const CompressedLayer& layer : layers) {
    Json density = Json::array();
    for (const int64_t nonzeros : layer.nonzeros) {
      density.push_back(100 * static_cast<double>(nonzeros) / static_cast<double>(layer.elements));
    }
    all.push_back({{"weight", layer.weight},
                   {"elements", layer.elements},
                   {"nonzeros", layer.nonzeros},
                   {"density_pct", density},
                   {"sensitivity", layer.sensitivity},
                   {"error", layer.error},
                   {"seconds", layer.seconds}});
  }
  return all;
}

}  // namespace

std::vector<std::string> doubtful_levels(const CompressionReport& report) {
  std::vector<std::string> doubts;
  doubt_accuracy(report, doubts);
  doubt_time(report, doubts);
  return doubts;
}

void show(const Console& console, const CompressionReport& report) {
  const std::vector<std::string> doubts = doubtful_levels(report);
  const bool labelled = report.comparison && report.comparison->dense_top1;
  Json document = console.document();
  document["model"] = model_json(*report.reader);
  document["method"] = report.method;
  document["values"] = to_string(report.reader->value_type());
  document["seconds"] = report.seconds;
  if (report.fine_tuning) {
    document["fine_tuning"] = {{"seconds", report.fine_tuning->seconds},
                               {"epochs", report.fine_tuning->epochs},
                               {"steps", report.fine_tuning->steps}};
  }
  document["metric"] = "top1";
  document["unit"] = "percent";
  if (labelled) document["dense_value"] = *report.comparison->dense_top1;
  if (report.comparison) document["test_samples"] = report.comparison->samples;
  document["data"] = report.data;
  document["threads"] = report.threads;
  document["dense_ms"] = report.times.back().p50_ms;
  document["levels"] = Json::array();
  Table table;
  std::vector<std::string> titles = {"level"};
  if (labelled) titles.insert(titles.end(), {"top-1 %", "of dense"});
  if (report.comparison) titles.emplace_back("output distance");
  if (report.unrounded) titles.emplace_back(labelled ? "of f32" : "distance in f32");
  titles.insert(titles.end(), {"weights %", "FLOPs %", "ms"});
  if (!report.asked_ms.empty()) titles.emplace_back("asked ms");
  titles.emplace_back("bytes to end");
  for (const std::string& title : titles) table.add_column(title);
  for (size_t k = 0; k < report.density.levels.size(); ++k) {
    const sparse::LevelDensity& level = report.density.levels[k];
    Json entry = level_json(level, report.reader->blocks()[k]);
    std::vector<std::string> row = {std::to_string(k)};
    if (report.comparison) {
      const LevelWorth& worth = report.comparison->levels[k];
      if (labelled) {
        entry["value"] = *worth.top1;
        row.push_back(format_fixed(*worth.top1, 2));
        row.push_back(format_fixed(*worth.top1 - *report.comparison->dense_top1, 2));
      }
      entry["output_distance"] = worth.output_distance;
      row.push_back(format_fixed(worth.output_distance, 4));
      if (report.unrounded) {
        const LevelWorth& f32 = report.unrounded->levels[k];
        if (labelled) entry["value_f32"] = *f32.top1;
        entry["output_distance_f32"] = f32.output_distance;
        row.push_back(labelled ? format_fixed(*worth.top1 - *f32.top1, 2)
                               : format_fixed(f32.output_distance, 4));
      }
    }
    const LevelTime& time = report.times[k];
    entry["p50_ms"] = time.p50_ms;
    entry["p90_ms"] = time.p90_ms;
    entry["p99_ms"] = time.p99_ms;
    row.insert(row.end(), {format_fixed(level.weights_pct, 2), format_fixed(level.flops_pct, 2),
                           format_fixed(time.p50_ms, 3)});
    if (!report.asked_ms.empty()) {
      entry["asked_ms"] = report.asked_ms[k];
      row.push_back(format_fixed(report.asked_ms[k], 3));
    }
    row.push_back(format_count(static_cast<int64_t>(report.reader->blocks()[k].bytes_to_end)));
    table.add_row(std::move(row));
    document["levels"].push_back(std::move(entry));
  }
  document["warnings"] = doubts;
  document["layers"] = layers_json(report.layers);
  document["machine"] = machine_json();
  document["build"] = build_json();
  std::string text = table.text() + "dense: ";
  if (labelled) text += format_fixed(*report.comparison->dense_top1, 2) + " %, ";
  console.result(document, text + format_fixed(report.times.back().p50_ms, 3) + " ms\n");
  for (const std::string& doubt : doubts) console.note("warning: " + doubt);
}

}  // namespace strata::cli
