// strata profile: measures how long each step takes at each level on this machine, and stores it
// beside the model, where a session that answers by deadlines finds it.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/cpu_name.h"
#include "runtime/profile_file.h"
#include "runtime/profile_measurement.h"
#include "runtime/session.h"
#include "runtime/translator.h"
#include "tools/strata/accuracy_table.h"
#include "tools/strata/inspection.h"
#include "tools/strata/late_progress.h"
#include "tools/strata/machine.h"
#include "tools/strata/output_file.h"
#include "tools/strata/sentences.h"
#include "tools/strata/table.h"
#include "tools/strata/timed_inputs.h"
#include "tools/strata/tuning_option.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr int kMaxThreads = 64;
/// A median so many times the fastest run says more of the machine than of the model.
constexpr double kSteadyRatio = 1.5;

double milliseconds(double ns) { return ns * 1e-6; }

Json quantiles_json(const runtime::TimeQuantiles& time) {
  return {{"p50_ms", milliseconds(time.p50_ns)},
          {"p90_ms", milliseconds(time.p90_ns)},
          {"p99_ms", milliseconds(time.p99_ns)},
          {"min_ms", milliseconds(time.min_ns)}};
}

Json profile_json(const runtime::MeasuredProfile& measured,
                  std::span<const runtime::StepInfo> steps) {
  Json profile;
  profile["threads"] = measured.table.threads;
  profile["runs"] = measured.runs;
  profile["levels"] = Json::array();
  for (size_t level = 0; level < measured.levels.size(); ++level) {
    const runtime::TimeQuantiles& time = measured.levels[level];
    Json entry = {{"level", level}};
    entry.update(quantiles_json(time));
    entry["steady"] = time.p50_ns <= kSteadyRatio * time.min_ns;
    profile["levels"].push_back(std::move(entry));
  }
  profile["steps"] = Json::array();
  const size_t level_count = measured.levels.size();
  for (size_t step = 0; step < steps.size(); ++step) {
    const runtime::StepInfo& info = steps[step];
    Json entry = {{"name", info.name}, {"kind", info.kind}};
    for (const char* key : {"p50_us", "p99_us"}) entry[key] = Json::array();
    for (size_t level = 0; level < level_count; ++level) {
      const runtime::TimeQuantiles& time = measured.steps[step * level_count + level];
      entry["p50_us"].push_back(time.p50_ns * 1e-3);
      entry["p99_us"].push_back(time.p99_ns * 1e-3);
    }
    profile["steps"].push_back(std::move(entry));
  }
  return profile;
}

std::string level_table(const Json& profiles) {
  Table table;
  const bool translator = profiles[0].contains("length");
  if (translator) table.add_column("sub-words");
  for (const char* title : {"threads", "level", "p50 ms", "p90 ms", "p99 ms"}) {
    table.add_column(title);
  }
  for (const Json& profile : profiles) {
    for (const Json& level : profile["levels"]) {
      std::vector<std::string> row;
      if (translator) row.push_back(std::to_string(profile["length"].get<int64_t>()));
      row.push_back(std::to_string(profile["threads"].get<int>()));
      row.push_back(std::to_string(level["level"].get<int>()));
      for (const char* key : {"p50_ms", "p90_ms", "p99_ms"}) {
        row.push_back(format_fixed(level[key], 3));
      }
      table.add_row(std::move(row));
    }
  }
  return table.text();
}

std::string step_table(const Json& profile) {
  Table table;
  table.add_column("step");
  table.add_column("name", Align::kLeft);
  table.add_column("kind", Align::kLeft);
  for (const Json& level : profile["levels"]) {
    const std::string name = "level " + std::to_string(level["level"].get<int>());
    table.add_column(name + " us");
    table.add_column("p99");
  }
  for (size_t i = 0; i < profile["steps"].size(); ++i) {
    const Json& step = profile["steps"][i];
    std::vector<std::string> row = {std::to_string(i), step["name"], step["kind"]};
    for (size_t level = 0; level < step["p50_us"].size(); ++level) {
      row.push_back(format_fixed(step["p50_us"][level], 1));
      row.push_back(format_fixed(step["p99_us"][level], 1));
    }
    table.add_row(std::move(row));
  }
  return table.text();
}

