#include "tools/strata/level_choice.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "core/clock.h"
#include "tools/strata/latency.h"
#include "tools/strata/session_buffers.h"
#include "tools/strata/table.h"
#include "train/error.h"
#include "train/progress.h"
#include "train/torch/mask_selection.h"
#include "train/torch/one_shot.h"

namespace strata::cli {
namespace {

constexpr int kBisections = 7;
constexpr double kDenseSeconds = 1;    ///< of timing the dense network
constexpr double kProbeSeconds = 0.3;  ///< per timing of one model
constexpr double kSparseProbe = 0.1;   ///< density beside dense at which layers are timed
constexpr double kLeastShare = 0.005;  ///< of the dense network's time, where bisection begins
constexpr int kTimedRuns = 15;         ///< of each step

/// Magnitudes of every weight, in the order of sparse::layer_budgets().
std::vector<std::vector<float>> magnitudes_of(const sparse::NestedModel& dense,
                                              std::span<const sparse::LayerBudget> layers) {
  std::vector<std::vector<float>> all;
  for (const sparse::LayerBudget& layer : layers) {
    all.push_back(sparse::densify(dense.weights.at(layer.name), 0));
    for (float& value : all.back()) value = std::fabs(value);
  }
  return all;
}

class Chooser {
 public:
  Chooser(const Console& console, const LevelChoice& choice)
      : console_(console),
        choice_(choice),
        layers_(value_or_throw(sparse::layer_budgets(choice.dense.model, choice.bindings))) {}

  LevelCounts choose(const LevelRequest& request);

 private:
  [[nodiscard]] LevelCounts counts(std::span<const double> shares) const;
  LevelCounts search(std::span<const double> milliseconds);
  void price_by_time();
  [[nodiscard]] std::unique_ptr<SessionBuffers> session_of(const LevelCounts& counts) const;
  [[nodiscard]] double share_of_time(const LevelCounts& counts, SessionBuffers& dense) const;
  [[nodiscard]] std::map<std::string, double> step_times(SessionBuffers& session, int level) const;

