// The live state: what is written is read, never torn, and nobody waits for anybody.
#include "runtime/live_state.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "temporary_directory.h"

namespace strata::runtime {
namespace {

class LiveState : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] std::string folder() const { return folder_.path(); }

 private:
  TemporaryDirectory folder_;
};

TEST_F(LiveState, WhatIsPublishedIsRead) {
  const auto writer = LiveStateWriter::create(path("a"));
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  LiveSnapshot state;
  LiveSnapshot::assign(state.model, "resnet50");
  state.level_count = 3;
  state.deadline_ms = 10;
  const std::array<StepRecord, 2> steps = {{{2, 1e6, 2e6}, {0, 1e6, 1e6}}};
  RunReport report;
  report.steps = steps;
  report.reroutes = 1;
  report.slowdown = 1.5;
  state.add(report, 12e6, true);
  writer.value()->publish(state);

  const auto read = read_live_state(path("a"));
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(LiveSnapshot::text(read->model), "resnet50");
  EXPECT_EQ(read->inferences, 1);
  EXPECT_EQ(read->misses, 1);
  EXPECT_EQ(read->reroutes, 1);
  EXPECT_DOUBLE_EQ(read->slack_ms, -2);
  EXPECT_DOUBLE_EQ(read->level_ns[2], 2e6);
  EXPECT_DOUBLE_EQ(read->level_ns[0], 1e6);
  EXPECT_EQ(read->history[0].first_level, 2);
  EXPECT_EQ(read->history[0].last_level, 0);
  EXPECT_EQ(read->history[0].missed, 1);
  EXPECT_FLOAT_EQ(read->history[0].latency_ms, 12);
}

TEST_F(LiveState, TheHistoryForgetsTheOldest) {
  LiveSnapshot state;
  for (int i = 0; i < LiveSnapshot::kHistory + 1; ++i) state.add({}, i * 1e6, false);
  EXPECT_EQ(state.inferences, LiveSnapshot::kHistory + 1);
  EXPECT_FLOAT_EQ(state.history[0].latency_ms, LiveSnapshot::kHistory);
  EXPECT_FLOAT_EQ(state.history[1].latency_ms, 1);
}

TEST_F(LiveState, ALongTextIsCutAndEnds) {
  LiveSnapshot state;
  LiveSnapshot::assign(state.policy, std::string(100, 'x'));
  EXPECT_EQ(LiveSnapshot::text(state.policy), std::string(state.policy.size() - 1, 'x'));
}

TEST_F(LiveState, AReaderNeverSeesHalfOfAnUpdate) {
  const auto writer = LiveStateWriter::create(path("a"));
  ASSERT_TRUE(writer.ok());
  writer.value()->publish({});
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    LiveSnapshot state;
    for (int64_t i = 1; !stop; ++i) {
      state.inferences = i;
      state.misses = i;
      state.level_ns.fill(static_cast<double>(i));
      state.updated_ns = i;
      writer.value()->publish(state);
      // A writer infers between two updates.
      for (int pause = 0; pause < 100; ++pause) std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  });
  int64_t seen = 0;
  for (int look = 0; look < 2000; ++look) {
    const auto read = read_live_state(path("a"));
    if (!read.ok()) continue;  // the writer was always in the way
    ++seen;
    EXPECT_EQ(read->misses, read->inferences);
    EXPECT_EQ(read->updated_ns, read->inferences);
    EXPECT_EQ(read->level_ns.back(), static_cast<double>(read->inferences));
  }
  stop = true;
  busy.join();
  EXPECT_GT(seen, 0);
}

TEST_F(LiveState, WhatIsNoLiveStateIsRefused) {
  EXPECT_EQ(read_live_state(path("none")).status().code(), StatusCode::kNotFound);
  std::ofstream(path("text")) << "hello";
  EXPECT_EQ(read_live_state(path("text")).status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(read_live_state(folder()).ok());
  // The right size alone is not enough.
  const auto writer = LiveStateWriter::create(path("a"));
  ASSERT_TRUE(writer.ok());
  std::ofstream(path("zeros")) << std::string(std::filesystem::file_size(path("a")), '\0');
  EXPECT_EQ(read_live_state(path("zeros")).status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(LiveStateWriter::create(path("no/such/folder")).ok());
}

TEST_F(LiveState, TheFileGoesWithItsWriter) {
  {
    const auto writer = LiveStateWriter::create(path("a"));
    ASSERT_TRUE(writer.ok());
    EXPECT_TRUE(std::filesystem::exists(path("a")));
  }
  EXPECT_FALSE(std::filesystem::exists(path("a")));
}

TEST_F(LiveState, StatesOfDeadWritersAreNotFoundAndRemoved) {
  const auto old = LiveStateWriter::create(path(std::to_string(getpid())));
  ASSERT_TRUE(old.ok());
  LiveSnapshot state;
  state.started_ns = 1;
  old.value()->publish(state);
  const auto young = LiveStateWriter::create(path("named"));
  ASSERT_TRUE(young.ok());
  state.started_ns = 2;
  young.value()->publish(state);
  const std::string dead = path("2147483646");  // above the largest process id of Linux
  std::filesystem::copy_file(path("named"), dead);

  EXPECT_EQ(find_live_states(folder()),
            (std::vector<std::string>{path(std::to_string(getpid())), path("named")}));
  EXPECT_FALSE(std::filesystem::exists(dead));
  EXPECT_TRUE(find_live_states(path("none")).empty());
}

}  // namespace
}  // namespace strata::runtime