/// A profile is of the unloaded machine; a sentence if this one was not.
std::string trust_warning(const Json& document) {
  bool steady = true;
  for (const Json& profile : document["profiles"]) {
    for (const Json& level : profile["levels"]) steady = steady && level["steady"].get<bool>();
  }
  if (steady && document["quiet_machine"].get<bool>()) return "";
  return "WARNING: the machine was busy (load " + format_fixed(document["machine"]["load"], 1) +
         " on " + std::to_string(document["machine"]["cores"].get<int>()) + " cores" +
         (steady ? "" : "; times vary much") +
         "); sessions will correct the profile, but start better from a quiet one\n";
}

/// What the steps of a translator's profile are.
std::vector<runtime::StepInfo> translator_steps(const runtime::Translator& translator,
                                                int profiled_steps) {
  const auto encoder = static_cast<ptrdiff_t>(profiled_steps) - 1;
  std::vector<runtime::StepInfo> steps(translator.steps().begin(),
                                       translator.steps().begin() + encoder);
  steps.push_back({"decoder and search, one sub-word", "decode", 0, {}});
  return steps;
}

class ProfileVerb : public Verb {
 public:
  ProfileVerb()
      : Verb("profile", "Measure every step at every level, for sessions with deadlines",
             "  strata profile r50.strata\n"
             "  strata profile r50.strata --threads 1,2 --runs 200\n"
             "  strata profile photos.strata --eval eval.json     what each route is worth, too\n"
             "  strata profile r50.strata --steps -o steps.profile\n"
             "  strata profile cora.strata --data cora.npz        of this graph\n"
             "  strata profile en-de.strata --longest 127         a translator") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option("--threads", threads_,
                   "Thread counts of one inference, one profile each (default: one per core)")
        ->type_name("N,...")
        ->delimiter(',')
        ->check(CLI::Range(1, kMaxThreads).description(""));
    app.add_option("--runs", runs_,
                   "Inferences per level and thread count (default: what fits into 3 seconds)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, runtime::kMaxMeasuredRuns).description(""));
    app.add_option("--eval", eval_,
                   "Accuracies of levels and switch points, as 'strata eval' wrote them")
        ->type_name("JSON");
    app.add_option("--data", data_,
                   "Of a network of graphs: the .npz file of the graph that it is measured on")
        ->type_name("FILE");
    app.add_option("--longest", longest_,
                   "Of a translator: for sentences of up to N sub-words (default: 63)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, runtime::kMaxSourceLength).description(""));
    app.add_option("--beam", beam_, "Of a translator: hypotheses of the beam search (default: 5)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{64}).description(""));
    app.add_flag("--steps", steps_, "Also show the time of every step");
    add_tuning_option(app, tuning_);
    app.add_option("-o,--output", output_, "Where to store the profiles (default: FILE.profile)")
        ->type_name("FILE");
  }

  void run(const Console& console) override {
    const std::string output = output_.empty() ? runtime::profile_path(file_) : output_;
    std::vector<std::string> inputs = {file_};
    if (!eval_.empty()) inputs.push_back(eval_);
    check_output(output, inputs);
    threads_ = thread_counts(std::move(threads_), kMaxThreads);
    if (threads_.back() > available_cores()) {
      console.note("note: " + std::to_string(threads_.back()) + " threads share " +
                   std::to_string(available_cores()) + " cores");
    }
    const Json machine = machine_json();  // its load is that of others: nothing has run yet
    const auto reader = value_or_throw(format::Reader::open(file_));

    route::AccuracyTable accuracy;
    if (!eval_.empty()) accuracy = read_accuracy(eval_, *reader);

    Json document = console.document();
    document["model"] = model_json(*reader);
    document["output"] = output;
    document["profiles"] = Json::array();
    std::vector<runtime::StoredProfile> measured;
    const TimedInputs timed(*reader, data_);
    for (const int threads : threads_) {
      if (translates(reader->model())) {
        measure_translator(reader, threads, accuracy, console, document, measured);
        continue;
      }
      runtime::SessionOptions options;
      options.threads = threads;
      options.tuning = tuning_;
      options.bindings = timed.bindings();
      const auto session = value_or_throw(runtime::Session::create(reader, options));
      note_tuning(*session, console);
      const TimedInputs::Tensors buffers = timed.tensors(*session);
      runtime::MeasuredProfile profile = measure(threads, console, [&](const auto& how) {
        return measure_profile(*session, buffers.inputs(), how);
      });
      profile.table.accuracy = accuracy;
      throw_if_error(session->set_profile(profile.table));  // refuses accuracies that cannot be
      measured.push_back({session->fingerprint(), profile.table});
      document["profiles"].push_back(profile_json(profile, session->steps()));
    }
    // All are stored or none: an interrupted verb leaves the file as it was.
    for (const runtime::StoredProfile& profile : measured) {
      throw_if_error(runtime::add_profile(output, profile));
    }
    document["accuracy"] = !eval_.empty();
    document["machine"] = machine;
    document["quiet_machine"] = machine["load"].get<double>() <= machine["cores"].get<double>();
    document["build"] = build_json();

    std::string text = level_table(document["profiles"]);
    if (steps_) {
      for (const Json& profile : document["profiles"]) {
        text += "\nthreads: " + std::to_string(profile["threads"].get<int>()) + '\n' +
                step_table(profile);
      }
      text += '\n';
    }
    if (document["profiles"][0].contains("length")) {
      text +=
          "the encoder and one run of the decoder with a beam of " + std::to_string(beam_) + "; ";
    }
    text += "batch 1, " + std::to_string(document["profiles"][0]["runs"].get<int64_t>()) +
            " runs of each level, on " + cpu_name() + "; stored in " + output + '\n' +
            trust_warning(document);
    console.result(document, text);
  }

 private:
  /// One profile for each of the lengths that have sessions of their own.
  void measure_translator(const std::shared_ptr<const format::Reader>& reader, int threads,
                          route::AccuracyTable accuracy, const Console& console, Json& document,
                          std::vector<runtime::StoredProfile>& stored) const {
    const auto translator =
        value_or_throw(runtime::Translator::create(reader, {.threads = threads, .beam = beam_}));
    for (int64_t length = runtime::longest_served_with(1);;
         length = runtime::longest_served_with(length + 1)) {
      runtime::MeasuredProfile profile = measure(threads, console, [&](const auto& how) {
        return translator->measure_profile(length, how);
      });
      // A switch within the decoder was evaluated for all its runs alike; here a level changes from
      // one run to the next.
      const int encoder_steps = profile.table.step_count - 1;
      std::erase_if(accuracy.switch_points,
                    [&](const route::SwitchPoint& point) { return point.step > encoder_steps; });
      profile.table.accuracy = accuracy;
      throw_if_error(translator->set_profile(length, profile.table));
      stored.push_back({value_or_throw(translator->fingerprint(length)), profile.table});
      Json entry = profile_json(profile, translator_steps(*translator, profile.table.step_count));
      entry["length"] = length;
      entry["beam"] = beam_;
      document["profiles"].push_back(std::move(entry));
      if (length >= longest_) return;
    }
  }

  template <typename MeasureWith>
  runtime::MeasuredProfile measure(int threads, const Console& console,
                                   const MeasureWith& measure_with) const {
    LateProgress progress("profile, " + threads_text(threads), "rounds", console);
    runtime::ProfileMeasurementOptions options;
    options.runs = runs_;
    options.progress = [&](int64_t done, int64_t total) {
      progress.update(done, total);
      return !interrupted();
    };
    auto measured = measure_with(options);
    stop_if_interrupted();
    progress.finish();
    return value_or_throw(std::move(measured));
  }

  std::string file_;
  std::vector<int> threads_;
  int64_t runs_ = 0;
  int64_t longest_ = 63;
  int64_t beam_ = 5;
  std::string eval_;
  std::string data_;
  bool steps_ = false;
  std::string tuning_;
  std::string output_;
};

}  // namespace

std::unique_ptr<Verb> make_profile_verb() { return std::make_unique<ProfileVerb>(); }

}  // namespace strata::cli
