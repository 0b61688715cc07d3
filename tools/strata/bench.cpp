// strata bench: latency of every level in our runtime; when asked, beside the dense model of the
// same graph under libtorch, and beside every level stored alone.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/cpu_name.h"
#include "runtime/session.h"
#include "tools/strata/inspection.h"
#include "tools/strata/late_progress.h"
#include "tools/strata/latency.h"
#include "tools/strata/level_alone_peer.h"
#include "tools/strata/machine.h"
#include "tools/strata/others_load.h"
#include "tools/strata/output_file.h"
#include "tools/strata/table.h"
#include "tools/strata/timed_inputs.h"
#include "tools/strata/tuning_option.h"
#include "tools/strata/verb.h"
#include "train/error.h"

#ifdef STRATA_TORCH_VERSION
#include "tools/strata/libtorch_peer.h"
#endif

namespace strata::cli {
namespace {

constexpr int kMaxThreads = 64;
constexpr int kStepRuns = 30;
/// A median so many times the fastest run says more of the machine than of the model.
constexpr double kSteadyRatio = 1.5;
constexpr const char* kLibtorch = "libtorch";
constexpr const char* kAlone = "alone";

void add_quantiles(Json& entry, const std::vector<double>& ms) {
  entry["p50_ms"] = quantile(ms, 0.5);
  entry["p90_ms"] = quantile(ms, 0.9);
  entry["p99_ms"] = quantile(ms, 0.99);
  entry["min_ms"] = quantile(ms, 0);
  entry["runs"] = ms.size();
  entry["steady"] = quantile(ms, 0.5) <= kSteadyRatio * quantile(ms, 0);
}

/// Median microseconds per step at one level.
std::vector<double> time_steps(runtime::Session& session,
                               std::span<const runtime::InputView> inputs,
                               std::span<const runtime::OutputView> outputs, int level) {
  const size_t count = session.steps().size();
  const std::vector<uint8_t> route(count, static_cast<uint8_t>(level));
  std::vector<int64_t> ns(count);
  std::vector<std::vector<double>> samples(count);
  for (int run = 0; run < kStepRuns; ++run) {
    stop_if_interrupted();
    throw_if_error(session.run_timed(inputs, outputs, route, ns));
    for (size_t i = 0; i < count; ++i) samples[i].push_back(static_cast<double>(ns[i]) * 1e-3);
  }
  std::vector<double> medians;
  medians.reserve(count);
  for (auto& values : samples) medians.push_back(quantile(std::move(values), 0.5));
  return medians;
}

std::string latency_table(const Json& document) {
  const auto any = [](const Json& entries, const char* key) {
    return std::any_of(entries.begin(), entries.end(),
                       [key](const Json& entry) { return entry.contains(key); });
  };
  const bool has_speedup = any(document["levels"], "speedup");
  const bool has_alone = any(document["levels"], "over_alone");
  Table table;
  table.add_column("", Align::kLeft);
  for (const char* title : {"weights %", "FLOPs %", "p50 ms", "p90 ms", "p99 ms"}) {
    table.add_column(title);
  }
  if (has_speedup) table.add_column("speed-up");
  if (has_alone) table.add_column("time / alone");
  const auto add_row = [&](const std::string& name, const Json& shares, const Json& entry) {
    std::vector<std::string> cells = {name};
    for (const char* key : {"weights_pct", "flops_pct"}) {
      cells.push_back(shares.is_null() ? "100.00" : format_fixed(shares[key], 2));
    }
    for (const char* key : {"p50_ms", "p90_ms", "p99_ms"}) {
      cells.push_back(format_fixed(entry[key], 3));
    }
    if (has_speedup) {
      cells.push_back(shares.is_null()            ? "1.00x"
                      : entry.contains("speedup") ? format_fixed(entry["speedup"], 2) + "x"
                                                  : "");
    }
    if (has_alone) {
      cells.push_back(entry.contains("over_alone") ? format_fixed(entry["over_alone"], 3) : "");
    }
    table.add_row(std::move(cells));
  };
  for (const Json& level : document["levels"]) {
    add_row("level " + std::to_string(level["level"].get<int>()), level, level);
  }
  for (const Json& peer : document["peers"]) {
    const auto name = peer["name"].get<std::string>();
    if (!peer.contains("level")) {
      add_row(name + " dense", nullptr, peer);
      continue;
    }
    for (const Json& level : document["levels"]) {
      if (level["level"] == peer["level"]) add_row(name, level, peer);
    }
  }
  return table.text();
}

/// A warning if the figures are not to be trusted: others kept the machine busy, or some runs
/// differ too much. Empty if all is well.
std::string trust_warning(const Json& document) {
  std::string names;
  const auto add = [&names](const Json& entry, const std::string& name) {
    if (!entry["steady"].get<bool>()) names += (names.empty() ? "" : ", ") + name;
  };
  for (const Json& level : document["levels"]) {
    add(level, "level " + std::to_string(level["level"].get<int>()));
  }
  for (const Json& peer : document["peers"]) add(peer, peer["name"]);
  if (names.empty() && document["quiet_machine"].get<bool>()) return "";
  const Json& others = document["others_cores"];
  const std::string used =
      others.is_null() ? "" : "; others used " + format_fixed(others, 2) + " cores meanwhile";
  return "WARNING: the machine was busy" + used + (names.empty() ? "" : "; unsteady: " + names) +
         "; measure again on a quiet one before you quote a figure\n";
}

std::string step_table(const Json& document) {
  Table table;
  table.add_column("step");
  table.add_column("name", Align::kLeft);
  table.add_column("kind", Align::kLeft);
  table.add_column("dense multiply-adds");
  const Json& levels = document["levels"];
  for (const Json& level : levels) {
    table.add_column("level " + std::to_string(level["level"].get<int>()) + " us");
  }
  for (size_t i = 0; i < document["steps"].size(); ++i) {
    const Json& step = document["steps"][i];
    std::vector<std::string> row = {std::to_string(i), step["name"], step["kind"],
                                    format_quantity(step["dense_macs"])};
    for (const Json& level : levels) row.push_back(format_fixed(level["step_us"][i], 1));
    table.add_row(std::move(row));
  }
  return table.text();
}

class BenchVerb : public Verb {
 public:
  BenchVerb()
      : Verb("bench", "Measure the latency of every level",
             "  strata bench r50.strata --threads 2\n"
             "  strata bench r50.strata --threads 2 --vs libtorch -o bench.json\n"
             "  strata bench r50.strata --vs alone   what nesting costs: each level stored alone\n"
             "  strata bench r50.strata --vs libtorch,alone --runs 100\n"
             "  strata bench r50.strata --threads 1 --level 0 --steps   where the time goes\n"
             "  strata bench cora.strata --data cora.npz\n"
             "  strata bench en-de.strata --graph decode --vs libtorch   one step of translating") {
  }

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file")->required();
    app.add_option("--threads", threads_, "Threads of one inference (default: one per core)")
        ->type_name("N")
        ->check(CLI::Range(1, kMaxThreads).description(""));
    app.add_option("--vs", peers_,
                   "Also time in turns: 'libtorch', the dense model of the same graph under "
                   "libtorch; 'alone', every level stored in a file of its own; or both")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("libtorch|alone")
        ->check(CLI::IsMember({kLibtorch, kAlone}).description(""));
    app.add_option("--runs", runs_, "Timed runs of each (default: what fits into 10 seconds)")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}).description(""));
    level_option_ = app.add_option("--level", level_, "Only this level")->type_name("K");
    app.add_flag("--steps", steps_, "Also the time of every step");
    add_tuning_option(app, tuning_);
    app.add_option("--data", data_, "The .npz file of the graph that a model of graphs is timed on")
        ->type_name("FILE");
    app.add_option("--graph", graph_, "Of a model of several graphs: which one, such as encode")
        ->type_name("NAME");
    app.add_option("-o,--output", output_, "Also write the JSON to FILE")->type_name("FILE");
  }

  void run(const Console& console) override {
#ifndef STRATA_TORCH_VERSION
    if (is_peer(kLibtorch)) {
      throw Error(
          "this strata was built without libtorch and cannot compare with it; build it "
          "with -DSTRATA_TRAIN=ON, or leave --vs away");
    }
#endif
    if (!output_.empty()) check_output(output_, {{file_}});
    const int threads = threads_ > 0 ? threads_ : std::min(available_cores(), kMaxThreads);
    if (threads > available_cores()) {
      console.note("note: " + std::to_string(threads) + " threads share " +
                   std::to_string(available_cores()) + " cores");
    }
    const Json machine = machine_json();
    const OpenedModel model = open_model(file_);
    if (level_option_->count() > 0) check_level(level_, model.nested.level_count, file_);
    runtime::SessionOptions session_options;
    session_options.threads = threads;
    session_options.graph = graph_;
    session_options.tuning = tuning_;
    const TimedInputs timed(*model.reader, data_);
    session_options.bindings = timed.bindings();
    const auto session = value_or_throw(runtime::Session::create(model.reader, session_options));
    note_tuning(*session, console);
    const TimedInputs::Tensors buffers = timed.tensors(*session);
    const std::span<const runtime::InputView> inputs = buffers.inputs();

    std::vector<int> levels;
    std::vector<Contender> contenders;
    for (int level = 0; level < model.nested.level_count; ++level) {
      if (level_option_->count() > 0 && level != level_) continue;
      levels.push_back(level);
      contenders.push_back({"level " + std::to_string(level),
                            [&session, &buffers, &inputs, level] {
                              throw_if_error(session->run(inputs, buffers.outputs(), level));
                            },
                            {}});
    }
#ifdef STRATA_TORCH_VERSION
    std::unique_ptr<LibtorchPeer> torch;
    if (is_peer(kLibtorch)) {
      torch = std::make_unique<LibtorchPeer>(model.nested, session_options, *session, inputs);
      contenders.push_back({kLibtorch, [&torch] { torch->run(); }, {}});
    }
#endif
    std::vector<std::unique_ptr<LevelAlonePeer>> alone;
    if (is_peer(kAlone)) {
      for (const int level : levels) {
        stop_if_interrupted();
        alone.push_back(std::make_unique<LevelAlonePeer>(
            model.nested, level, model.reader->value_type(), session_options));
        contenders.push_back({alone.back()->name(),
                              [&buffers, &inputs, peer = alone.back().get()] {
                                peer->run(inputs, buffers.outputs());
                              },
                              {}});
      }
    }

    LateProgress progress("bench", "rounds", console);
    TimingOptions timing;
    timing.runs = runs_;
    timing.progress = [&](int64_t done, int64_t total) {
      stop_if_interrupted();
      progress.update(done, total);
    };
    const OthersLoad others;
    time_in_turns(contenders, timing);
    const std::optional<double> others_cores = others.cores();
    progress.finish();

    Json document = console.document();
    document["model"] = model_json(*model.reader);
    document["threads"] = threads;
    document["batch"] = 1;
    if (!graph_.empty()) document["graph"] = graph_;
    document["memory_bytes"] = {{"weights", session->memory().weights},
                                {"activations", session->memory().activations}};
    document["levels"] = Json::array();
    document["peers"] = Json::array();
    const size_t first_alone = contenders.size() - alone.size();
#ifdef STRATA_TORCH_VERSION
    if (torch) {
      Json peer = {{"name", kLibtorch}, {"model", "dense"}, {"description", torch->description()}};
      add_quantiles(peer, contenders[levels.size()].ms);
      document["peers"].push_back(std::move(peer));
    }
#endif
    for (size_t i = 0; i < alone.size(); ++i) {
      Json peer = {{"name", alone[i]->name()},
                   {"model", "level"},
                   {"level", alone[i]->level()},
                   {"file_bytes", alone[i]->file_bytes()}};
      add_quantiles(peer, contenders[first_alone + i].ms);
      document["peers"].push_back(std::move(peer));
    }
    if (steps_) {
      document["steps"] = Json::array();
      for (const runtime::StepInfo& step : session->steps()) {
        document["steps"].push_back({{"name", step.name},
                                     {"kind", step.kind},
                                     {"dense_macs", step.dense_macs},
                                     {"macs", step.macs},
                                     {"first_dense_level", step.first_dense_level}});
      }
    }
    for (size_t i = 0; i < levels.size(); ++i) {
      const auto k = static_cast<size_t>(levels[i]);
      Json entry = level_json(model.density.levels[k], model.reader->blocks()[k]);
      add_quantiles(entry, contenders[i].ms);
      const double p50_ms = std::max(entry["p50_ms"].get<double>(), 1e-9);
      for (const Json& peer : document["peers"]) {
        const double peer_ms = std::max(peer["p50_ms"].get<double>(), 1e-9);
        if (peer["name"] == kLibtorch) entry["speedup"] = peer_ms / p50_ms;
        if (peer["model"] == "level" && peer["level"] == levels[i]) {
          entry["over_alone"] = p50_ms / peer_ms;
        }
      }
      if (steps_) entry["step_us"] = time_steps(*session, inputs, buffers.outputs(), levels[i]);
      document["levels"].push_back(std::move(entry));
    }
    document["machine"] = machine;
    document["others_cores"] = others_cores ? Json(*others_cores) : Json(nullptr);
    document["quiet_machine"] = !others_cores || had_room(*others_cores, threads, online_cores());
    document["build"] = build_json();

    std::string text = latency_table(document) + "batch 1, " + std::to_string(threads) +
                       (threads == 1 ? " thread, " : " threads, ") +
                       std::to_string(contenders.front().ms.size()) + " runs each, on " +
                       cpu_name() + '\n';
    text += trust_warning(document);
    if (steps_) text += '\n' + step_table(document);
    if (!output_.empty()) write_json(output_, document);
    console.result(document, text);
  }

 private:
  [[nodiscard]] bool is_peer(const char* name) const {
    return std::find(peers_.begin(), peers_.end(), name) != peers_.end();
  }

  std::string file_;
  std::string data_;
  std::string graph_;
  int threads_ = 0;
  std::vector<std::string> peers_;
  int64_t runs_ = 0;
  int level_ = 0;
  bool steps_ = false;
  std::string tuning_;
  std::string output_;
  CLI::Option* level_option_ = nullptr;
};

}  // namespace

std::unique_ptr<Verb> make_bench_verb() { return std::make_unique<BenchVerb>(); }

}  // namespace strata::cli
