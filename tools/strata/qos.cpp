// strata qos: how often each policy answers in time, and how right it then is, while real
// co-runners get in the way.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/strata/accuracy_table.h"
#include "tools/strata/co_runner.h"
#include "tools/strata/inspection.h"
#include "tools/strata/late_progress.h"
#include "tools/strata/machine.h"
#include "tools/strata/node_inputs.h"
#include "tools/strata/output_file.h"
#include "tools/strata/qos_experiment.h"
#include "tools/strata/qos_html.h"
#include "tools/strata/qos_recording.h"
#include "tools/strata/qos_result.h"
#include "tools/strata/qos_service.h"
#include "tools/strata/sentences.h"
#include "tools/strata/table.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr int kMaxThreads = 64;
constexpr int kMaxBatch = 65536;
constexpr double kNsPerMs = 1e6;
constexpr double kNsPerSecond = 1e9;
constexpr double kDefaultFactor = 1.5;
constexpr double kDefaultUtilisation = 0.3;
constexpr int64_t kMetricSamples = 1000;  // at most
constexpr int64_t kSweptShare = 5;        // of the simulated inferences, per deadline

const std::vector<std::string> kinds = {"none", "cpu", "cache", "memory", "quota"};
const std::vector<std::string> patterns = {"on", "off", "bursts"};

CoRunnerKind kind_by_name(const std::string& name) {
  for (const CoRunnerKind kind :
       {CoRunnerKind::kCpu, CoRunnerKind::kCache, CoRunnerKind::kMemory, CoRunnerKind::kQuota}) {
    if (name == to_string(kind)) return kind;
  }
  return CoRunnerKind::kNone;
}

class QosVerb : public Verb {
 public:
  QosVerb()
      : Verb("qos", "Measure how often each policy keeps a deadline beside real interference",
             "  strata qos f.strata --deadline-ms 8 --eval e.json --co-runner memory\n"
             "  strata qos f.strata --batch 64 --deadline-factor 1.3 --co-runner cpu --pattern "
             "bursts \\\n"
             "      --sweep 1.1,1.3,1.6,2 --record run.jsonl -o qos.json --html qos.html\n"
             "  strata qos --replay run.jsonl --simulate 10000000   more nines from a recording\n"
             "  strata qos --replay run.jsonl --policies best-route@2,best-route@3\n"
             "  strata qos r50.strata --deadline-ms 12 --level-metrics 70,75 --policies "
             "fixed-1,best-route\n"
             "  strata qos en-de.strata --data multi30k/test_2016_flickr --co-runner cpu\n"
             "While it runs, 'strata top' shows what happens.") {}

  void declare(CLI::App& app) override {
    app.add_option("FILE", file_, "The .strata file (not with --replay)");
    declare_deadline(app);
    declare_load(app);
    declare_model(app);
    declare_simulation(app);
    app.add_option("-o,--output", output_, "Also write the JSON to FILE")->type_name("FILE");
    app.add_option("--html", html_, "Also write a page with the pictures")->type_name("FILE");
  }

  void run(const Console& console) override {
    check_usage();
    check_outputs();
    QosRecording recording;
    bool complete = true;
    if (!replay_.empty()) {
      recording = read_recording(replay_);
      if (nines_option_->count() > 0) recording.miss_probability = miss_probability();
    } else {
      complete = record(console, recording);
    }
    if (!complete) throw Interrupted();

    Json document = console.document();
    if (replay_.empty()) {
      document["model"] = model_json(*value_or_throw(format::Reader::open(file_)));
    }
    document["recording"] = replay_.empty() ? record_ : replay_;
    LateProgress progress("simulate", "simulations", console);
    EvaluationOptions evaluation;
    evaluation.simulated = simulated_;
    evaluation.swept = std::max(int64_t{1}, simulated_ / kSweptShare);
    evaluation.sweep = sweep_;
    if (!replay_.empty()) evaluation.policies = replayed_policies(recording);
    evaluation.progress = [&](int64_t done, int64_t total) {
      stop_if_interrupted();
      progress.update(done, total);
    };
    add_result(document, recording, evaluation);
    document["machine"] = recording.machine;
    document["build"] = build_json();
    if (!output_.empty()) write_json(output_, document);
    if (!html_.empty()) write_text(html_, render_qos_html(document, console.command_line));
    console.result(document, result_text(document) + load_warning(recording.machine));
  }

