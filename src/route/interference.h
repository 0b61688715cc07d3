// How much slower than unloaded each step of each inference is: replayed from a live recording by
// bootstrapping blocks, or synthetic. One call per inference, so that all policies meet the same.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/status.h"

namespace strata::route {

/// What a live experiment saw: time of each step / its profiled time at the level that it ran at.
struct Recording {
  int step_count = 0;
  std::vector<float> slowdowns;  ///< [inference * step_count + step], in order of arrival
  [[nodiscard]] int64_t inferences() const {
    return step_count > 0 ? static_cast<int64_t>(slowdowns.size()) / step_count : 0;
  }
};

/// An endless, deterministic sequence of slowdowns. They do not depend on what the inferences
/// before did, nor on the route: that is what makes policies comparable, and it is the simulator's
/// main assumption (docs/deadlines.md).
class Interference {
 public:
  virtual ~Interference() = default;
  [[nodiscard]] virtual int step_count() const = 0;
  /// Fills slowdowns[0..step_count()-1], all > 0, for the inference that arrives at `arrival_ns`;
  /// arrivals never fall.
  virtual void next(double arrival_ns, float* slowdowns) = 0;
};

/// Moving-block bootstrap (Künsch 1989): runs of `block` consecutive inferences from random places
/// of the recording (wrapping round), so that bursts longer than an inference survive. A block of
/// 0 plays the recording in order, over and over.
/// Events that the recording does not hold can never come: with N inferences recorded, a miss rate
/// far below 1/N comes from combinations of waiting and slowness alone.
/// Errors: no inference, sizes that do not match, slowdowns that are not positive and finite, a
/// negative block.
[[nodiscard]] Result<std::unique_ptr<Interference>> replay_interference(Recording recording,
                                                                        int64_t block,
                                                                        uint64_t seed);

/// exp(deviation * normal), drawn once per inference and once more for each step.
struct LognormalNoise {
  double inference_deviation = 0;
  double step_deviation = 0;
};
/// A co-runner that comes and goes in continuous time, both for exponential times.
struct Bursts {
  double off_ns = 0;    ///< mean; 0: no bursts
  double on_ns = 0;     ///< mean
  double slowdown = 1;  ///< of a step that starts while the co-runner is there
};
/// An isolated delay, as when the scheduler takes the processor away.
struct Hiccups {
  double probability = 0;  ///< per step
  double slowdown = 1;     ///< of the step that is hit
};
struct SyntheticInterference {
  int step_count = 0;
  double step_ns = 1;   ///< how far time goes on from one step to the next, for the bursts
  double slowdown = 1;  ///< constant factor
  LognormalNoise noise = {};
  Bursts bursts = {};
  Hiccups hiccups = {};
};
/// The product of all that is asked for. Errors: figures outside their range.
[[nodiscard]] Result<std::unique_ptr<Interference>> synthetic_interference(
    const SyntheticInterference& model, uint64_t seed);

}  // namespace strata::route
