#include "tools/strata/qos_outcome.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "route/simulator.h"
#include "tools/strata/latency.h"
#include "train/error.h"
#include "train/text/bleu.h"

namespace strata::cli {
namespace {

constexpr double kMsPerNs = 1e-6;
constexpr int64_t kBlockInferences = 64;  // drawn in one piece: longer than a burst of the load
constexpr int64_t kMostWarmUp = 20'000;
constexpr size_t kSurvivalPoints = 120;

/// Latencies in bins of one percent, however many there are.
class LatencyHistogram {
 public:
  void add(double ns) {
    const double bin = std::log(std::max(ns, kLeastNs) / kLeastNs) / kLogWidth;
    ++counts_[std::min(counts_.size() - 1, static_cast<size_t>(bin))];
    ++total_;
    most_ns_ = std::max(most_ns_, ns);
  }
  [[nodiscard]] double most_ns() const { return most_ns_; }

  [[nodiscard]] double quantile_ns(double q) const {
    const auto wanted = static_cast<int64_t>(std::ceil(q * static_cast<double>(total_)));
    int64_t below = 0;
    for (size_t bin = 0; bin < counts_.size(); ++bin) {
      below += counts_[bin];
      if (below >= wanted && below > 0) return std::min(end_of(bin), most_ns_);
    }
    return most_ns_;
  }

  [[nodiscard]] std::vector<SurvivalPoint> survival() const {
    std::vector<SurvivalPoint> all;
    int64_t above = total_;
    for (size_t bin = 0; bin < counts_.size() && above > 0; ++bin) {
      if (counts_[bin] == 0) continue;
      if (all.empty()) all.push_back({begin_of(bin) * kMsPerNs, 1});
      above -= counts_[bin];
      all.push_back({std::min(end_of(bin), most_ns_) * kMsPerNs,
                     static_cast<double>(above) / static_cast<double>(total_)});
    }
    if (!all.empty() && all.back().share <= 0) all.pop_back();  // no place on a log axis
    if (all.size() <= kSurvivalPoints) return all;
    std::vector<SurvivalPoint> some;  // evenly spaced in the logarithm of the share
    double next = 1;
    const double factor =
        std::pow(std::max(all.back().share, 1e-12), 1.0 / static_cast<double>(kSurvivalPoints - 2));
    for (const SurvivalPoint& point : all) {
      if (point.share > next) continue;
      some.push_back(point);
      while (next >= point.share) next *= factor;
    }
    if (some.back().ms < all.back().ms) some.push_back(all.back());
    return some;
  }

 private:
  static constexpr double kLeastNs = 1000;
  static constexpr double kLogWidth = 0.01;
  static double begin_of(size_t bin) {
    return kLeastNs * std::exp(kLogWidth * static_cast<double>(bin));
  }
  static double end_of(size_t bin) { return begin_of(bin + 1); }

