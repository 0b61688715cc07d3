// A whole network at every level: how it scales from one thread to two, what further inputs of a
// batch cost, how long the first inference takes from a file on disk, and what a session of each
// level holds. Prints Markdown, and JSON with --json FILE.
//
//     strata_bench_network FILE.strata [--threads 1,2] [--batches 1,2,4,8] [--rounds 15]
//         [--json FILE]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/cpu_name.h"
#include "format/reader.h"
#include "kernels/target.h"
#include "runtime/random_tensors.h"
#include "runtime/session.h"
#include "tools/strata/latency.h"
#include "train/error.h"

namespace strata {
namespace {

using nlohmann::json;

constexpr double kMsPerNs = 1e-6;
constexpr double kMib = 1024.0 * 1024.0;
constexpr int kFirstInferences = 5;

struct Options {
  std::string file;
  std::vector<int> threads = {1, 2};
  std::vector<int> batches = {1, 2, 4, 8};
  int rounds = 15;
  std::string json_file;
};

double median(const std::vector<double>& values) { return cli::quantile(values, 0.5); }

double milliseconds(const std::function<void()>& what) {
  const int64_t begin = monotonic_ns();
  what();
  return static_cast<double>(monotonic_ns() - begin) * kMsPerNs;
}

/// What is run at one level.
struct Setting {
  int threads = 1;
  int batch = 1;
  int level = 0;
  bool whole = false;  ///< every step over the whole batch
  int64_t parts = 1;
};

void add_contenders(std::vector<Setting>& settings, std::vector<cli::Contender>& contenders,
                    const std::shared_ptr<const format::Reader>& reader, int threads, int batch,
                    bool whole) {
  runtime::SessionOptions options;
  options.threads = threads;
  options.whole_batch = whole;
  options.bindings = graph::batch_sizes(reader->model().graphs.front(), batch);
  const std::shared_ptr<runtime::Session> session =
      value_or_throw(runtime::Session::create(reader, options));
  const auto data = std::make_shared<runtime::RandomTensors>(*session);
  for (int level = 0; level < reader->level_count(); ++level) {
    settings.push_back({threads, batch, level, whole, session->parts()});
    contenders.push_back({"",
                          [session, data, level] {
                            throw_if_error(session->run(data->inputs(), data->outputs(), level));
                          },
                          {}});
  }
}

json measure_runs(const std::shared_ptr<const format::Reader>& reader, const Options& options) {
  std::vector<Setting> settings;
  std::vector<cli::Contender> contenders;
  for (const int threads : options.threads) {
    for (const int batch : options.batches) {
      add_contenders(settings, contenders, reader, threads, batch, false);
      if (batch > 1) add_contenders(settings, contenders, reader, threads, batch, true);
    }
  }
  cli::time_in_turns(contenders, {.runs = options.rounds, .progress = {}});
  json rows = json::array();
  for (size_t i = 0; i < settings.size(); ++i) {
    const double ms = median(contenders[i].ms);
    if (settings[i].whole) {
      for (json& other : rows) {
        if (other["threads"] == settings[i].threads && other["batch"] == settings[i].batch &&
            other["level"] == settings[i].level) {
          other["times_as_fast_as_whole"] = ms / other["ms"].get<double>();
        }
      }
      continue;
    }
    json row = {{"threads", settings[i].threads},
                {"batch", settings[i].batch},
                {"level", settings[i].level},
                {"parts", settings[i].parts},
                {"ms", ms},
                {"ms_per_input", ms / settings[i].batch}};
    for (const json& other : rows) {
      const bool same = other["batch"] == row["batch"] && other["level"] == row["level"];
      if (same && other["threads"] == options.threads.front()) {
        row["times_as_fast_as_one"] = other["ms"].get<double>() / ms;
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// From a path to the first answer: map, check, decode, plan, pack, run.
json measure_first_inference(const Options& options, int levels) {
  json rows = json::array();
  for (const int threads : options.threads) {
    for (int level = 0; level < levels; ++level) {
      std::vector<double> ms;
      for (int repeat = 0; repeat < kFirstInferences; ++repeat) {
        ms.push_back(milliseconds([&] {
          runtime::SessionOptions session_options;
          session_options.threads = threads;
          session_options.max_level = level;
          const std::shared_ptr<const format::Reader> reader =
              value_or_throw(format::Reader::open(options.file));
          const auto session = value_or_throw(runtime::Session::create(reader, session_options));
          const runtime::RandomTensors data(*session);
          throw_if_error(session->run(data.inputs(), data.outputs(), level));
        }));
      }
      rows.push_back({{"threads", threads}, {"level", level}, {"ms", median(ms)}});
    }
  }
  return rows;
}

json measure_memory(const std::shared_ptr<const format::Reader>& reader) {
  json rows = json::array();
  for (int level = 0; level < reader->level_count(); ++level) {
    runtime::SessionOptions options;
    options.max_level = level;
    const auto session = value_or_throw(runtime::Session::create(reader, options));
    const auto file =
        static_cast<double>(reader->blocks()[static_cast<size_t>(level)].bytes_to_end);
    const auto weights = static_cast<double>(session->memory().weights);
    rows.push_back({{"level", level},
                    {"file_bytes", file},
                    {"weights_bytes", weights},
                    {"activations_bytes", session->memory().activations},
                    {"over_file", weights / file}});
  }
  return rows;
}

void print(const json& document) {
  std::printf("%s, %s, %s\n\n", document["cpu"].get<std::string>().c_str(),
              document["target"].get<std::string>().c_str(),
              document["model"].get<std::string>().c_str());
  std::printf(
      "| threads | inputs | in parts | level | ms | ms per input | times as fast as the fewest "
      "threads | as the whole batch step by step |\n|---:|---:|---:|---:|---:|---:|---:|---:|\n");
  const auto ratio = [](const json& row, const char* key) {
    return row.contains(key) ? std::to_string(row[key].get<double>()).substr(0, 4) : std::string();
  };
  for (const json& row : document["runs"]) {
    std::printf("| %d | %d | %d | %d | %.2f | %.2f | %s | %s |\n", row["threads"].get<int>(),
                row["batch"].get<int>(), row["parts"].get<int>(), row["level"].get<int>(),
                row["ms"].get<double>(), row["ms_per_input"].get<double>(),
                ratio(row, "times_as_fast_as_one").c_str(),
                ratio(row, "times_as_fast_as_whole").c_str());
  }
  std::printf("\n| threads | level | file to first answer, ms |\n|---:|---:|---:|\n");
  for (const json& row : document["first_inference"]) {
    std::printf("| %d | %d | %.1f |\n", row["threads"].get<int>(), row["level"].get<int>(),
                row["ms"].get<double>());
  }
  std::printf(
      "\n| levels up to | in the file, MiB | packed weights, MiB | of the file | "
      "activations, MiB |\n|---:|---:|---:|---:|---:|\n");
  for (const json& row : document["memory"]) {
    std::printf("| %d | %.2f | %.2f | %.2f | %.2f |\n", row["level"].get<int>(),
                row["file_bytes"].get<double>() / kMib, row["weights_bytes"].get<double>() / kMib,
                row["over_file"].get<double>(), row["activations_bytes"].get<double>() / kMib);
  }
}

std::vector<int> numbers(const std::string& text) {
  std::vector<int> values;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, ',');) values.push_back(std::stoi(word));
  if (values.empty()) throw Error("'" + text + "' is no list of numbers, such as 1,2");
  return values;
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) {
      options.file = word;
      continue;
    }
    if (i + 1 == argc) throw Error(word + " needs a value");
    const std::string value = argv[++i];
    if (word == "--threads") {
      options.threads = numbers(value);
    } else if (word == "--batches") {
      options.batches = numbers(value);
    } else if (word == "--rounds") {
      options.rounds = std::max(1, std::stoi(value));
    } else if (word == "--json") {
      options.json_file = value;
    } else {
      throw Error("there is no option " + word + "; the top of bench/network_bench.cpp has all");
    }
  }
  if (options.file.empty()) throw Error("name a .strata file");
  return options;
}

int run(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  const std::shared_ptr<const format::Reader> reader =
      value_or_throw(format::Reader::open(options.file));
  json document = {{"cpu", cpu_name()},
                   {"target", kernels::target_name(value_or_throw(kernels::default_target()))},
                   {"compiler", __VERSION__},
                   {"model", reader->model().name},
                   {"runs", measure_runs(reader, options)},
                   {"first_inference", measure_first_inference(options, reader->level_count())},
                   {"memory", measure_memory(reader)}};
  print(document);
  if (!options.json_file.empty()) std::ofstream(options.json_file) << document.dump(1) << '\n';
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  try {
    return strata::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "strata_bench_network: " << error.what() << '\n';
    return 1;
  }
}
