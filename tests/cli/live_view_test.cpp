// What strata top draws: within the terminal, whatever its size, and true to the state.
#include "tools/strata/live_view.h"

#include <limits>

#include <gtest/gtest.h>

namespace strata::cli {
namespace {

runtime::LiveSnapshot busy_state() {
  runtime::LiveSnapshot state;
  state.process = 4711;
  state.deadline_ms = 10;
  state.level_count = 3;
  state.threads = 2;
  state.batch = 1;
  state.sparsest_metric = 80;
  state.densest_metric = 90;
  state.metric = 88.25;
  runtime::LiveSnapshot::assign(state.model, "resnet50");
  runtime::LiveSnapshot::assign(state.policy, "best-route");
  const std::array<runtime::StepRecord, 2> steps = {{{2, 0, 3e6}, {1, 0, 1e6}}};
  runtime::RunReport report;
  report.steps = steps;
  report.slowdown = 1.5;
  for (int i = 0; i < 400; ++i) state.add(report, i % 100 == 99 ? 12e6 : 8e6, i % 100 == 99);
  return state;
}

/// Columns that a line takes on a terminal: escapes take none, UTF-8 sequences one.
int width(const std::string& line) {
  int columns = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      i = line.find('m', i);
    } else if ((static_cast<unsigned char>(line[i]) & 0xC0U) != 0x80U) {
      ++columns;
    }
  }
  return columns;
}

TEST(LiveView, ALineSaysWhatCounts) {
  EXPECT_EQ(live_line(busy_state(), 12'000'000'000),
            "12s  best-route  400 inferences  4 misses (1.00 %, 2.0 nines)  level 2 to 1  "
            "slowdown 1.50x  slack -2.00 ms");
  EXPECT_EQ(live_line({}, 0), "0s    0 inferences  no inference yet");
}

TEST(LiveView, AScreenFitsEveryTerminal) {
  const runtime::LiveSnapshot state = busy_state();
  for (const ViewSize size : {ViewSize{80, 24}, {200, 60}, {20, 5}, {1, 1}, {0, 0}}) {
    const auto lines = live_screen(state, 0, size);
    EXPECT_LE(lines.size(), static_cast<size_t>(std::max(1, size.rows)));
    for (const std::string& line : lines) {
      EXPECT_LE(width(line), std::max(1, size.columns)) << line;
      EXPECT_EQ(line.find('\n'), std::string::npos);
    }
  }
}

TEST(LiveView, AScreenShowsLevelsMissesSlackAndAccuracy) {
  std::string all;
  for (const std::string& line : live_screen(busy_state(), 0, {100, 40})) all += line + '\n';
  for (const char* words : {"resnet50", "process 4711", "best-route", "10.00 ms, 2 threads",
                            "4 misses (1.00 %, 2.0 nines)", "1.50x", "slack -2.00 ms", "88.25",
                            "level 2", "75.0 %", "25.0 %"}) {
    EXPECT_NE(all.find(words), std::string::npos) << words << " in\n" << all;
  }
}

TEST(LiveView, WithoutADeadlineThereIsNoSlack) {
  runtime::LiveSnapshot state = busy_state();
  state.deadline_ms = std::numeric_limits<double>::infinity();
  state.slack_ms = state.deadline_ms;
  EXPECT_NE(live_line(state, 0).find("no deadline"), std::string::npos);
  EXPECT_TRUE(live_json(state, 0)["slack_ms"].is_null());
  EXPECT_FALSE(live_screen(state, 0, {80, 24}).empty());
}

}  // namespace
}  // namespace strata::cli