  std::vector<int64_t> counts_ = std::vector<int64_t>(2400);  // up to e^24 us
  int64_t total_ = 0;
  double most_ns_ = 0;
};

void fill_latency(PolicyOutcome& outcome, const LatencyHistogram& latency) {
  outcome.p50_ms = latency.quantile_ns(0.5) * kMsPerNs;
  outcome.p90_ms = latency.quantile_ns(0.9) * kMsPerNs;
  outcome.p99_ms = latency.quantile_ns(0.99) * kMsPerNs;
  outcome.max_ms = latency.most_ns() * kMsPerNs;
  outcome.survival = latency.survival();
}

std::span<const uint8_t> levels_of(const QosRecording& recording, size_t index) {
  return std::span(recording.levels).subspan(index * recording.steps(), recording.steps());
}

/// Adds the slowdowns of one policy's answered inferences, in order; their indices if wanted.
void add_slowdowns(route::Recording& slowdowns, const QosRecording& recording,
                   const route::Profile& profile, size_t policy,
                   std::vector<size_t>* indices = nullptr) {
  slowdowns.step_count = profile.step_count();
  double free_ns = 0;  // when the server had answered the request before, in the same turn
  int block = -1;
  for (size_t i = 0; i < recording.inferences.size(); ++i) {
    const RecordedInference& inference = recording.inferences[i];
    if (inference.policy != static_cast<int>(policy)) continue;
    if (inference.block != block) free_ns = 0;
    block = inference.block;
    const double ready_ns = std::max(inference.arrival_ns, free_ns);
    free_ns = inference.finish_ns;
    if (!inference.completed) continue;
    const double waking_ns = std::max(0.0, inference.start_ns - ready_ns);
    const std::span<const uint8_t> levels = levels_of(recording, i);
    for (size_t step = 0; step < levels.size(); ++step) {
      const double took_ns =
          recording.step_ns[i * levels.size() + step] + (step == 0 ? waking_ns : 0);
      const double profiled_ns = profile.step_ns(static_cast<int>(step), levels[step]);
      slowdowns.slowdowns.push_back(static_cast<float>(std::max(took_ns, 1.0) / profiled_ns));
    }
    if (indices != nullptr) indices->push_back(i);
  }
}

double bleu(const std::vector<std::string>& hypotheses,
            const std::vector<std::string>& references) {
  return hypotheses.empty() ? 0 : text::corpus_bleu(hypotheses, {&references, 1}).score;
}

/// The metrics of a translator's outcome.
void fill_bleu(PolicyOutcome& outcome, const QosRecording& recording, size_t policy) {
  std::vector<std::string> references, answered_references, answers, in_time, sparsest, densest;
  for (const RecordedInference& inference : recording.inferences) {
    if (inference.policy != static_cast<int>(policy) || inference.warm_up) continue;
    const RecordedSentence& sentence = recording.sentences[static_cast<size_t>(inference.sentence)];
    references.push_back(sentence.reference);
    sparsest.push_back(sentence.level_answers.front());
    densest.push_back(sentence.level_answers.back());
    in_time.push_back(inference.missed ? "" : inference.answer);
    if (!inference.completed) continue;
    answered_references.push_back(sentence.reference);
    answers.push_back(inference.answer);
  }
  outcome.metric = bleu(answers, answered_references);
  outcome.metric_met = bleu(in_time, references);
  outcome.lowest = bleu(sparsest, references);
  outcome.highest = bleu(densest, references);
}

void set_range(PolicyOutcome& outcome, const route::Profile& profile) {
  outcome.lowest = profile.metric(0);
  outcome.highest = profile.metric(profile.level_count() - 1);
}

void copy_counts(PolicyOutcome& outcome, const route::SimulationOutcome& simulated) {
  outcome.inferences = simulated.inferences;
  outcome.misses = simulated.misses;
  outcome.unanswered = simulated.gave_up;
  outcome.miss_rate = simulated.miss_rate;
  outcome.metric = simulated.mean_metric;
  outcome.metric_met = simulated.mean_metric_met;
  outcome.reroutes = simulated.mean_switches;
  outcome.time_share = simulated.time_share;
}

class LatencyObserver : public route::SimulationObserver {
 public:
  void inference(const route::SimulatedInference& inference) override {
    missed.push_back(inference.missed);
    if (!inference.gave_up) latency.add(inference.finish_ns - inference.arrival_ns);
  }
  LatencyHistogram latency;
  std::vector<bool> missed;
};

route::SimulationOptions options_for(const route::Profile& profile, const NamedPolicy& policy,
                                     double deadline_ns) {
  route::SimulationOptions options;
  options.deadline_ns = deadline_ns;
  options.policy = policy.options;
  options.belief = route::belief_options(profile);
  return options;
}

}  // namespace

route::Proportion clustered_interval(const std::vector<bool>& missed, size_t cluster) {
  const auto n = static_cast<int64_t>(missed.size());
  const int64_t misses = std::count(missed.begin(), missed.end(), true);
  const route::Proportion plain = route::wilson_interval(misses, n);
  const size_t clusters = missed.size() / cluster;
  if (misses == 0 || misses == n || clusters < 2) return plain;
  const double rate = static_cast<double>(misses) / static_cast<double>(n);
  double squares = 0;
  for (size_t c = 0; c < clusters; ++c) {
    const auto begin = missed.begin() + static_cast<std::ptrdiff_t>(c * cluster);
    const auto here = std::count(begin, begin + static_cast<std::ptrdiff_t>(cluster), true);
    const double difference = static_cast<double>(here) / static_cast<double>(cluster) - rate;
    squares += difference * difference;
  }
  const double between = squares / static_cast<double>(clusters - 1);
  const double binomial = rate * (1 - rate) / static_cast<double>(cluster);
  const double effect = std::max(1.0, between / binomial);
  route::Proportion wide =
      route::wilson_interval(std::lround(static_cast<double>(misses) / effect),
                             std::max(1L, std::lround(static_cast<double>(n) / effect)));
  wide.value = rate;  // rounding moved it
  wide.low = std::min(wide.low, plain.low);
  wide.high = std::max(wide.high, plain.high);
  return wide;
}

double level_bleu(const QosRecording& recording, int level) {
  std::vector<std::string> references, answers;
  for (const RecordedSentence& sentence : recording.sentences) {
    references.push_back(sentence.reference);
    answers.push_back(sentence.level_answers[static_cast<size_t>(level)]);
  }
  return bleu(answers, references);
}

PolicyOutcome live_outcome(const QosRecording& recording, size_t policy) {
  const route::Profile profile = value_or_throw(route::Profile::create(recording.profile));
  PolicyOutcome outcome;
  outcome.name = recording.policies[policy].name;
  outcome.time_share.assign(static_cast<size_t>(profile.level_count()), 0);
  LatencyHistogram latency;
  std::vector<bool> missed;
  int64_t switches = 0;
  double total_ns = 0;
  for (size_t i = 0; i < recording.inferences.size(); ++i) {
    const RecordedInference& inference = recording.inferences[i];
    if (inference.policy != static_cast<int>(policy) || inference.warm_up) continue;
    missed.push_back(inference.missed);
    outcome.misses += inference.missed ? 1 : 0;
    const std::span<const uint8_t> levels = levels_of(recording, i);
    for (size_t step = 0; step < levels.size() && levels[step] != kNotRun; ++step) {
      const double ns = recording.step_ns[i * levels.size() + step];
      outcome.time_share[levels[step]] += ns;
      total_ns += ns;
      if (step > 0 && levels[step] != levels[step - 1]) ++switches;
    }
    if (!inference.completed) {
      ++outcome.unanswered;
      continue;
    }
    if (!recording.translates()) {
      const double metric = route_metric(profile, levels.data());
      outcome.metric += metric;
      if (!inference.missed) outcome.metric_met += metric;
    }
    latency.add(inference.finish_ns - inference.arrival_ns);
  }
  outcome.inferences = static_cast<int64_t>(missed.size());
  const auto answered = static_cast<double>(outcome.inferences - outcome.unanswered);
  if (answered > 0) {
    outcome.metric /= answered;
    outcome.metric_met /= static_cast<double>(outcome.inferences);
    outcome.reroutes = static_cast<double>(switches) / answered;
  }
  set_range(outcome, profile);
  if (recording.translates()) fill_bleu(outcome, recording, policy);
  for (double& share : outcome.time_share) share /= std::max(total_ns, 1.0);
  outcome.miss_rate = clustered_interval(missed, kBlockInferences);
  fill_latency(outcome, latency);
  return outcome;
}

Replay replayed_outcome(const QosRecording& recording, size_t policy) {
  const route::Profile profile = value_or_throw(route::Profile::create(recording.profile));
  std::vector<size_t> indices;
  route::Recording slowdowns;
  add_slowdowns(slowdowns, recording, profile, policy, &indices);
  Replay replay;
  replay.outcome.name = recording.policies[policy].name;
  std::vector<double> arrivals;
  int64_t warm_up = 0;
  std::vector<bool> live_missed;
  for (const size_t i : indices) {
    const RecordedInference& inference = recording.inferences[i];
    arrivals.push_back(inference.arrival_ns);
    if (inference.warm_up) {
      ++warm_up;
    } else {
      live_missed.push_back(inference.missed);
    }
  }
  if (live_missed.empty() || arrivals.size() < 2) return replay;
  const auto source = value_or_throw(route::trace_arrivals(arrivals));
  const auto interference =
      value_or_throw(route::replay_interference(std::move(slowdowns), 0, recording.load.seed));
  route::SimulationOptions options =
      options_for(profile, recording.policies[policy], recording.deadline_ns);
  options.inferences = static_cast<int64_t>(live_missed.size());
  options.warmup = warm_up;
  LatencyObserver observer;
  options.observer = &observer;
  copy_counts(replay.outcome,
              value_or_throw(route::simulate(profile, *source, *interference, options)));
  set_range(replay.outcome, profile);
  fill_latency(replay.outcome, observer.latency);
  replay.outcome.miss_rate = clustered_interval(observer.missed, kBlockInferences);
  size_t same = 0;
  for (size_t i = 0; i < live_missed.size() && i < observer.missed.size(); ++i) {
    same += live_missed[i] == observer.missed[i] ? 1 : 0;
  }
  replay.same_verdict = static_cast<double>(same) / static_cast<double>(live_missed.size());
  return replay;
}

PolicyOutcome simulated_outcome(const QosRecording& recording, const NamedPolicy& policy,
                                const SimulationPlan& plan) {
  const route::Profile profile = value_or_throw(route::Profile::create(recording.profile));
  route::Recording slowdowns;
  for (size_t i = 0; i < recording.policies.size(); ++i) {
    add_slowdowns(slowdowns, recording, profile, i);
  }
  PolicyOutcome outcome;
  outcome.name = policy.name;
  if (slowdowns.inferences() == 0) {
    throw Error("the recording has no inference that was answered; there is nothing to simulate");
  }
  const auto arrivals = make_arrivals(recording.load, plan.seed);
  const auto interference = value_or_throw(
      route::replay_interference(std::move(slowdowns), kBlockInferences, plan.seed + 1));
  route::SimulationOptions options = options_for(profile, policy, plan.deadline_ns);
  options.inferences = plan.inferences;
  options.warmup = std::min(kMostWarmUp, plan.inferences / 2);
  LatencyObserver observer;
  options.observer = &observer;
  copy_counts(outcome, value_or_throw(route::simulate(profile, *arrivals, *interference, options)));
  set_range(outcome, profile);
  fill_latency(outcome, observer.latency);
  outcome.miss_rate = clustered_interval(observer.missed, kBlockInferences);
  return outcome;
}

}  // namespace strata::cli
