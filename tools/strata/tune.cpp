// strata tune: measures on this machine which tiles, slices, lists of taps and dense kernels make
// each step of a model fastest, and stores what it found beside the model, where sessions find it.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/cpu_name.h"
#include "runtime/session.h"
#include "runtime/tuner.h"
#include "runtime/tuning_file.h"
#include "tools/strata/inspection.h"
#include "tools/strata/late_progress.h"
#include "tools/strata/machine.h"
#include "tools/strata/node_inputs.h"
#include "tools/strata/output_file.h"
#include "tools/strata/sentences.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr int kMaxThreads = 64;
constexpr double kUsPerNs = 1e-3;
constexpr double kMsPerNs = 1e-6;

/// "3 blocks, 4 slices" or "dense".
std::string describe(const runtime::StepPacking::Level& level) {
  if (level.dense) return "dense";
  if (level.tile_blocks == 0) return "-";
  std::string text = std::to_string(level.tile_blocks) + " x " + std::to_string(level.slices);
  if (level.lists > 1) text += ", " + std::to_string(level.lists) + " lists";
  return text;
}

Json packing_json(const runtime::StepPacking& packing) {
  Json levels = Json::array();
  for (const runtime::StepPacking::Level& level : packing.levels) {
    levels.push_back({{"dense", level.dense},
                      {"tile_blocks", level.tile_blocks},
                      {"slices", level.slices},
                      {"lists", level.lists}});
  }
  return levels;
}

Json tuning_json(const runtime::TuningResult& result, const runtime::Session& session,
                 double file_bytes) {
  const size_t steps = result.steps.size();
  const auto levels = static_cast<size_t>(session.level_count());
  Json json;
  json["threads"] = session.threads();
  json["complete"] = result.complete;
  json["rounds"] = result.rounds;
  json["steps_changed"] = std::count_if(
      result.steps.begin(), result.steps.end(),
      [](const runtime::StepTuning& step) { return runtime::changes_anything(step); });
  json["weights_over_file"] = {{"before", static_cast<double>(result.bytes_before) / file_bytes},
                               {"after", static_cast<double>(result.bytes_after) / file_bytes}};
  json["levels"] = Json::array();
  for (size_t level = 0; result.complete && level < levels; ++level) {
    double before = 0;
    double after = 0;
    for (size_t step = 0; step < steps; ++step) {
      before += result.before_ns[step * levels + level];
      after += result.after_ns[step * levels + level];
    }
    json["levels"].push_back({{"level", level},
                              {"before_ms", before * kMsPerNs},
                              {"after_ms", after * kMsPerNs},
                              {"ratio", after / before}});
  }
  json["steps"] = Json::array();
  for (size_t step = 0; step < steps; ++step) {
    Json entry = {{"name", session.steps()[step].name},
                  {"kind", session.steps()[step].kind},
                  {"changed", runtime::changes_anything(result.steps[step])},
                  {"levels", packing_json(result.packing[step])}};
    for (size_t level = 0; result.complete && level < levels; ++level) {
      entry["before_us"].push_back(result.before_ns[step * levels + level] * kUsPerNs);
      entry["after_us"].push_back(result.after_ns[step * levels + level] * kUsPerNs);
    }
    json["steps"].push_back(std::move(entry));
  }
  return json;
}

std::string level_table(const Json& tunings) {
  Table table;
  for (const char* title : {"threads", "level", "by the rules ms", "tuned ms", "ratio"}) {
    table.add_column(title);
  }
  for (const Json& tuning : tunings) {
    for (const Json& level : tuning["levels"]) {
      table.add_row({std::to_string(tuning["threads"].get<int>()),
                     std::to_string(level["level"].get<int>()), format_fixed(level["before_ms"], 3),
                     format_fixed(level["after_ms"], 3), format_fixed(level["ratio"], 3)});
    }
  }
  return table.text();
}

std::string step_table(const Json& tuning, const runtime::TuningResult& result) {
  Table table;
  table.add_column("step");
  table.add_column("name", Align::kLeft);
  table.add_column("kind", Align::kLeft);
  for (size_t level = 0; level < result.packing.front().levels.size(); ++level) {
    const std::string name = "level " + std::to_string(level);
    table.add_column(name + " blocks x slices", Align::kLeft);
    if (!result.complete) continue;
    table.add_column("us before");
    table.add_column("after");
  }
  for (size_t i = 0; i < result.steps.size(); ++i) {
    const Json& step = tuning["steps"][i];
    std::vector<std::string> row = {std::to_string(i), step["name"], step["kind"]};
    for (size_t level = 0; level < result.packing[i].levels.size(); ++level) {
      row.push_back(describe(result.packing[i].levels[level]));
      if (!result.complete) continue;
      row.push_back(format_fixed(step["before_us"][level], 1));
      row.push_back(format_fixed(step["after_us"][level], 1));
    }
    table.add_row(std::move(row));
  }
  return table.text();
}

