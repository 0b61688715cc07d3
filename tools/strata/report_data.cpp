#include "tools/strata/report_data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string_view>

#include "tools/strata/inspection.h"
#include "tools/strata/table.h"
#include "train/data/file.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr double kSamePercent = 1e-6;

/// A result of `verb`, or an Error that says what the file is instead.
Json load_result(const std::string& path, const std::string& verb) {
  const std::vector<uint8_t> bytes = data::read_file(path);
  Json json = Json::parse(bytes.begin(), bytes.end(), nullptr, false);
  const std::string make = "; make it with 'strata " + verb + " ... -o " + path + "'";
  if (json.is_discarded() || !json.is_object()) {
    throw Error("'" + path + "' is no JSON object" + make);
  }
  if (!json.contains("verb") || json["verb"] != verb) {
    throw Error("'" + path + "' is no result of strata " + verb + make);
  }
  if (!json.contains("schema") || json["schema"] != kJsonSchema) {
    throw Error("'" + path + "' has another JSON schema than this strata reads (" +
                std::to_string(kJsonSchema) + ")" + make);
  }
  return json;
}

/// Adds a document's levels to those known already; the shares must agree.
void merge_levels(std::vector<ReportLevel>& levels, const Json& document, const std::string& path,
                  const std::function<void(ReportLevel&, const Json&)>& fill) {
  for (const Json& entry : document.at("levels")) {
    ReportLevel level;
    level.level = entry.at("level").get<int>();
    level.weights_pct = entry.at("weights_pct").get<double>();
    level.flops_pct = entry.at("flops_pct").get<double>();
    level.bytes_to_end = entry.at("bytes_to_end").get<uint64_t>();
    auto known = std::find_if(levels.begin(), levels.end(),
                              [&](const ReportLevel& other) { return other.level == level.level; });
    if (known == levels.end()) {
      known = levels.insert(std::upper_bound(levels.begin(), levels.end(), level,
                                             [](const ReportLevel& a, const ReportLevel& b) {
                                               return a.level < b.level;
                                             }),
                            level);
    } else if (std::abs(known->weights_pct - level.weights_pct) > kSamePercent ||
               known->bytes_to_end != level.bytes_to_end) {
      throw Error("'" + path + "' is about another model: its level " +
                  std::to_string(level.level) + " has " + format_fixed(level.weights_pct, 3) +
                  " % of the weights instead of " + format_fixed(known->weights_pct, 3) + " %");
    }
    fill(*known, entry);
  }
}

void add_source(ReportData& report, const Json& document) {
  const Json& machine = document.at("machine");
  const Json& build = document.at("build");
  ReportSource source;
  source.verb = document.at("verb").get<std::string>();
  source.command = document.at("command").get<std::string>();
  source.machine = machine.at("cpu").get<std::string>() + ", " +
                   std::to_string(machine.at("cores").get<int>()) + " cores, " +
                   machine.at("os").get<std::string>();
  source.build = "strata " + build.at("strata").get<std::string>() + ", " +
                 build.at("type").get<std::string>() + ", " +
                 build.at("compiler").get<std::string>();
  if (build.at("libtorch").is_string()) {
    source.build += ", libtorch " + build.at("libtorch").get<std::string>();
  }
  report.sources.push_back(std::move(source));
}

void add_eval(ReportData& report, const Json& document, const std::string& path) {
  if (document.value("metric", std::string()) == "output_distance") {
    throw Error("'" + path + "' holds distances between outputs, not an accuracy; evaluate with " +
                "labels, or leave it out");
  }
  merge_levels(report.levels, document, path, [](ReportLevel& level, const Json& entry) {
    level.accuracy = entry.at("value").get<double>();
  });
  report.data_name = document.at("data").at("name").get<std::string>();
  report.images = document.at("data").at("images").get<int64_t>();
  for (const Json& entry : document.at("switch_points")) {
    const int from = entry.at("from").get<int>();
    const int to = entry.at("to").get<int>();
    auto& lines = report.switch_lines;
    if (lines.empty() || lines.back().from != from || lines.back().to != to) {
      lines.push_back({from, to, {}});
    }
    lines.back().points.push_back({entry.at("step").get<int64_t>(),
                                   entry.at("step_name").get<std::string>(),
                                   entry.at("value").get<double>()});
  }
  if (!report.switch_lines.empty()) {
    report.switch_images = document.at("switch_point_images").get<int64_t>();
    for (const Json& entry : document.at("switch_point_levels")) {
      report.switch_levels.push_back(entry.at("value").get<double>());
    }
  }
  add_source(report, document);
}

