// What the deadline tests share: a clock that the test drives, a profile in which every step takes
// the same time, and sessions over a small network that read that clock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/clock.h"
#include "session_fixture.h"

namespace strata::testing {

/// Each reading is one tick later than the one before, or as `next_ns` says. A session reads it
/// when run() is called, after every step, and at the end.
struct TestClock {
  int64_t now_ns = 1'000'000'000;
  int64_t tick_ns = 1000;
  int64_t readings = 0;
  std::function<int64_t(int64_t reading, int64_t now_ns)> next_ns;  ///< readings count from 0

  [[nodiscard]] Clock clock() {
    return {[](void* context) {
              auto* self = static_cast<TestClock*>(context);
              self->now_ns = self->next_ns ? self->next_ns(self->readings, self->now_ns)
                                           : self->now_ns + self->tick_ns;
              ++self->readings;
              return self->now_ns;
            },
            this};
  }
};

inline const sparse::NestedModel& small_nested() {
  static const sparse::NestedModel nested =
      random_nested(resnet("resnet8", 9, 9, 4), {0.05, 0.2, 0.5}, 11);
  return nested;
}

/// Every step takes level_ns[level] at that level.
inline route::ProfileTable even_profile(const runtime::Session& session,
                                        const std::vector<double>& level_ns) {
  route::ProfileTable table;
  table.threads = session.threads();
  table.step_count = static_cast<int>(session.steps().size());
  table.level_count = static_cast<int>(level_ns.size());
  for (int step = 0; step < table.step_count; ++step) {
    for (const double ns : level_ns) table.times.push_back({ns, ns});
  }
  return table;
}

inline std::vector<uint8_t> levels_of(const runtime::RunReport& report) {
  std::vector<uint8_t> levels;
  for (const runtime::StepRecord& step : report.steps) {
    levels.push_back(static_cast<uint8_t>(step.level));
  }
  return levels;
}

}  // namespace strata::testing
