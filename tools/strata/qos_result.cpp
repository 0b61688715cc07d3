#include "tools/strata/qos_result.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "tools/strata/qos_outcome.h"
#include "tools/strata/table.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr double kMsPerNs = 1e-6;
constexpr double kSecondsPerNs = 1e-9;
constexpr double kTimelineSeconds = 12;
constexpr const char* kOracle = "oracle";

/// JSON has no infinity: no miss at all is null.
Json nines_json(double miss_rate) { return miss_rate > 0 ? Json(route::nines(miss_rate)) : Json(); }

Json outcome_json(const PolicyOutcome& outcome) {
  Json json;
  json["miss_rate"] = outcome.miss_rate.value;
  json["nines"] = nines_json(outcome.miss_rate.value);
  json["ci95"] = {outcome.miss_rate.low, outcome.miss_rate.high};
  json["nines_ci95"] = {nines_json(outcome.miss_rate.high), nines_json(outcome.miss_rate.low)};
  json["metric"] = outcome.metric;
  json["metric_met"] = outcome.metric_met;
  json["inferences"] = outcome.inferences;
  json["misses"] = outcome.misses;
  json["unanswered"] = outcome.unanswered;
  json["p50_ms"] = outcome.p50_ms;
  json["p90_ms"] = outcome.p90_ms;
  json["p99_ms"] = outcome.p99_ms;
  json["max_ms"] = outcome.max_ms;
  json["reroutes"] = outcome.reroutes;
  json["time_share"] = outcome.time_share;
  return json;
}

Json survival_json(const PolicyOutcome& outcome) {
  Json points = Json::array();
  for (const SurvivalPoint& point : outcome.survival) points.push_back({point.ms, point.share});
  return points;
}

/// How far the metric is from the sparsest level's to the least sparse one's; null where they
/// agree.
Json accuracy_share(const PolicyOutcome& outcome) {
  const double range = outcome.highest - outcome.lowest;
  return range > 0 ? Json((outcome.metric - outcome.lowest) / range) : Json();
}

/// The policy that stands for rerouting in the comparison: the last one that is not fixed.
size_t router_of(const std::vector<NamedPolicy>& policies) {
  size_t best = policies.size() - 1;
  for (size_t i = 0; i < policies.size(); ++i) {
    if (policies[i].options.kind != route::PolicyKind::kFixed) best = i;
  }
  return best;
}

bool has_policy(const std::vector<NamedPolicy>& policies, const std::string& name) {
  return std::any_of(policies.begin(), policies.end(),
                     [&](const NamedPolicy& policy) { return policy.name == name; });
}

/// What happened in the first seconds that count, under one policy.
Json timeline_json(const QosRecording& recording, size_t policy) {
  Json json = {{"policy", recording.policies[policy].name}};
  for (const char* key : {"seconds", "level", "latency_ms", "missed", "slowdown", "loaded"}) {
    json[key] = Json::array();
  }
  std::optional<double> begin_ns;
  for (size_t i = 0; i < recording.inferences.size(); ++i) {
    const RecordedInference& inference = recording.inferences[i];
    if (inference.warm_up || inference.policy != static_cast<int>(policy)) continue;
    if (!begin_ns) begin_ns = inference.arrival_ns;
    const double seconds = (inference.arrival_ns - *begin_ns) * kSecondsPerNs;
    if (seconds > kTimelineSeconds) break;
    if (!inference.completed) continue;
    double level_sum = 0;
    size_t steps = 0;
    for (; steps < recording.steps(); ++steps) {
      const uint8_t level = recording.levels[i * recording.steps() + steps];
      if (level == kNotRun) break;
      level_sum += level;
    }
    json["seconds"].push_back(seconds);
    json["level"].push_back(level_sum / static_cast<double>(std::max<size_t>(steps, 1)));
    json["latency_ms"].push_back((inference.finish_ns - inference.arrival_ns) * kMsPerNs);
    json["missed"].push_back(inference.missed);
    json["slowdown"].push_back(inference.slowdown);
  }
  if (!begin_ns) return json;
  for (const Interval& interval : recording.loaded) {
    const double from = std::max(0.0, (interval.begin_ns - *begin_ns) * kSecondsPerNs);
    const double to = std::min(kTimelineSeconds, (interval.end_ns - *begin_ns) * kSecondsPerNs);
    if (from < to) json["loaded"].push_back({from, to});
  }
  return json;
}