class TuneVerb : public Verb {
 public:
  TuneVerb()
      : Verb("tune", "Find by measuring how each step runs fastest on this machine",
             "  strata tune r50.strata                    for as many threads as there are cores\n"
             "  strata tune r50.strata --threads 1,2\n"
             "  strata tune r50.strata --batch 8\n"
             "  strata tune r50.strata --steps            what was chosen for each step\n"
             "  STRATA_TUNING=off strata bench r50.strata   run without what was found") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option("--threads", threads_,
                   "Thread counts of one inference, one tuning each (default: one per core)")
        ->type_name("N,...")
        ->delimiter(',')
        ->check(CLI::Range(1, kMaxThreads).description(""));
    app.add_option("--batch", batch_, "Inputs of one inference (default: the model's usual batch)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 20).description(""));
    app.add_option("--rounds", rounds_,
                   "Inferences of each level per trial (default: what fits into 2 seconds)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{100'000}).description(""));
    app.add_flag("--steps", steps_, "Also show what was chosen for every step");
    app.add_option("-o,--output", output_, "Where to store what is found (default: FILE.tuning)")
        ->type_name("FILE");
  }

  void run(const Console& console) override {
    const std::string output = output_.empty() ? runtime::tuning_path(file_) : output_;
    check_output(output, std::vector<std::string>{file_});
    if (const auto old = runtime::read_tunings(output);
        !old.ok() && old.status().code() != StatusCode::kNotFound) {
      throw_if_error(old.status());
    }
    threads_ = thread_counts(std::move(threads_), kMaxThreads);
    const Json machine = machine_json();  // its load is that of others: nothing has run yet
    const auto reader = value_or_throw(format::Reader::open(file_));
    check_tunable(*reader);

    Json document = console.document();
    document["model"] = model_json(*reader);
    document["output"] = output;
    document["tunings"] = Json::array();
    std::string steps_text;
    for (const int threads : threads_) {
      if (interrupted()) break;
      runtime::SessionOptions options;
      options.threads = threads;
      options.tuning = "off";
      if (batch_ > 0) {
        options.bindings = graph::batch_sizes(reader->model().graphs.front(), batch_);
      }
      const runtime::TuningResult result = tune(reader, options, console);
      const auto session = value_or_throw(runtime::Session::create(reader, options));
      const bool stored = is_worth_storing(result, output, session->tuning_fingerprint());
      if (stored) {
        throw_if_error(runtime::add_tuning(output, {session->tuning_fingerprint(), result.steps}));
      }
      document["tunings"].push_back(
          tuning_json(result, *session, static_cast<double>(reader->file_bytes())));
      document["tunings"].back()["stored"] = stored;
      if (steps_) {
        steps_text += "\nthreads: " + std::to_string(threads) + '\n' +
                      step_table(document["tunings"].back(), result);
      }
    }
    document["machine"] = machine;
    document["quiet_machine"] = machine["load"].get<double>() <= machine["cores"].get<double>();
    document["build"] = build_json();
    console.result(document, level_table(document["tunings"]) + steps_text + summary(document));
    stop_if_interrupted();
  }

 private:
  static void check_tunable(const format::Reader& reader) {
    if (translates(reader.model()) || classifies_nodes(reader.model())) {
      throw Error("'" + reader.path() +
                  "' has no convolutions of images or points, there is nothing to tune");
    }
  }

  /// A search that was interrupted leaves what an earlier one found, and nothing where it found
  /// nothing.
  static bool is_worth_storing(const runtime::TuningResult& result, const std::string& output,
                               const runtime::TuningFingerprint& fingerprint) {
    if (result.complete) return true;
    const auto stored = runtime::read_tunings(output);
    if (stored.ok() && runtime::find_tuning(*stored, fingerprint, output).ok()) return false;
    return std::any_of(result.steps.begin(), result.steps.end(), runtime::changes_anything);
  }

  [[nodiscard]] runtime::TuningResult tune(const std::shared_ptr<const format::Reader>& reader,
                                           const runtime::SessionOptions& options,
                                           const Console& console) const {
    LateProgress progress("tune, " + threads_text(options.threads), "rounds", console);
    runtime::TunerOptions tuner_options;
    tuner_options.rounds = rounds_;
    tuner_options.progress = [&](int64_t done, int64_t total) {
      progress.update(done, total);
      return !interrupted();
    };
    auto result = runtime::tune(reader, options, tuner_options);
    progress.finish();
    return value_or_throw(std::move(result));
  }

  static std::string summary(const Json& document) {
    std::string text;
    for (const Json& tuning : document["tunings"]) {
      const auto changed = tuning["steps_changed"].get<int64_t>();
      const int threads = tuning["threads"].get<int>();
      text += threads_text(threads) + ": " + std::to_string(changed) + " of " +
              std::to_string(tuning["steps"].size()) +
              " steps run otherwise than by the rules, packed weights " +
              format_fixed(tuning["weights_over_file"]["after"], 2) + " times the file" +
              (tuning["complete"].get<bool>() ? "" : " (interrupted; what was found so far)") +
              (tuning["stored"].get<bool>() ? "" : ", not stored") + '\n';
    }
    text += "on " + cpu_name() + "; " + document["output"].get<std::string>() +
            " is where sessions look for it\n";
    if (!document["quiet_machine"].get<bool>()) {
      text += "WARNING: the machine was busy (load " +
              format_fixed(document["machine"]["load"], 1) + " on " +
              std::to_string(document["machine"]["cores"].get<int>()) +
              " cores); tune again on a quiet one\n";
    }
    return text;
  }

  std::string file_;
  std::vector<int> threads_;
  int64_t batch_ = 0;
  int64_t rounds_ = 0;
  bool steps_ = false;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_tune_verb() { return std::make_unique<TuneVerb>(); }

}  // namespace strata::cli
