// The result of a quality-of-service experiment: every policy live and simulated, the deadline
// swept, as JSON for machines and as text for people.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/strata/console.h"
#include "tools/strata/qos_recording.h"

namespace strata::cli {

struct EvaluationOptions {
  int64_t simulated = 1'000'000;      ///< inferences per policy; 0: no simulation
  int64_t swept = 200'000;            ///< per policy and deadline
  std::vector<double> sweep;          ///< deadlines as multiples of the less sparse level's median
  std::vector<NamedPolicy> policies;  ///< that are simulated; empty: those of the recording
  bool oracle = true;                 ///< also simulate what knows the future
  /// Before each of `total` simulations; may throw.
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Translations are not simulated. Adds to `document`: model, threads, batch, deadline_ms,
/// deadline_factor, wanted_nines, co_runner, load, levels[], policies[], comparison, sweep[],
/// timeline. Throws Error.
void add_result(Json& document, const QosRecording& recording, const EvaluationOptions& options);

/// Tables, and the line that compares the fixed less sparse level with the best rerouting policy.
std::string result_text(const Json& document);

/// That line: "fixed level 2: 1.2 nines at 91.52; best-route: 3.4 nines at 91.31".
std::string comparison_line(const Json& document);

}  // namespace strata::cli