/// The simulations of one deadline: every wanted policy, and the oracle.
class Simulations {
 public:
  Simulations(const QosRecording& recording, const EvaluationOptions& options)
      : recording_(recording),
        options_(options),
        policies_(options.policies.empty() ? recording.policies : options.policies) {
    if (options.oracle) {
      policies_.push_back(
          policy_by_name(kOracle, recording.profile.level_count, recording.miss_probability));
    }
    total_ = static_cast<int64_t>(policies_.size() * (1 + options.sweep.size()));
  }

  std::vector<PolicyOutcome> run(double deadline_ns, int64_t inferences) {
    std::vector<PolicyOutcome> outcomes;
    const SimulationPlan plan{deadline_ns, inferences, recording_.load.seed};
    for (const NamedPolicy& policy : policies_) {
      if (options_.progress) options_.progress(done_++, total_);
      outcomes.push_back(simulated_outcome(recording_, policy, plan));
    }
    return outcomes;
  }

 private:
  const QosRecording& recording_;
  const EvaluationOptions& options_;
  std::vector<NamedPolicy> policies_;
  int64_t done_ = 0;
  int64_t total_ = 0;
};

Json policy_json(const QosRecording& recording, size_t policy) {
  const PolicyOutcome live = live_outcome(recording, policy);
  Json entry = {{"name", live.name}, {"source", "live"}};
  entry.update(outcome_json(live));
  entry["accuracy_share"] = accuracy_share(live);
  entry["survival"] = survival_json(live);
  if (recording.translates()) return entry;
  const Replay replay = replayed_outcome(recording, policy);
  entry["replayed"] = {{"miss_rate", replay.outcome.miss_rate.value},
                       {"ci95", {replay.outcome.miss_rate.low, replay.outcome.miss_rate.high}},
                       {"metric", replay.outcome.metric},
                       {"same_verdict", replay.same_verdict}};
  return entry;
}

/// Beside the live figures of the same policy, if there are any.
void add_simulated(Json& policies, const PolicyOutcome& outcome) {
  Json simulated = outcome_json(outcome);
  simulated["accuracy_share"] = accuracy_share(outcome);
  simulated["survival"] = survival_json(outcome);
  auto entry = std::find_if(policies.begin(), policies.end(),
                            [&](const Json& policy) { return policy.at("name") == outcome.name; });
  if (entry == policies.end()) {
    Json alone = {{"name", outcome.name}, {"source", "simulated"}};
    alone.update(outcome_json(outcome));
    policies.push_back(std::move(alone));
    entry = std::prev(policies.end());
  }
  (*entry)["simulated"] = std::move(simulated);
}

void add_sweep(Json& document, const route::Profile& profile, const EvaluationOptions& options,
               Simulations& simulations) {
  document["sweep"] = Json::array();
  const double median_ns = profile.total_ns(profile.level_count() - 1);
  for (const double factor : options.sweep) {
    Json entry = {{"factor", factor}, {"deadline_ms", factor * median_ns * kMsPerNs}};
    entry["policies"] = Json::array();
    for (const PolicyOutcome& outcome : simulations.run(factor * median_ns, options.swept)) {
      Json policy = {{"name", outcome.name}};
      policy.update(outcome_json(outcome));
      policy["accuracy_share"] = accuracy_share(outcome);
      entry["policies"].push_back(std::move(policy));
    }
    document["sweep"].push_back(std::move(entry));
  }
}