 private:
  void declare_deadline(CLI::App& app) {
    deadline_option_ =
        app.add_option("--deadline-ms", deadline_ms_, "From the request to the answer")
            ->type_name("D");
    factor_option_ =
        app.add_option("--deadline-factor", factor_,
                       "The same as a multiple of the unloaded median of the least sparse level "
                       "(default: 1.5)")
            ->type_name("X");
    deadline_option_->excludes(factor_option_);
    nines_option_ =
        app.add_option("--nines", nines_, "Wanted: 3 means that one in a thousand may miss")
            ->type_name("N")
            ->check(CLI::Range(0.1, 9.0).description(""))
            ->capture_default_str();
    app.add_option("--policies", policies_,
                   "Which, of: fixed-K, per-request, reroute, latest-safe-switch, best-route; "
                   "adaptive-NAME learns from its misses how cautious to be, NAME@N wants N nines "
                   "(default: all, with the sparsest and the least sparse level "
                   "fixed); with --replay those that are simulated (default: those recorded)")
        ->type_name("NAME,...")
        ->delimiter(',');
    app.add_flag("--give-up", give_up_, "Policies may give up what would be late");
  }

  void declare_load(CLI::App& app) {
    app.add_option("--arrivals", arrivals_,
                   "poisson, bursty, periodic, or a file with one time in seconds a line")
        ->type_name("KIND")
        ->capture_default_str();
    rate_option_ = app.add_option("--rate", rate_, "Requests a second")->type_name("R");
    app.add_option("--utilisation", utilisation_,
                   "The rate as the share of time that the least sparse level would be busy "
                   "(default: 0.3)")
        ->type_name("U")
        ->excludes(rate_option_)
        ->check(CLI::Range(0.001, 2.0).description(""));
    app.add_option("--seconds", seconds_, "Of each policy")
        ->type_name("S")
        ->check(CLI::Range(0.05, 86400.0).description(""))
        ->capture_default_str();
    app.add_option("--warm-up", warm_up_, "Seconds of each policy before, not counted")
        ->type_name("S")
        ->check(CLI::Range(0.0, 3600.0).description(""))
        ->capture_default_str();
    app.add_option("--block", block_seconds_, "Seconds of a turn; policies take turns")
        ->type_name("S")
        ->check(CLI::Range(0.05, 600.0).description(""))
        ->capture_default_str();
    app.add_option("--co-runner", kind_, "none, cpu, cache, memory, or quota: what gets in the way")
        ->type_name("KIND")
        ->check(CLI::IsMember(kinds).description(""))
        ->capture_default_str();
    app.add_option("--pattern", pattern_, "on, off or bursts: when (default: on)")
        ->type_name("WHEN")
        ->check(CLI::IsMember(patterns).description(""));
    app.add_option("--burst-ms", burst_ms_, "Mean lengths with and without the co-runner")
        ->type_name("ON,OFF")
        ->delimiter(',')
        ->expected(2);
    app.add_option("--workers", workers_, "Processes of the co-runner (default: one per core)")
        ->type_name("N")
        ->check(CLI::Range(1, 1024).description(""));
    app.add_option("--quota", quota_cores_,
                   "Processor time that --co-runner quota leaves (default: half of the cores)")
        ->type_name("CORES")
        ->check(CLI::Range(0.01, 1024.0).description(""));
    app.add_flag("--built-in-co-runner", built_in_,
                 "Loops of our own instead of stress-ng; the result says so");
    app.add_option("--seed", seed_, "Of arrivals and bursts")
        ->type_name("N")
        ->capture_default_str();
  }

