#include "tools/strata/level_comparison.h"

#include <algorithm>

#include "tools/strata/each_sample.h"
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

  void run(int threads, Progress& progress);
  [[nodiscard]] LevelComparison result() const;

 private:
  void compare(size_t sample, SessionBuffers& dense, SessionBuffers& compressed);

  const std::shared_ptr<const format::Reader>& dense_;
  const std::shared_ptr<const format::Reader>& compressed_;
  const data::Samples& samples_;
  graph::Bindings bindings_;
  size_t levels_;
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
    outcomes_.distances[sample * levels_ + k] = output_distance(compressed, dense);
    if (labelled) right[k] = answers(compressed, samples_.labels()[sample]) ? 1 : 0;
  }
}

void Comparison::run(int threads, Progress& progress) {
  std::vector<SessionBuffers> dense;
  std::vector<SessionBuffers> compressed;
  for (int t = 0; t < threads; ++t) {
    dense.push_back(make_session(dense_, bindings_, 1));
    compressed.push_back(make_session(compressed_, bindings_, 1));
  }
  for_each_sample(
      static_cast<size_t>(samples_.count()), dense.size(), progress,
      [&](size_t sample, size_t worker) { compare(sample, dense[worker], compressed[worker]); });
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

double output_distance(const SessionBuffers& session, const SessionBuffers& reference) {
  double sum = 0;
  int outputs = 0;
  for (size_t i = 0; i < reference.output_count(); ++i) {
    const auto made = session.output(i);
    const auto wanted = reference.output(i);
    if (wanted.empty()) continue;
    double difference = 0;
    double energy = 0;
    for (size_t j = 0; j < wanted.size(); ++j) {
      const double d = static_cast<double>(made[j]) - static_cast<double>(wanted[j]);
      difference += d * d;
      energy += static_cast<double>(wanted[j]) * static_cast<double>(wanted[j]);
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

LevelComparison compare_levels(const Console& console,
                               const std::shared_ptr<const format::Reader>& dense,
                               const std::shared_ptr<const format::Reader>& compressed,
                               const data::Samples& samples, int threads) {
  Comparison comparison(dense, compressed, samples);
  ProgressOptions options;
  options.mode = progress_mode(console.quiet);
  options.unit = "samples";
  Progress progress("compare", samples.count(), options);
  comparison.run(threads, progress);
  return comparison.result();
}

std::vector<LevelTime> time_levels(const std::shared_ptr<const format::Reader>& dense,
                                   const std::shared_ptr<const format::Reader>& compressed,
                                   const graph::Bindings& bindings, int threads) {
  SessionBuffers original = make_session(dense, bindings, threads);
  SessionBuffers levels = make_session(compressed, bindings, threads);
  std::vector<Contender> contenders;
  contenders.reserve(static_cast<size_t>(levels.session().level_count()) + 1);
  for (int k = 0; k < levels.session().level_count(); ++k) {
    contenders.push_back({"level", [&levels, k] { levels.run(k); }, {}});
  }
  contenders.push_back({"dense", [&original] { original.run(0); }, {}});
  time_in_turns(contenders, {.seconds = kTimingSeconds,
                             .progress = [](int64_t, int64_t) { stop_if_interrupted(); }});
  std::vector<LevelTime> times;
  times.reserve(contenders.size());
  for (const Contender& contender : contenders) {
    times.push_back(
        {quantile(contender.ms, 0.5), quantile(contender.ms, 0.9), quantile(contender.ms, 0.99)});
  }
  return times;
}

}  // namespace strata::cli