/// The entry of `policies` by name; null if it is not there.
const Json* policy_entry(const Json& document, const std::string& name) {
  for (const Json& entry : document.at("policies")) {
    if (entry.at("name") == name) return &entry;
  }
  return nullptr;
}

/// Simulated figures where there are any: they resolve more.
const Json& finest(const Json& entry) {
  return entry.contains("simulated") ? entry.at("simulated") : entry;
}

std::string nines_text(const Json& figures) {
  if (figures.at("nines").is_null()) {
    const double at_least = route::nines(figures.at("ci95").at(1).get<double>());
    return "over " + format_fixed(at_least, 1);
  }
  return format_fixed(figures.at("nines").get<double>(), 2);
}

std::string percent(double share) {
  const double value = 100 * share;
  return format_fixed(value, value >= 10 ? 1 : value >= 0.1 ? 2 : value >= 0.001 ? 4 : 5);
}

std::string interval_text(const Json& figures) {
  return percent(figures.at("ci95").at(0).get<double>()) + " - " +
         percent(figures.at("ci95").at(1).get<double>());
}

bool has_simulated(const Json& document) {
  const Json& policies = document.at("policies");
  return std::any_of(policies.begin(), policies.end(),
                     [](const Json& entry) { return entry.contains("simulated"); });
}

std::string policy_table(const Json& document, bool simulated) {
  Table table;
  table.add_column("policy", Align::kLeft);
  for (const char* title : {"misses %", "95 % interval", "nines", "accuracy", "% of the way",
                            "p50 ms", "p99 ms", "reroutes", "inferences"}) {
    table.add_column(title);
  }
  for (const Json& entry : document.at("policies")) {
    if (simulated ? !entry.contains("simulated") : entry.at("source") != "live") continue;
    const Json& figures = simulated ? entry.at("simulated") : entry;
    const Json& share = figures.at("accuracy_share");
    table.add_row({entry.at("name").get<std::string>(),
                   percent(figures.at("miss_rate").get<double>()), interval_text(figures),
                   nines_text(figures), format_fixed(figures.at("metric").get<double>(), 3),
                   share.is_null() ? "-" : format_fixed(100 * share.get<double>(), 1),
                   format_fixed(figures.at("p50_ms").get<double>(), 2),
                   format_fixed(figures.at("p99_ms").get<double>(), 2),
                   format_fixed(figures.at("reroutes").get<double>(), 2),
                   format_count(figures.at("inferences").get<int64_t>())});
  }
  return table.text();
}

std::string sweep_table(const Json& document) {
  Table table;
  table.add_column("deadline");
  table.add_column("ms");
  for (const Json& policy : document.at("sweep").at(0).at("policies")) {
    table.add_column(policy.at("name").get<std::string>());
  }
  for (const Json& entry : document.at("sweep")) {
    std::vector<std::string> row = {format_fixed(entry.at("factor").get<double>(), 2) + "x",
                                    format_fixed(entry.at("deadline_ms").get<double>(), 2)};
    for (const Json& policy : entry.at("policies")) {
      row.push_back(nines_text(policy) + " at " +
                    format_fixed(policy.at("metric").get<double>(), 2));
    }
    table.add_row(std::move(row));
  }
  return table.text();
}

}  // namespace

