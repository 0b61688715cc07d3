#include "tools/strata/level_comparison.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "tools/strata/latency.h"
#include "tools/strata/sample_loading.h"
#include "tools/strata/session_buffers.h"
#include "train/error.h"
#include "train/progress.h"

namespace strata::cli {
namespace {

constexpr double kLeastEnergy = 1e-20;  // of an output that is all zero
constexpr double kTimingSeconds = 3;

SessionBuffers make_session(const std::shared_ptr<const format::Reader>& reader,
                            const graph::Bindings& bindings, int threads) {
  return SessionBuffers(
      value_or_throw(runtime::Session::create(reader, {.threads = threads, .bindings = bindings})));
}

/// |a - b|^2 / |b|^2, mean over the outputs that are floating-point numbers.
double distance(const SessionBuffers& a, const SessionBuffers& b) {
  double sum = 0;
  int outputs = 0;
  for (size_t i = 0; i < b.output_count(); ++i) {
    const auto mine = a.output(i);
    const auto reference = b.output(i);
    if (reference.empty()) continue;
    double difference = 0;
    double energy = 0;
    for (size_t j = 0; j < reference.size(); ++j) {
      const double d = static_cast<double>(mine[j]) - static_cast<double>(reference[j]);
      difference += d * d;
      energy += static_cast<double>(reference[j]) * static_cast<double>(reference[j]);
    }
    sum += difference / std::max(energy, kLeastEnergy);
    ++outputs;
  }
  return outputs > 0 ? sum / outputs : 0;
}

bool answers(const SessionBuffers& session, int64_t label) {
  const auto logits = session.output(0);
  return std::max_element(logits.begin(), logits.end()) - logits.begin() == label;
}

/// What all samples gave; a place per sample, so that sums do not depend on threads.
struct Outcomes {
  std::vector<uint8_t> right;     ///< [sample][level, dense last]
  std::vector<double> distances;  ///< [sample][level]
};

class Comparison {
 public:
  Comparison(const std::shared_ptr<const format::Reader>& dense,
             const std::shared_ptr<const format::Reader>& compressed, const data::Samples& samples)
      : dense_(dense),
        compressed_(compressed),
        samples_(samples),
        bindings_(bindings_of(dense->model().graphs.at(0), samples)),
        levels_(static_cast<size_t>(compressed->level_count())) {
    const auto count = static_cast<size_t>(samples.count());
    outcomes_.right.resize(count * (levels_ + 1));
    outcomes_.distances.resize(count * levels_);
  }

  /// Takes samples until there are none; `progress` may be null.
  void work(Progress* progress);
  [[nodiscard]] LevelComparison result() const;

 private:
  void compare(size_t sample, SessionBuffers& dense, SessionBuffers& compressed);

  const std::shared_ptr<const format::Reader>& dense_;
  const std::shared_ptr<const format::Reader>& compressed_;
  const data::Samples& samples_;
  graph::Bindings bindings_;
  size_t levels_;
  std::atomic<int64_t> next_{0};
  Outcomes outcomes_;
};

void Comparison::compare(size_t sample, SessionBuffers& dense, SessionBuffers& compressed) {
  const auto index = static_cast<int64_t>(sample);
  for (size_t input = 0; input < samples_.inputs().size(); ++input) {
    samples_.read({&index, 1}, input, dense.input(input));
    samples_.read({&index, 1}, input, compressed.input(input));
  }
  const bool labelled = !samples_.labels().empty();
  uint8_t* const right = &outcomes_.right[sample * (levels_ + 1)];
  dense.run(0);
  if (labelled) right[levels_] = answers(dense, samples_.labels()[sample]) ? 1 : 0;
  for (size_t k = 0; k < levels_; ++k) {
    compressed.run(static_cast<int>(k));
    outcomes_.distances[sample * levels_ + k] = distance(compressed, dense);
    if (labelled) right[k] = answers(compressed, samples_.labels()[sample]) ? 1 : 0;
  }
}

void Comparison::work(Progress* progress) {
  SessionBuffers dense = make_session(dense_, bindings_, 1);
  SessionBuffers compressed = make_session(compressed_, bindings_, 1);
  while (true) {
    const int64_t sample = next_.fetch_add(1);
    if (sample >= samples_.count()) break;
    stop_if_interrupted();
    compare(static_cast<size_t>(sample), dense, compressed);
    if (progress != nullptr) progress->update(sample + 1);
  }
}

LevelComparison Comparison::result() const {
  LevelComparison comparison;
  comparison.samples = samples_.count();
  const auto count = static_cast<double>(samples_.count());
  const auto top1 = [&](size_t level) -> std::optional<double> {
    if (samples_.labels().empty()) return std::nullopt;
    int64_t right = 0;
    for (size_t i = level; i < outcomes_.right.size(); i += levels_ + 1) {
      right += outcomes_.right[i];
    }
    return 100 * static_cast<double>(right) / count;
  };
  for (size_t k = 0; k < levels_; ++k) {
    double sum = 0;
    for (size_t i = k; i < outcomes_.distances.size(); i += levels_) sum += outcomes_.distances[i];
    comparison.levels.push_back({top1(k), sum / count});
  }
  comparison.dense_top1 = top1(levels_);
  return comparison;
}

}  // namespace

LevelComparison compare_levels(const Console& console,
                               const std::shared_ptr<const format::Reader>& dense,
                               const std::shared_ptr<const format::Reader>& compressed,
                               const data::Samples& samples, int threads) {
  Comparison comparison(dense, compressed, samples);
  ProgressOptions options;
  options.mode = progress_mode(console.quiet);
  options.unit = "samples";
  Progress progress("compare", samples.count(), options);
  std::exception_ptr failure;
  std::mutex failure_lock;
  const auto work = [&](Progress* shown) {
    try {
      comparison.work(shown);
    } catch (...) {
      const std::lock_guard guard(failure_lock);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int t = 1; t < threads; ++t) workers.emplace_back(work, nullptr);
    work(&progress);
  }
  if (failure) std::rethrow_exception(failure);
  return comparison.result();
}

std::vector<LevelTime> time_levels(const std::shared_ptr<const format::Reader>& dense,
                                   const std::shared_ptr<const format::Reader>& compressed,
                                   const graph::Bindings& bindings, int threads) {
  SessionBuffers original = make_session(dense, bindings, threads);
  SessionBuffers levels = make_session(compressed, bindings, threads);
  std::vector<Contender> contenders;
  for (int k = 0; k < levels.session().level_count(); ++k) {
    contenders.push_back({"level", [&levels, k] { levels.run(k); }, {}});
  }
  contenders.push_back({"dense", [&original] { original.run(0); }, {}});
  time_in_turns(contenders, {.seconds = kTimingSeconds,
                             .progress = [](int64_t, int64_t) { stop_if_interrupted(); }});
  std::vector<LevelTime> times;
  for (const Contender& contender : contenders) {
    times.push_back(
        {quantile(contender.ms, 0.5), quantile(contender.ms, 0.9), quantile(contender.ms, 0.99)});
  }
  return times;
}

}  // namespace strata::cli
