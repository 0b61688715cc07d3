// What an inference adds to what is shown.
#include <algorithm>

#include "runtime/live_state.h"

namespace strata::runtime {

void LiveSnapshot::add(const RunReport& report, double latency_ns, bool missed) {
  LiveInference& entry = history[static_cast<size_t>(inferences % kHistory)];
  entry = {};
  entry.latency_ms = static_cast<float>(latency_ns * 1e-6);
  entry.slowdown = static_cast<float>(report.slowdown);
  entry.missed = missed ? 1 : 0;
  for (const StepRecord& step : report.steps) {
    const int level = std::clamp(step.level, 0, kLevels - 1);
    level_ns[static_cast<size_t>(level)] += step.observed_ns;
    entry.last_level = static_cast<uint8_t>(level);
  }
  if (!report.steps.empty()) {
    entry.first_level =
        static_cast<uint8_t>(std::clamp(report.steps.front().level, 0, kLevels - 1));
  }
  ++inferences;
  misses += missed ? 1 : 0;
  reroutes += report.reroutes;
  slack_ms = deadline_ms - latency_ns * 1e-6;
  slowdown = report.slowdown;
}

}  // namespace strata::runtime
