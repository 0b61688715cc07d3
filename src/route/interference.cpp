// Bootstrapped and synthetic slowdowns.
#include "route/interference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "route/random.h"

namespace strata::route {
namespace {

class Replay final : public Interference {
 public:
  Replay(Recording recording, int64_t block, uint64_t seed)
      : recording_(std::move(recording)), block_(block), random_(seed) {}

  [[nodiscard]] int step_count() const override { return recording_.step_count; }

  void next(double /*arrival_ns*/, float* slowdowns) override {
    if (block_ > 0 && left_ == 0) {
      next_ = static_cast<int64_t>(random_.below(static_cast<uint64_t>(recording_.inferences())));
      left_ = block_;
    }
    const auto steps = static_cast<size_t>(recording_.step_count);
    const float* source = recording_.slowdowns.data() + static_cast<size_t>(next_) * steps;
    std::copy(source, source + steps, slowdowns);
    next_ = next_ + 1 == recording_.inferences() ? 0 : next_ + 1;
    if (left_ > 0) --left_;
  }

 private:
  Recording recording_;
  int64_t block_;
  int64_t left_ = 0;
  int64_t next_ = 0;
  Random random_;
};

/// Two states in continuous time. A copy sees the same future as the original.
class OnOff {
 public:
  OnOff(const Bursts& bursts, uint64_t seed) : bursts_(bursts), random_(seed, 1) {
    change_ns_ = bursts.off_ns > 0 ? random_.exponential(bursts.off_ns)
                                   : std::numeric_limits<double>::infinity();
  }
  bool on_at(double now_ns) {  // now never falls
    while (now_ns >= change_ns_) {
      on_ = !on_;
      change_ns_ += random_.exponential(on_ ? bursts_.on_ns : bursts_.off_ns);
    }
    return on_;
  }

 private:
  Bursts bursts_;
  bool on_ = false;
  double change_ns_ = 0;
  Random random_;
};

class Synthetic final : public Interference {
 public:
  Synthetic(const SyntheticInterference& model, uint64_t seed)
      : model_(model), bursts_(model.bursts, seed), noise_(seed, 2), hiccups_(seed, 3) {}

  [[nodiscard]] int step_count() const override { return model_.step_count; }

  void next(double arrival_ns, float* slowdowns) override {
    double base = model_.slowdown;
    if (model_.noise.inference_deviation > 0) {
      base *= std::exp(model_.noise.inference_deviation * noise_.normal());
    }
    bursts_.on_at(arrival_ns);
    OnOff ahead = bursts_;  // the next request may arrive before this one is over
    for (int step = 0; step < model_.step_count; ++step) {
      double slowdown = base;
      if (ahead.on_at(arrival_ns + step * model_.step_ns)) slowdown *= model_.bursts.slowdown;
      if (model_.noise.step_deviation > 0) {
        slowdown *= std::exp(model_.noise.step_deviation * noise_.normal());
      }
      if (model_.hiccups.probability > 0 && hiccups_.uniform() <= model_.hiccups.probability) {
        slowdown *= model_.hiccups.slowdown;
      }
      slowdowns[step] = static_cast<float>(slowdown);
    }
  }

 private:
  SyntheticInterference model_;
  OnOff bursts_;
  Random noise_;
  Random hiccups_;
};

bool is_factor(double value) { return value > 0 && std::isfinite(value); }
bool is_deviation(double value) { return value >= 0 && value <= 10; }

}  // namespace

Result<std::unique_ptr<Interference>> replay_interference(Recording recording, int64_t block,
                                                          uint64_t seed) {
  if (recording.step_count < 1 || recording.slowdowns.empty() ||
      recording.slowdowns.size() % static_cast<size_t>(recording.step_count) != 0) {
    return invalid_argument("a recording of " + std::to_string(recording.slowdowns.size()) +
                            " slowdowns with " + std::to_string(recording.step_count) +
                            " steps per inference is empty or incomplete");
  }
  if (block < 0) return invalid_argument("a block of " + std::to_string(block) + " inferences");
  for (size_t i = 0; i < recording.slowdowns.size(); ++i) {
    if (!is_factor(static_cast<double>(recording.slowdowns[i]))) {
      return invalid_argument("slowdown " + std::to_string(i) + " of the recording is " +
                              std::to_string(recording.slowdowns[i]) +
                              ", it must be positive and finite");
    }
  }
  return std::unique_ptr<Interference>(new Replay(std::move(recording), block, seed));
}

Result<std::unique_ptr<Interference>> synthetic_interference(const SyntheticInterference& model,
                                                             uint64_t seed) {
  if (model.step_count < 1) return invalid_argument("interference with no step");
  if (!is_factor(model.slowdown) || !is_factor(model.step_ns)) {
    return invalid_argument("slowdown and time of a step must be positive and finite");
  }
  if (!is_deviation(model.noise.inference_deviation) || !is_deviation(model.noise.step_deviation)) {
    return invalid_argument("a deviation of the noise must lie in 0 to 10");
  }
  if (model.bursts.off_ns != 0 &&
      (!is_factor(model.bursts.off_ns) || !is_factor(model.bursts.on_ns) ||
       !is_factor(model.bursts.slowdown))) {
    return invalid_argument("times and slowdown of the bursts must be positive and finite");
  }
  if (!(model.hiccups.probability >= 0 && model.hiccups.probability <= 1) ||
      !is_factor(model.hiccups.slowdown)) {
    return invalid_argument("hiccups need a probability in 0 to 1 and a positive, finite slowdown");
  }
  return std::unique_ptr<Interference>(new Synthetic(model, seed));
}

}  // namespace strata::route
