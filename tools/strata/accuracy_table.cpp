#include "tools/strata/accuracy_table.h"

#include <set>
#include <utility>

#include "tools/strata/evaluation.h"
#include "train/data/file.h"
#include "train/error.h"
#include "train/progress.h"

namespace strata::cli {

route::AccuracyTable read_accuracy(const std::string& path, const format::Reader& reader) {
  const std::vector<uint8_t> bytes = data::read_file(path);
  route::AccuracyTable accuracy;
  try {
    const Json document = Json::parse(bytes.begin(), bytes.end());
    const Json& levels = document.at("levels");
    for (size_t k = 0; k < reader.blocks().size() || k < levels.size(); ++k) {
      if (k >= reader.blocks().size() || k >= levels.size() || levels[k].at("level") != k ||
          levels[k].at("bytes_to_end") != reader.blocks()[k].bytes_to_end) {
        throw Error("'" + path + "' is about another model or not about every level of '" +
                    reader.path() + "'");
      }
    }
    const Json& points = document.at("switch_points");
    for (const Json& level : points.empty() ? levels : document.at("switch_point_levels")) {
      accuracy.levels.push_back(level.at("value").get<double>());
    }
    for (const Json& point : points) {
      accuracy.switch_points.push_back({point.at("step").get<int>(), point.at("from").get<int>(),
                                        point.at("to").get<int>(),
                                        point.at("value").get<double>()});
    }
  } catch (const Json::exception&) {
    throw Error("'" + path + "' is no result of 'strata eval'");
  }
  return accuracy;
}

route::AccuracyTable measure_accuracy(const Console& console,
                                      const std::shared_ptr<const format::Reader>& reader,
                                      const std::string& data_dir, int64_t samples, int threads) {
  const auto evaluator =
      make_evaluator(console, reader, {.data = data_dir, .limit = samples, .threads = threads});
  const size_t steps = evaluator->steps().size();
  const int level_count = reader->level_count();
  const std::vector<SwitchPoint> points = switch_points(level_count, steps);

  ProgressOptions options;
  options.mode = progress_mode(console.quiet);
  options.unit = evaluator->sample_unit();
  Progress progress(
      "eval", evaluator->sample_count(0) * (static_cast<int64_t>(points.size()) + level_count),
      options);
  const auto value = [&](const std::vector<uint8_t>& route) {
    return evaluator->measure(0, route, progress).value;
  };
  route::AccuracyTable accuracy;
  for (int level = 0; level < level_count; ++level) {
    accuracy.levels.push_back(value(std::vector<uint8_t>(steps, static_cast<uint8_t>(level))));
  }
  for (const SwitchPoint& point : points) {
    accuracy.switch_points.push_back(
        {static_cast<int>(point.step), point.from, point.to, value(route_of(point, steps))});
  }
  progress.finish();
  return accuracy;
}

route::AccuracyTable stated_accuracy(const std::vector<double>& metrics, int level_count) {
  if (metrics.size() != static_cast<size_t>(level_count)) {
    throw Error("--level-metrics has " + std::to_string(metrics.size()) +
                " figures, the model has " + std::to_string(level_count) + " levels");
  }
  route::AccuracyTable table;
  table.levels = metrics;
  return table;
}

route::AccuracyTable accuracy_of_parts(const route::AccuracyTable& single, int64_t parts,
                                       int64_t steps) {
  route::AccuracyTable table;
  table.levels = single.levels;
  std::set<std::pair<int, int>> known;  // (from, to) whose change between two parts is in the table
  const auto add = [&](int64_t part, const route::SwitchPoint& point, double within) {
    const double upper = single.levels[static_cast<size_t>(point.from)];
    const double lower = single.levels[static_cast<size_t>(point.to)];
    const auto before = static_cast<double>(part);
    const auto behind = static_cast<double>(parts - 1 - part);
    table.switch_points.push_back(
        {static_cast<int>(part * steps) + point.step, point.from, point.to,
         (before * upper + within + behind * lower) / static_cast<double>(parts)});
  };
  for (const route::SwitchPoint& point : single.switch_points) {
    const bool first = known.emplace(point.from, point.to).second;
    for (int64_t part = 0; part < parts; ++part) {
      add(part, point, point.metric);
      if (first && part > 0) {
        add(part, {0, point.from, point.to, 0}, single.levels[static_cast<size_t>(point.to)]);
      }
    }
  }
  return table;
}

}  // namespace strata::cli
