// When requests arrive, open loop: they do not wait for each other's answers. Poisson, bursty, or
// from a trace. Live experiments and the simulator draw from the same sources.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/status.h"

namespace strata::route {

/// An endless, deterministic sequence of arrival times.
class Arrivals {
 public:
  virtual ~Arrivals() = default;
  /// Nanoseconds since the start; never falls.
  virtual double next_ns() = 0;
};

/// Independent exponential gaps. Errors: a mean that is not positive and finite.
[[nodiscard]] Result<std::unique_ptr<Arrivals>> poisson_arrivals(double mean_gap_ns, uint64_t seed);

/// Markov-modulated Poisson process with two states, each held for an exponential time.
struct BurstyRate {
  double calm_gap_ns = 0;   ///< mean gap between arrivals outside bursts
  double burst_gap_ns = 0;  ///< and inside
  double calm_ns = 0;       ///< mean length of the time between bursts
  double burst_ns = 0;      ///< and of a burst
};
/// Errors: a figure that is not positive and finite.
[[nodiscard]] Result<std::unique_ptr<Arrivals>> bursty_arrivals(const BurstyRate& rate,
                                                                uint64_t seed);

/// A recorded trace (copied), repeated for ever: each round starts one mean gap after the end of
/// the one before. Errors: no entry, times that fall, are negative or not finite, no time passing.
[[nodiscard]] Result<std::unique_ptr<Arrivals>> trace_arrivals(std::span<const double> times_ns);

/// Evenly spaced. Errors: a gap that is not positive and finite.
[[nodiscard]] Result<std::unique_ptr<Arrivals>> periodic_arrivals(double gap_ns);

}  // namespace strata::route