void add_bench(ReportData& report, const Json& document, const std::string& path) {
  merge_levels(report.levels, document, path, [](ReportLevel& level, const Json& entry) {
    level.p50_ms = entry.at("p50_ms").get<double>();
    level.p90_ms = entry.at("p90_ms").get<double>();
    level.p99_ms = entry.at("p99_ms").get<double>();
    if (entry.contains("speedup")) level.speedup = entry.at("speedup").get<double>();
    if (entry.contains("over_alone")) level.over_alone = entry.at("over_alone").get<double>();
  });
  report.threads = document.at("threads").get<int>();
  report.steady = document.value("quiet_machine", true);
  for (const char* list : {"levels", "peers"}) {
    for (const Json& entry : document.at(list)) {
      report.steady = report.steady && entry.value("steady", true);
    }
  }
  for (const Json& entry : document.at("peers")) {
    if (entry.contains("level")) continue;  // a level stored alone stands beside its level
    report.peers.push_back({entry.at("name").get<std::string>(),
                            entry.value("description", std::string()),
                            entry.at("p50_ms").get<double>(), entry.at("p90_ms").get<double>(),
                            entry.at("p99_ms").get<double>()});
  }
  add_source(report, document);
}

/// Accuracy and times as eval and bench give them, unless these are there.
void add_compress(ReportData& report, const Json& document, const std::string& path) {
  merge_levels(report.levels, document, path, [](ReportLevel& level, const Json& entry) {
    if (!level.accuracy && entry.contains("value"))
      level.accuracy = entry.at("value").get<double>();
    if (level.p50_ms) return;
    level.p50_ms = entry.at("p50_ms").get<double>();
    level.p90_ms = entry.at("p90_ms").get<double>();
    level.p99_ms = entry.at("p99_ms").get<double>();
  });
  if (report.data_name.empty()) {
    report.data_name = document.at("data").get<std::string>();
    report.images = document.value("test_samples", int64_t{0});
  }
  if (report.threads == 0) report.threads = document.at("threads").get<int>();
  add_source(report, document);
}

/// Kept whole: it has its own sections.
void add_qos(ReportData& report, const Json& document, const std::string& path) {
  if (!report.levels.empty() && report.levels.size() != document.at("levels").size()) {
    throw Error("'" + path + "' is about another model: it has " +
                std::to_string(document.at("levels").size()) + " levels instead of " +
                std::to_string(report.levels.size()));
  }
  report.qos = document;
  add_source(report, document);
}

void add_model(ReportData& report, const std::string& path) {
  const Json inspected = to_json(inspect_file(path), true);
  merge_levels(report.levels, inspected, path, [](ReportLevel&, const Json&) {});
  report.parameters = inspected["parameters"].get<int64_t>();
  report.values = inspected["values"].get<std::string>();
  for (const Json& layer : inspected["layers"]) {
    report.layers.push_back({layer["name"], layer["elements"], layer["dense_macs"],
                             layer["prunable"], layer["density_pct"].get<std::vector<double>>()});
  }
  const auto& levels = inspected["levels"];
  report.blocks.push_back({"header and metadata",
                           levels.empty() ? inspected["file_bytes"].get<uint64_t>()
                                          : levels[0]["increment_offset"].get<uint64_t>(),
                           "graphs, tensor table, level table, training record"});
  for (const Json& level : levels) {
    report.blocks.push_back(
        {"increment " + std::to_string(level["level"].get<int>()),
         level["increment_bytes"].get<uint64_t>(),
         format_count(level["increment_nonzeros"]) + " non-zeros, " +
             format_fixed(level["position_bits_per_nonzero"], 2) + " bits each for the place (" +
             format_fixed(level["entropy_bits_per_nonzero"], 2) + " is the bound), " +
             format_fixed(level["value_bits_per_nonzero"], 1) + " for the value"});
  }
}

}  // namespace

ReportData gather(const ReportFiles& files) {
  ReportData report;
  std::string model_path = files.model;
  const auto add_result = [&](const std::string& path, const std::string& verb, const auto& add) {
    const Json document = load_result(path, verb);
    try {
      const Json& model = document.at("model");
      report.model = model.at("name").get<std::string>();
      report.file = model.at("path").get<std::string>();
      report.file_bytes = model.at("bytes").get<uint64_t>();
      add(report, document, path);
    } catch (const Json::exception& error) {
      throw Error("'" + path + "' is not complete: " + error.what());
    }
    std::error_code failure;
    if (model_path.empty() && std::filesystem::exists(report.file, failure)) {
      model_path = report.file;
    }
  };
  if (!files.eval.empty()) add_result(files.eval, "eval", add_eval);
  if (!files.bench.empty()) add_result(files.bench, "bench", add_bench);
  if (!files.compress.empty()) add_result(files.compress, "compress", add_compress);
  if (!files.qos.empty()) add_result(files.qos, "qos", add_qos);
  if (!model_path.empty()) {
    const auto reader = value_or_throw(format::Reader::open(model_path));
    report.model = reader->model().name;
    report.file = model_path;
    report.file_bytes = reader->file_bytes();
    add_model(report, model_path);
  }
  return report;
}

}  // namespace strata::cli
