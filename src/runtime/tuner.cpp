// See tuner.h.
#include "runtime/tuner.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include <time.h>

#include "core/clock.h"
#include "runtime/random_tensors.h"

namespace strata::runtime {
namespace {

constexpr int64_t kFewestRounds = 7;
constexpr int64_t kMostRounds = 200;
constexpr int32_t kTiles[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16};
constexpr int32_t kSlicesKib[] = {8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 2048};
/// What is faster by less than this may be noise.
constexpr double kClearly = 0.97;
/// In the end, in turns with the rules, a step has to be faster by this to keep its choices.
constexpr double kWorthIt = 0.99;
/// Quantiles of times that are compared.
constexpr double kLow = 0.1;
constexpr double kMiddle = 0.4;
/// Levels of fewer weights than this share are not tried with a dense kernel.
constexpr double kLeastDense = 0.1;

/// Processor time of the calling thread.
int64_t thread_time_ns(void* /*context*/) {
  timespec time = {};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return monotonic_ns();
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

double quantile_of(std::vector<double>& values, double q) {
  const auto place =
      values.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

/// Weights packed one way, of two that are compared in one session: with the same activations in
/// the same places, so that nothing differs but what is tuned.
struct Contender {
  std::vector<StepPacking> packing;
  std::vector<std::vector<double>> samples;  ///< [step * levels + level][round]
  std::vector<double> low_ns;                ///< of those, as all below
  std::vector<double> middle_ns;
  std::vector<double> median_ns;
};

/// What a trial changes. `step` is as the best so far has it; false: nothing to try.
using Change = std::function<bool(size_t step, StepTuning& tuning)>;
/// Takes over from `trial` what is better; see the functions of Tuner.
enum class Judge : uint8_t { kLevels, kSlices, kWhole };

class Tuner {
 public:
  Tuner(std::shared_ptr<const format::Reader> reader, const SessionOptions& session_options,
        const TunerOptions& options)
      : reader_(std::move(reader)), session_options_(session_options), options_(options) {
    session_options_.tuning = "off";
    session_options_.tuning_trial.clear();
    // The time that others take from a thread is none of its own.
    if (session_options_.threads == 1) session_options_.clock = {thread_time_ns, nullptr};
  }

  Result<TuningResult> run() {
    STRATA_ASSIGN_OR_RETURN(session_, Session::create(reader_, session_options_));
    steps_ = session_->packing().size();
    ns_.resize(session_->steps().size());
    levels_ = static_cast<size_t>(session_->level_count());
    best_.assign(steps_, StepTuning{std::vector<LevelTuning>(levels_), 0, -1});
    champion_.packing = session_->packing();
    result_.bytes_before = session_->memory().weights;
    most_bytes_ = std::max(static_cast<double>(result_.bytes_before),
                           options_.most_bytes * static_cast<double>(reader_->file_bytes()));
    data_.emplace(*session_);
    STRATA_RETURN_IF_ERROR(choose_rounds());
    plan_trials();
    total_ = static_cast<int64_t>(trials_.size() + 1) * result_.rounds;
    for (const Trial& trial : trials_) {
      STRATA_RETURN_IF_ERROR(run_trial(trial));
      if (stopped_) break;
    }
    if (!stopped_) STRATA_RETURN_IF_ERROR(confirm());
    result_.complete = !stopped_;
    result_.steps = std::move(best_);
    result_.packing = champion_.packing;
    result_.bytes_after = session_->memory().weights;
    return std::move(result_);
  }

 private:
  struct Trial {
    Change change;
    Judge judge;
  };

  [[nodiscard]] size_t at(size_t step, size_t level) const { return step * levels_ + level; }

  /// Packs `challenger` beside what is in use.
  Status prepare(const Tuning& tuning, Contender& challenger) {
    STRATA_RETURN_IF_ERROR(session_->prepare_tuning(tuning));
    session_->swap_tuning();
    challenger.packing = session_->packing();
    session_->swap_tuning();
    return {};
  }

  /// Makes `best_` what is in use.
  Status crown() {
    STRATA_RETURN_IF_ERROR(session_->prepare_tuning(best_));
    session_->swap_tuning();
    champion_.packing = session_->packing();
    return {};
  }

  /// Parts of a batch are added up.
  Status run_once(size_t level, std::span<int64_t> step_ns) {
    const std::vector<uint8_t> route(ns_.size(), static_cast<uint8_t>(level));
    STRATA_RETURN_IF_ERROR(session_->run_timed(data_->inputs(), data_->outputs(), route, ns_));
    std::fill(step_ns.begin(), step_ns.end(), 0);
    for (size_t i = 0; i < ns_.size(); ++i) step_ns[i % steps_] += ns_[i];
    return {};
  }

  Status choose_rounds() {
    std::vector<int64_t> ns(steps_);
    double round_ns = 0;
    for (int repeat = 0; repeat < 2; ++repeat) {
      round_ns = 0;
      for (size_t level = 0; level < levels_; ++level) {
        STRATA_RETURN_IF_ERROR(run_once(level, ns));
        round_ns += std::accumulate(ns.begin(), ns.end(), 0.0);
      }
    }
    constexpr double kRunsPerRound = 4;  // two contenders, the first of two runs warms the cache
    const double fitting = options_.seconds * 1e9 / std::max(kRunsPerRound * round_ns, 1e3);
    result_.rounds =
        options_.rounds > 0
            ? options_.rounds
            : static_cast<int64_t>(std::clamp<double>(fitting, kFewestRounds, kMostRounds));
    return {};
  }

  /// Times what is in use, the champion, and what was prepared in turns. Sets stopped_ if it is to
  /// end.
  Status compare(Contender& challenger) {
    std::vector<int64_t> ns(steps_);
    Contender* const both[] = {&champion_, &challenger};
    for (Contender* contender : both) contender->samples.assign(steps_ * levels_, {});
    for (int64_t round = 0; round < result_.rounds; ++round) {
      if (options_.progress && !options_.progress(done_++, total_)) {
        stopped_ = true;
        return {};
      }
      for (Contender* contender : both) {
        for (size_t level = 0; level < levels_; ++level) {
          for (int repeat = 0; repeat < 2; ++repeat) {  // the first brings weights to the cache
            STRATA_RETURN_IF_ERROR(run_once(level, ns));
          }
          for (size_t step = 0; step < steps_; ++step) {
            contender->samples[at(step, level)].push_back(static_cast<double>(ns[step]));
          }
        }
        session_->swap_tuning();
      }
    }
    for (Contender* contender : both) {
      contender->low_ns.clear();
      contender->middle_ns.clear();
      contender->median_ns.clear();
      for (auto& samples : contender->samples) {
        contender->low_ns.push_back(quantile_of(samples, kLow));
        contender->middle_ns.push_back(quantile_of(samples, kMiddle));
        contender->median_ns.push_back(quantile_of(samples, 0.5));
      }
    }
    return {};
  }

  /// Time of `a` over that of `b`: the larger of what two quantiles say, so that both have to be
  /// better. Both are low, for what others do to the machine only adds to a time.
  [[nodiscard]] double ratio(const Contender& a, const Contender& b, size_t step,
                             size_t level) const {
    const size_t i = at(step, level);
    return std::max(a.low_ns[i] / b.low_ns[i], a.middle_ns[i] / b.middle_ns[i]);
  }

  /// Geometric mean over the levels [begin, end).
  [[nodiscard]] double mean_ratio(const Contender& a, const Contender& b, size_t step, size_t begin,
                                  size_t end) const {
    double logarithms = 0;
    for (size_t level = begin; level < end; ++level) {
      logarithms += std::log(ratio(a, b, step, level));
    }
    return std::exp(logarithms / static_cast<double>(end - begin));
  }

  /// The first level that shares lists with others; levels_ if none does.
  [[nodiscard]] size_t first_sharing(const Contender& contender, size_t step) const {
    const std::vector<StepPacking::Level>& levels = contender.packing[step].levels;
    for (size_t level = 0; level < levels_; ++level) {
      if (levels[level].lists > 1) return level - 1;
    }
    return levels_;
  }

  void plan_trials() {
    const auto count = static_cast<int32_t>(levels_);
    const auto lists = [this](int32_t alone) {
      trials_.push_back({[alone](size_t, StepTuning& tuning) {
                           tuning.alone = alone;
                           return true;
                         },
                         Judge::kWhole});
    };
    const auto tiles = [this] {
      for (const int32_t tile : kTiles) {
        trials_.push_back({[tile](size_t, StepTuning& tuning) {
                             for (LevelTuning& level : tuning.levels) level.tile_blocks = tile;
                             return true;
                           },
                           Judge::kLevels});
      }
    };
    if (count > 1) {
      lists(count);
      lists(1);
    }
    tiles();
    for (const int32_t kib : kSlicesKib) {
      trials_.push_back({[kib](size_t, StepTuning& tuning) {
                           for (LevelTuning& level : tuning.levels) level.slice_kib = kib;
                           return true;
                         },
                         Judge::kSlices});
    }
    tiles();  // for slices as they are now
    for (const int32_t more : {-1, 1, -1, 1}) {
      trials_.push_back({[this, more, count](size_t step, StepTuning& tuning) {
                           const int32_t first = first_dense(step);
                           const int32_t changed = more < 0 ? first - 1 : first;
                           if (changed < 0 || changed >= count || !may_be_dense(step, changed)) {
                             return false;
                           }
                           tuning.first_dense_level = first + more;
                           return true;
                         },
                         Judge::kWhole});
    }
  }

  [[nodiscard]] int32_t first_dense(size_t step) const {
    return session_->steps()[step].first_dense_level;
  }

  [[nodiscard]] bool may_be_dense(size_t step, int32_t level) const {
    const StepInfo& info = session_->steps()[step];
    return info.dense_macs > 0 && static_cast<double>(info.macs[static_cast<size_t>(level)]) >=
                                      kLeastDense * static_cast<double>(info.dense_macs);
  }

  Status run_trial(const Trial& trial) {
    Tuning tuning = best_;
    bool any = false;
    for (size_t step = 0; step < steps_; ++step) {
      if (!trial.change(step, tuning[step])) tuning[step] = best_[step];
    }
    Contender challenger;
    STRATA_RETURN_IF_ERROR(prepare(tuning, challenger));
    for (size_t step = 0; step < steps_; ++step) {
      any = any || challenger.packing[step].levels != champion_.packing[step].levels;
    }
    if (!any) {
      done_ += result_.rounds;
      return {};
    }
    STRATA_RETURN_IF_ERROR(compare(challenger));
    if (stopped_) return {};
    const Tuning before = best_;
    const bool changed = trial.judge == Judge::kWhole
                             ? take_steps(challenger, tuning)
                             : take_levels(challenger, tuning, trial.judge);
    if (!changed) return {};
    STRATA_RETURN_IF_ERROR(crown());
    if (static_cast<double>(session_->memory().weights) <= most_bytes_) return {};
    best_ = before;  // flat slices have many runs, which take memory, too
    return crown();
  }

  /// Takes tiles and slices of the levels that are faster. Those that share slices do so together.
  bool take_levels(const Contender& challenger, const Tuning& tuning, Judge judge) {
    bool changed = false;
    for (size_t step = 0; step < steps_; ++step) {
      const size_t sharing = judge == Judge::kSlices ? first_sharing(champion_, step) : levels_;
      for (size_t level = 0; level < levels_;) {
        const size_t end = level < sharing ? level + 1 : levels_;
        const auto same = [&](size_t k) {
          return challenger.packing[step].levels[k] == champion_.packing[step].levels[k];
        };
        if (!same(level) && mean_ratio(challenger, champion_, step, level, end) < kClearly) {
          for (size_t k = level; k < end; ++k) best_[step].levels[k] = tuning[step].levels[k];
          changed = true;
        }
        level = end;
      }
    }
    return changed;
  }

  /// Takes lists and dense kernels of the steps that are faster with them, no level slower; what
  /// saves most time per byte first.
  bool take_steps(const Contender& challenger, const Tuning& tuning) {
    struct Winner {
      size_t step;
      double saved_ns;
      double bytes;
    };
    std::vector<Winner> winners;
    for (size_t step = 0; step < steps_; ++step) {
      const StepPacking& now = champion_.packing[step];
      const StepPacking& then = challenger.packing[step];
      if (then.levels == now.levels) continue;
      double saved = 0;
      double logarithms = 0;
      double touched = 0;
      bool slower = false;
      for (size_t level = 0; level < levels_; ++level) {
        if (then.levels[level] == now.levels[level]) continue;
        const double time = ratio(challenger, champion_, step, level);
        slower = slower || time > 1 / kClearly;
        logarithms += std::log(time);
        ++touched;
        saved += champion_.median_ns[at(step, level)] - challenger.median_ns[at(step, level)];
      }
      if (slower || std::exp(logarithms / touched) >= kClearly) continue;
      winners.push_back(
          {step, saved, static_cast<double>(then.bytes) - static_cast<double>(now.bytes)});
    }
    std::sort(winners.begin(), winners.end(), [](const Winner& a, const Winner& b) {
      return a.saved_ns * std::max(b.bytes, 1.0) > b.saved_ns * std::max(a.bytes, 1.0);
    });
    auto bytes = static_cast<double>(session_->memory().weights);
    bool changed = false;
    for (const Winner& winner : winners) {
      if (winner.bytes > 0 && bytes + winner.bytes > most_bytes_) continue;
      bytes += winner.bytes;
      best_[winner.step] = tuning[winner.step];
      changed = true;
    }
    return changed;
  }

  /// All choices together in turns with the rules: steps that have not become faster go back, and
  /// no level stays slower than a less sparse one.
  Status confirm() {
    Contender rules;
    STRATA_RETURN_IF_ERROR(prepare({}, rules));
    STRATA_RETURN_IF_ERROR(compare(rules));
    if (stopped_) return {};
    result_.before_ns = rules.median_ns;
    result_.after_ns = champion_.median_ns;
    for (size_t step = 0; step < steps_; ++step) {
      const bool same = champion_.packing[step].levels == rules.packing[step].levels;
      if (same || mean_ratio(champion_, rules, step, 0, levels_) > kWorthIt) {
        best_[step] = StepTuning();
        for (size_t k = 0; k < levels_; ++k)
          result_.after_ns[at(step, k)] = rules.median_ns[at(step, k)];
        continue;
      }
      for (size_t level = levels_ - 1; level > 0; --level) {
        double& sparser = result_.after_ns[at(step, level - 1)];
        const bool dense = champion_.packing[step].levels[level].dense;
        if (dense || sparser <= result_.after_ns[at(step, level)]) continue;
        best_[step].levels[level - 1] = best_[step].levels[level];
        sparser = result_.after_ns[at(step, level)];
      }
    }
    STRATA_RETURN_IF_ERROR(crown());
    return keep_within_memory(rules);
  }

  /// What confirm() changes may take more memory than what there was: then the steps that take most
  /// go back to the rules, until all fit.
  Status keep_within_memory(const Contender& rules) {
    auto bytes = static_cast<double>(session_->memory().weights);
    if (bytes <= most_bytes_) return {};
    const auto more = [&](size_t step) {
      return static_cast<double>(champion_.packing[step].bytes) -
             static_cast<double>(rules.packing[step].bytes);
    };
    std::vector<size_t> order(steps_);
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return more(a) > more(b); });
    for (const size_t step : order) {
      if (bytes <= most_bytes_ || more(step) <= 0) break;
      bytes -= more(step);
      best_[step] = StepTuning();
      for (size_t k = 0; k < levels_; ++k) {
        result_.after_ns[at(step, k)] = result_.before_ns[at(step, k)];
      }
    }
    return crown();
  }

  std::shared_ptr<const format::Reader> reader_;
  SessionOptions session_options_;
  TunerOptions options_;
  TuningResult result_;
  std::unique_ptr<Session> session_;  ///< runs best_
  std::optional<RandomTensors> data_;
  std::vector<int64_t> ns_;  ///< [step of the session]
  size_t steps_ = 0;         ///< of a part
  size_t levels_ = 0;
  double most_bytes_ = 0;
  std::vector<Trial> trials_;
  int64_t done_ = 0;
  int64_t total_ = 0;
  bool stopped_ = false;
  Tuning best_;
  Contender champion_;  ///< best_
};

}  // namespace

Result<TuningResult> tune(std::shared_ptr<const format::Reader> reader,
                          const SessionOptions& options, const TunerOptions& tuner_options) {
  return Tuner(std::move(reader), options, tuner_options).run();
}

std::vector<StepTuning> tuning_candidates(int level_count) {
  std::vector<StepTuning> candidates;
  const auto levels = static_cast<size_t>(level_count);
  for (const int32_t tile : kTiles) {
    for (const int32_t kib : kSlicesKib) {
      for (int32_t alone = 0; alone <= level_count; ++alone) {
        for (int32_t dense = -1; dense <= level_count; ++dense) {
          candidates.push_back({std::vector<LevelTuning>(levels, {tile, kib}), alone, dense});
        }
      }
    }
  }
  return candidates;
}

}  // namespace strata::runtime
