// What a quality-of-service experiment puts on the machine: when requests arrive, and when the
// co-runner is there. Planned beforehand, so that every policy meets the same.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "route/arrivals.h"
#include "tools/strata/console.h"

namespace strata::cli {

enum class Pattern : uint8_t {
  kOff,     ///< the co-runner is there, but paused: the experiment's control
  kOn,      ///< from beginning to end
  kBursts,  ///< comes and goes, both for exponential times
};
[[nodiscard]] const char* to_string(Pattern pattern);  ///< "off", "on", "bursts"

struct LoadOptions {
  std::string arrivals = "poisson";  ///< "poisson", "bursty", "periodic", or a trace file
  double rate_per_second = 0;        ///< mean; a trace has its own
  Pattern pattern = Pattern::kOff;
  double burst_on_ms = 200;   ///< mean
  double burst_off_ms = 300;  ///< mean
  uint64_t seed = 1;
};

/// Nanoseconds since the plan began.
struct Interval {
  double begin_ns = 0;
  double end_ns = 0;
};

struct LoadPlan {
  double length_ns = 0;
  std::vector<double> arrivals_ns;
  std::vector<Interval> loaded;  ///< when the co-runner runs
};

/// Deterministic. Throws Error: a trace that cannot be read, no arrival within `seconds`.
LoadPlan plan_load(const LoadOptions& options, double seconds);

/// An endless source of the same kind, for the simulator. Throws Error.
std::unique_ptr<route::Arrivals> make_arrivals(const LoadOptions& options, uint64_t seed);

/// Mean arrivals per second of a trace file. Throws Error.
double trace_rate(const std::string& path);

Json to_json(const LoadOptions& options);
/// Throws Json::exception or Error.
LoadOptions load_options_from(const Json& json);

}  // namespace strata::cli