  void declare_model(CLI::App& app) {
    app.add_option("--threads", threads_, "Threads of one inference (default: one per core)")
        ->type_name("N")
        ->check(CLI::Range(1, kMaxThreads).description(""));
    app.add_option("--batch", batch_, "Images of one request")
        ->type_name("N")
        ->check(CLI::Range(1, kMaxBatch).description(""))
        ->capture_default_str();
    CLI::Option* eval =
        app.add_option("--eval", eval_,
                       "Result of 'strata eval ... --switch-points': what levels and switch points "
                       "are worth")
            ->type_name("JSON");
    CLI::Option* data =
        app.add_option(
               "--data", data_,
               "Measure that now, on 1000 test samples of a data set; of a network of graphs "
               "also what it runs on, of a translator the sentences of the requests")
            ->type_name("DATA")
            ->excludes(eval);
    app.add_option("--level-metrics", level_metrics_,
                   "The same stated by hand, one figure per level; changes are interpolated")
        ->type_name("A,B,...")
        ->delimiter(',')
        ->excludes(eval)
        ->excludes(data);
  }

  void declare_simulation(CLI::App& app) {
    app.add_option("--sweep", sweep_,
                   "Also simulate these deadlines, as multiples like --deadline-factor")
        ->type_name("X,...")
        ->delimiter(',');
    app.add_option("--simulate", simulated_,
                   "Inferences per policy to simulate from the recording; 0: none")
        ->type_name("N")
        ->check(CLI::Range(int64_t{0}, int64_t{1'000'000'000}).description(""))
        ->capture_default_str();
    app.add_option("--record", record_, "Keep every inference in FILE")->type_name("FILE");
    app.add_option("--replay", replay_, "Start from a recording instead of a live run")
        ->type_name("FILE");
  }

  void check_usage() const {
    if (file_.empty() == replay_.empty()) {
      throw UsageError(
          "give a .strata file, or a recording with --replay; see 'strata qos --help'");
    }
    if (!replay_.empty() && !record_.empty()) {
      throw UsageError("--record keeps a live run; it does not go with --replay");
    }
    if (!replay_.empty() && deadline_option_->count() + factor_option_->count() > 0) {
      throw UsageError(
          "a recording has the deadline that its policies saw; --sweep simulates others");
    }
    if (!replay_.empty() && eval_.size() + data_.size() + level_metrics_.size() > 0) {
      throw UsageError(
          "a recording has its accuracies; leave --eval, --data and --level-metrics away");
    }
    if (deadline_option_->count() > 0 && !(deadline_ms_ > 0 && std::isfinite(deadline_ms_))) {
      throw UsageError("--deadline-ms must be above zero");
    }
    if (factor_option_->count() > 0 && !(factor_ > 0 && std::isfinite(factor_))) {
      throw UsageError("--deadline-factor must be above zero");
    }
    if (rate_option_->count() > 0 && !(rate_ > 0 && std::isfinite(rate_))) {
      throw UsageError("--rate must be above zero");
    }
    const auto is_length = [](double x) { return x > 0 && std::isfinite(x); };
    if (!std::all_of(sweep_.begin(), sweep_.end(), is_length)) {
      throw UsageError("--sweep must be multiples above zero");
    }
    if (!std::all_of(burst_ms_.begin(), burst_ms_.end(), is_length)) {
      throw UsageError("--burst-ms must be lengths above zero");
    }
    if (!pattern_.empty() && kind_ == "none") {
      throw UsageError("--pattern says when a co-runner runs; name one with --co-runner");
    }
    if (quota_cores_ > 0 && kind_ != "quota") {
      throw UsageError("--quota goes with --co-runner quota");
    }
  }

  void check_outputs() const {
    std::vector<std::string> inputs;
    for (const std::string& input : {file_, replay_, eval_}) {
      if (!input.empty()) inputs.push_back(input);
    }
    for (const std::string& output : {output_, html_, record_}) {
      if (!output.empty()) check_output(output, inputs);
    }
  }

  /// The live run. False: the user interrupted it, and what there was is kept where --record says.
  bool record(const Console& console, QosRecording& recording) const {
    const auto reader = value_or_throw(format::Reader::open(file_));
    const int level_count = reader->level_count();
    recording.model = reader->model().name;
    recording.batch = batch_;
    recording.miss_probability = miss_probability();
    recording.machine = machine_json();  // its load is that of others: nothing has run yet
    for (const std::string& name : policy_names(level_count)) {
      recording.policies.push_back(policy_by_name(name, level_count, recording.miss_probability));
    }
    const auto services = make_services(console, reader, recording);
    const route::Profile profile = value_or_throw(route::Profile::create(recording.profile));
    const double median_ns = profile.total_ns(level_count - 1);
    recording.deadline_ns =
        deadline_option_->count() > 0 ? deadline_ms_ * kNsPerMs : factor_ * median_ns;
    recording.load = load_options(median_ns);

    CoRunnerOptions co_runner_options;
    co_runner_options.kind = kind_by_name(kind_);
    co_runner_options.workers = workers_ > 0 ? workers_ : available_cores();
    co_runner_options.built_in = built_in_;
    co_runner_options.quota_cores = quota_cores_ > 0 ? quota_cores_ : available_cores() / 2.0;
    CoRunner co_runner(co_runner_options);
    recording.kind = kind_;
    const bool has_workers = kind_ != "none" && kind_ != "quota";
    recording.workers = has_workers ? co_runner_options.workers : 0;
    recording.co_runner = co_runner.description();
    if (built_in_ && has_workers) {
      console.note("note: the co-runner is " + co_runner.description());
    }
    note_plan(console, recording, median_ns);

    ExperimentOptions options;
    options.warm_up_seconds = warm_up_;
    options.seconds = seconds_;
    options.block_seconds = std::min(block_seconds_, seconds_);
    options.give_up = give_up_;
    LateProgress progress("qos", "", console);
    options.progress = [&](double done, double total) {
      progress.update(std::llround(done), std::llround(total));
    };
    const bool complete = run_experiment(recording, services, co_runner, options);
    if (!record_.empty()) {
      write_recording(record_, recording);
      if (!complete) {
        console.note("kept " + format_count(static_cast<int64_t>(recording.inferences.size())) +
                     " inferences in " + record_ + "; 'strata qos --replay " + record_ +
                     "' shows what they say");
      }
    }
    return complete;
  }

  [[nodiscard]] std::vector<std::string> policy_names(int level_count) const {
    if (!policies_.empty()) return policies_;
    std::vector<std::string> names = {"fixed-0"};
    if (level_count > 1) names.push_back("fixed-" + std::to_string(level_count - 1));
    names.insert(names.end(), {"per-request", "reroute", "latest-safe-switch", "best-route",
                               "adaptive-best-route"});
    return names;
  }

  [[nodiscard]] double miss_probability() const { return std::pow(10.0, -nines_); }

  /// What is simulated: --policies, or those of the recording.
  [[nodiscard]] std::vector<NamedPolicy> replayed_policies(const QosRecording& recording) const {
    std::vector<std::string> names = policies_;
    if (names.empty()) {
      for (const NamedPolicy& policy : recording.policies) names.push_back(policy.name);
    }
    std::vector<NamedPolicy> policies;
    for (const std::string& name : names) {
      policies.push_back(
          policy_by_name(name, recording.profile.level_count, recording.miss_probability));
    }
    return policies;
  }

  [[nodiscard]] std::vector<std::unique_ptr<QosService>> make_services(
      const Console& console, const std::shared_ptr<const format::Reader>& reader,
      QosRecording& recording) const {
    QosServiceOptions options;
    options.count = recording.policies.size();
    options.threads = threads_ > 0 ? threads_ : std::min(available_cores(), kMaxThreads);
    options.batch = batch_;
    if (translates(reader->model())) {
      check_translation();
      options.data = data_;
      recording.metric_source = "BLEU of the answers on sentences of " + data_;
      return make_translation_services(console, reader, options, recording);
    }
    if (classifies_nodes(reader->model())) options.data = data_;
    const route::AccuracyTable accuracy = accuracy_table(console, reader, recording.metric_source);
    return make_session_services(console, reader, accuracy, options, recording);
  }

  void check_translation() const {
    if (data_.empty()) {
      throw UsageError("'" + file_ + "' is a translator: name sentences with --data");
    }
    if (batch_ > 1) throw UsageError("a translator takes one sentence at a time, without --batch");
    if (!sweep_.empty()) {
      throw UsageError(
          "--sweep simulates, and translations cannot be simulated: their lengths "
          "differ; give one deadline after the other");
    }
  }

  [[nodiscard]] route::AccuracyTable accuracy_table(
      const Console& console, const std::shared_ptr<const format::Reader>& reader,
      std::string& source) const {
    if (!eval_.empty()) {
      source = "measured, " + eval_;
      return read_accuracy(eval_, *reader);
    }
    if (!data_.empty()) {
      source = "measured on " + format_count(kMetricSamples) + " test samples of " + data_;
      return measure_accuracy(console, reader, data_, kMetricSamples,
                              std::min(available_cores(), kMaxThreads));
    }
    if (!level_metrics_.empty()) {
      source = "stated with --level-metrics, not measured";
      return stated_accuracy(level_metrics_, reader->level_count());
    }
    source = "unknown: a level's share of the least sparse level's time stands in";
    return {};
  }

  [[nodiscard]] LoadOptions load_options(double median_ns) const {
    LoadOptions load;
    load.arrivals = arrivals_;
    load.seed = seed_;
    load.rate_per_second =
        rate_option_->count() > 0 ? rate_ : utilisation_ * kNsPerSecond / median_ns;
    if (arrivals_ != "poisson" && arrivals_ != "bursty" && arrivals_ != "periodic") {
      load.rate_per_second = trace_rate(arrivals_);
    }
    if (kind_ != "none") {
      load.pattern = pattern_ == "bursts" ? Pattern::kBursts : Pattern::kOn;
      if (pattern_ == "off") load.pattern = Pattern::kOff;
    }
    if (!burst_ms_.empty()) {
      load.burst_on_ms = burst_ms_[0];
      load.burst_off_ms = burst_ms_[1];
    }
    return load;
  }

  void note_plan(const Console& console, const QosRecording& recording, double median_ns) const {
    const double seconds = (warm_up_ + seconds_) * static_cast<double>(recording.policies.size());
    console.note("level " + std::to_string(recording.profile.level_count - 1) + " takes " +
                 format_fixed(median_ns / kNsPerMs, 2) + " ms unloaded; deadline " +
                 format_fixed(recording.deadline_ns / kNsPerMs, 2) + " ms; " +
                 format_fixed(recording.load.rate_per_second, 1) + " requests a second for " +
                 format_duration(seconds) + ", beside: " + recording.co_runner);
  }

  /// Others kept the machine busy: figures then say more of them than of the co-runner.
  static std::string load_warning(const Json& machine) {
    const double load = machine.value("load", 0.0);
    const int cores = machine.value("cores", 1);
    if (load <= cores) return "";
    return "WARNING: others kept the machine busy (load " + format_fixed(load, 1) + " on " +
           std::to_string(cores) +
           " cores); measure again on a quiet one before you quote a "
           "figure\n";
  }

  std::string file_;
  double deadline_ms_ = 0;
  double factor_ = kDefaultFactor;
  double nines_ = 3;
  std::vector<std::string> policies_;
  bool give_up_ = false;
  std::string arrivals_ = "poisson";
  double rate_ = 0;
  double utilisation_ = kDefaultUtilisation;
  double seconds_ = 10;
  double warm_up_ = 2;
  double block_seconds_ = 2;
  std::string kind_ = "none";
  std::string pattern_;
  std::vector<double> burst_ms_;
  int workers_ = 0;
  double quota_cores_ = 0;  ///< 0: the default
  bool built_in_ = false;
  uint64_t seed_ = 1;
  int threads_ = 0;
  int batch_ = 1;
  std::string eval_;
  std::string data_;
  std::vector<double> level_metrics_;
  std::vector<double> sweep_;
  int64_t simulated_ = 1'000'000;
  std::string record_;
  std::string replay_;
  std::string output_;
  std::string html_;
  CLI::Option* deadline_option_ = nullptr;
  CLI::Option* factor_option_ = nullptr;
  CLI::Option* nines_option_ = nullptr;
  CLI::Option* rate_option_ = nullptr;
};

}  // namespace

std::unique_ptr<Verb> make_qos_verb() { return std::make_unique<QosVerb>(); }

}  // namespace strata::cli