  const Console& console_;
  const LevelChoice& choice_;
  std::vector<sparse::LayerBudget> layers_;
  std::vector<double> costs_;  ///< [weight] of one non-zero, in the unit that is asked for
  bool flops_ = false;
};

LevelCounts Chooser::counts(std::span<const double> shares) const {
  if (!choice_.sensitivity.empty()) {
    std::vector<train::DensityCurve> curves;
    for (size_t i = 0; i < layers_.size(); ++i) {
      curves.push_back(choice_.sensitivity[i].curve);
      curves.back().cost = costs_[i];
    }
    return train::allocate_by_curves(curves, shares);
  }
  std::vector<sparse::LevelBudget> budgets;
  for (const double share : shares) {
    budgets.push_back({.weights = share, .flops = flops_ ? std::optional(share) : std::nullopt});
  }
  const auto magnitudes = magnitudes_of(choice_.dense, layers_);
  const std::vector<std::span<const float>> views(magnitudes.begin(), magnitudes.end());
  return train::nested_counts(choice_.method, layers_, budgets, views);
}

/// The network with its largest weights, which takes as long as any with as many.
std::unique_ptr<SessionBuffers> Chooser::session_of(const LevelCounts& counts) const {
  sparse::NestedModel nested = train::compress_one_shot(choice_.dense, {}, counts).nested;
  throw_if_error(sparse::fold_normalisation(nested));
  return std::make_unique<SessionBuffers>(value_or_throw(runtime::Session::create(
      nested, {.threads = choice_.threads, .bindings = choice_.bindings})));
}

/// The time of the last level over that of the dense network, run in turns: whatever else the
/// machine does meanwhile slows both down.
double Chooser::share_of_time(const LevelCounts& counts, SessionBuffers& dense) const {
  const auto session = session_of(counts);
  const int level = static_cast<int>(counts.size()) - 1;
  std::vector<Contender> contenders = {{"level", [&] { session->run(level); }, {}},
                                       {"dense", [&] { dense.run(0); }, {}}};
  time_in_turns(contenders, {.seconds = kProbeSeconds,
                             .progress = [](int64_t, int64_t) { stop_if_interrupted(); }});
  return quantile(contenders[0].ms, 0.5) / quantile(contenders[1].ms, 0.5);
}

/// Milliseconds of every step, by the name of its first node: the fastest of several runs.
std::map<std::string, double> Chooser::step_times(SessionBuffers& session, int level) const {
  const auto& steps = session.session().steps();
  std::vector<int64_t> least(steps.size(), INT64_MAX);
  for (int run = 0; run < kTimedRuns; ++run) {
    const std::vector<int64_t> times = session.run_timed(level);
    for (size_t i = 0; i < steps.size(); ++i) least[i] = std::min(least[i], times[i]);
  }
  std::map<std::string, double> by_name;
  for (size_t i = 0; i < steps.size(); ++i) {
    by_name[steps[i].name] = static_cast<double>(least[i]) * 1e-6;
  }
  return by_name;
}

/// What a non-zero of each layer costs in time: from the layer's time dense and sparse.
void Chooser::price_by_time() {
  LevelCounts two(2);
  for (const sparse::LayerBudget& layer : layers_) {
    const auto few =
        std::max<int64_t>(1, std::llround(kSparseProbe * static_cast<double>(layer.elements)));
    two[0].push_back(few);
    two[1].push_back(layer.elements);
  }
  const auto session = session_of(two);
  const auto sparse_times = step_times(*session, 0);
  const auto dense_times = step_times(*session, 1);
  std::map<std::string, std::string> node_of;  // the first node that applies a weight
  for (const graph::Node& node : choice_.dense.model.graphs.at(0).nodes) {
    for (const std::string& input : node.inputs) node_of.emplace(input, node.name);
  }
  costs_.assign(layers_.size(), 0);
  double least = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto step = dense_times.find(node_of[layers_[i].name]);
    if (step == dense_times.end() || two[0][i] == two[1][i]) continue;
    const double difference = step->second - sparse_times.at(step->first);
    costs_[i] = std::max(0.0, difference) / static_cast<double>(two[1][i] - two[0][i]);
    if (costs_[i] > 0 && (least == 0 || costs_[i] < least)) least = costs_[i];
  }
  // What no timing could tell is cheap, but not free: a layer need not be dense for nothing.
  for (double& cost : costs_) cost = std::max(cost, least > 0 ? least : 1.0);
}

LevelCounts Chooser::search(std::span<const double> milliseconds) {
  price_by_time();
  std::vector<double> shares = {1.0};
  const auto dense = session_of(counts(shares));
  shares.clear();
  std::vector<Contender> alone = {{"dense", [&] { dense->run(0); }, {}}};
  time_in_turns(alone, {.seconds = kDenseSeconds,
                        .progress = [](int64_t, int64_t) { stop_if_interrupted(); }});
  const double dense_ms = quantile(alone[0].ms, 0.5);
  ProgressOptions options;
  options.mode = progress_mode(console_.quiet);
  Progress progress("timing", static_cast<int64_t>(milliseconds.size()) * kBisections, options);
  for (const double wanted : milliseconds) {
    double low = shares.empty() ? kLeastShare : shares.back();
    double high = 1;
    std::optional<double> nearest;  // time of the sparsest that was possible
    shares.push_back(high);
    if (dense_ms <= wanted) {
      throw Error("a level of " + format_fixed(wanted, 3) + " ms needs no pruning: the dense " +
                  "network takes " + format_fixed(dense_ms, 3) + " ms on this machine with " +
                  std::to_string(choice_.threads) + " threads");
    }
    std::optional<double> found;
    for (int i = 0; i < kBisections; ++i) {
      const double middle = std::sqrt(low * high);
      shares.back() = middle;
      progress.advance();
      std::optional<LevelCounts> possible;
      try {
        possible = counts(shares);
      } catch (const Error&) {
        low = middle;  // fewer weights than the layers need
        continue;
      }
      const double ms = share_of_time(*possible, *dense) * dense_ms;
      if (!nearest || ms < *nearest) nearest = ms;
      if (ms <= wanted) found = middle;
      (ms > wanted ? high : low) = middle;
      progress.note("level " + std::to_string(shares.size() - 1) + ": " + format_fixed(ms, 3) +
                    " ms at " + format_fixed(100 * middle, 1) + " % of the layers' dense time");
    }
    if (!found) {
      throw Error("a level of " + format_fixed(wanted, 3) + " ms is not reached on this machine" +
                  (nearest ? "; the sparsest that was tried takes " + format_fixed(*nearest, 3) +
                                 " ms, the dense network " + format_fixed(dense_ms, 3) + " ms"
                           : ""));
    }
    shares.back() = *found;
  }
  return counts(shares);
}

LevelCounts Chooser::choose(const LevelRequest& request) {
  flops_ = request.unit == LevelUnit::kFlops;
  if (request.unit == LevelUnit::kMilliseconds) return search(request.values);
  for (const sparse::LayerBudget& layer : layers_) {
    costs_.push_back(flops_ ? static_cast<double>(layer.macs_per_nonzero) : 1.0);
  }
  std::vector<double> shares;
  for (const double percent : request.values) shares.push_back(percent / 100);
  return counts(shares);
}

}  // namespace

LevelCounts choose_levels(const Console& console, const LevelChoice& choice,
                          const LevelRequest& request) {
  return Chooser(console, choice).choose(request);
}

}  // namespace strata::cli