void add_result(Json& document, const QosRecording& recording, const EvaluationOptions& options) {
  const route::Profile profile = value_or_throw(route::Profile::create(recording.profile));
  const int top = profile.level_count() - 1;
  const double deadline_ms = recording.deadline_ns * kMsPerNs;
  document["model_name"] = recording.model;
  document["threads"] = profile.threads();
  document["batch"] = recording.batch;
  document["deadline_ms"] = deadline_ms;
  document["deadline_factor"] = recording.deadline_ns / profile.total_ns(top);
  document["wanted_nines"] = route::nines(recording.miss_probability);
  document["co_runner"] = {
      {"kind", recording.kind}, {"workers", recording.workers}, {"program", recording.co_runner}};
  document["load"] = to_json(recording.load);
  document["metric"] = recording.translates() ? "bleu" : "top1";
  document["metric_source"] = recording.metric_source;
  document["levels"] = Json::array();
  for (int level = 0; level <= top; ++level) {
    document["levels"].push_back({{"level", level},
                                  {"p50_ms", profile.total_ns(level) * kMsPerNs},
                                  {"value", profile.metric(level)}});
  }
  document["policies"] = Json::array();
  for (size_t i = 0; i < recording.policies.size(); ++i) {
    document["policies"].push_back(policy_json(recording, i));
  }
  Simulations simulations(recording, options);
  const bool simulate = options.simulated > 0 && !recording.translates();
  if (simulate) {
    for (const PolicyOutcome& outcome : simulations.run(recording.deadline_ns, options.simulated)) {
      add_simulated(document["policies"], outcome);
    }
  }
  const std::string fixed = "fixed-" + std::to_string(top);
  const auto& compared =
      simulate && !options.policies.empty() ? options.policies : recording.policies;
  const std::string router = compared[router_of(compared)].name;
  if (has_policy(compared, fixed) && router != fixed) {
    document["comparison"] = {{"fixed", fixed}, {"router", router}};
  }
  if (simulate && !options.sweep.empty()) {
    add_sweep(document, profile, options, simulations);
  } else {
    document["sweep"] = Json::array();
  }
  document["timeline"] = timeline_json(recording, router_of(recording.policies));
}

std::string comparison_line(const Json& document) {
  if (!document.contains("comparison")) return "";
  const Json& names = document.at("comparison");
  const Json* fixed = policy_entry(document, names.at("fixed").get<std::string>());
  const Json* router = policy_entry(document, names.at("router").get<std::string>());
  if (fixed == nullptr || router == nullptr) return "";
  const auto part = [](const Json& entry) {
    const Json& figures = finest(entry);
    return entry.at("name").get<std::string>() + ": " + nines_text(figures) + " nines at " +
           format_fixed(figures.at("metric").get<double>(), 2);
  };
  std::string line = part(*fixed) + "; " + part(*router);
  if (finest(*fixed).contains("accuracy_share") &&
      !finest(*router).at("accuracy_share").is_null()) {
    line += " (" + format_fixed(100 * finest(*router).at("accuracy_share").get<double>(), 0) +
            " % of the way from level 0)";
  }
  return line + (fixed->contains("simulated") ? ", simulated from the recording" : ", live");
}

std::string result_text(const Json& document) {
  const Json& co_runner = document.at("co_runner");
  std::string text =
      "deadline " + format_fixed(document.at("deadline_ms").get<double>(), 2) + " ms, " +
      format_fixed(document.at("deadline_factor").get<double>(), 2) +
      " times the unloaded median of level " + std::to_string(document.at("levels").size() - 1) +
      "; batch " + std::to_string(document.at("batch").get<int>()) + ", " +
      std::to_string(document.at("threads").get<int>()) + " thread(s), " +
      format_fixed(document.at("load").at("rate_per_second").get<double>(), 1) +
      " requests a second, " + document.at("load").at("arrivals").get<std::string>() +
      "\nbeside it: " + co_runner.at("program").get<std::string>() + ", " +
      document.at("load").at("pattern").get<std::string>() +
      "\naccuracies: " + document.at("metric_source").get<std::string>() + "\n\nlive\n" +
      policy_table(document, false);
  if (has_simulated(document)) {
    text += "\nsimulated from the recording\n" + policy_table(document, true);
  }
  if (!document.at("sweep").empty()) {
    text += "\nnines and accuracy by deadline, simulated\n" + sweep_table(document);
  }
  const std::string line = comparison_line(document);
  return text + (line.empty() ? "" : "\n" + line + '\n');
}

}  // namespace strata::cli
