// kill -9 at random moments, and in the middle of writing a checkpoint: the run goes on bit for
// bit.
#include <chrono>
#include <random>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>

#include "small_training.h"
#include "temporary_directory.h"

namespace strata::train {
namespace {

using testing::read_bytes;

constexpr int kRandomKills = 3;
constexpr int kKillsWhileWriting = 3;

bool writing_checkpoint(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().filename().string().find(".ckpt.tmp-") != std::string::npos) return true;
  }
  return false;
}

TEST(Kill, RunsThatWereKilledEndInTheSameBytes) {
  const TemporaryDirectory scratch;
  const auto data = scratch / "images";
  const auto output = scratch / "model.strata";
  const auto recipe = scratch / "recipe.toml";
  testing::write_small_images(data);
  // Wide, so that a checkpoint takes a while to write.
  std::string text = testing::small_recipe(data, "joint");
  text.replace(text.find("width = 4"), 9, "width = 40");
  text.replace(text.find("epochs = 2"), 10, "epochs = 24");
  text += "[checkpoint]\nevery_seconds = 1\n";
  testing::write_bytes(recipe, text);

  const auto straight = scratch / "straight.strata";
  ASSERT_EQ(testing::wait_for_child(testing::start_child({.recipe = recipe, .output = straight})),
            0);

  std::mt19937 random(5);
  int killed = 0;
  int killed_while_writing = 0;
  for (int i = 0; i < kRandomKills + kKillsWhileWriting; ++i) {
    const pid_t child = testing::start_child({.recipe = recipe, .output = output});
    if (i < kRandomKills) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500 + random() % 2000));
    } else {
      // The child removes what the one before it left half-written, then writes its own.
      std::this_thread::sleep_for(std::chrono::milliseconds(700));
      while (!std::filesystem::exists(output) && !writing_checkpoint(scratch.path())) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    }
    const bool half = writing_checkpoint(scratch.path());
    ::kill(child, SIGKILL);
    if (testing::wait_for_child(child) == 128 + SIGKILL) {
      ++killed;
      killed_while_writing += half && writing_checkpoint(scratch.path()) ? 1 : 0;
    }
  }
  EXPECT_GE(killed, kRandomKills);
  EXPECT_GE(killed_while_writing, 1);
  ASSERT_EQ(testing::wait_for_child(testing::start_child({.recipe = recipe, .output = output})), 0);
  EXPECT_TRUE(read_bytes(output) == read_bytes(straight));
  EXPECT_EQ(testing::log_without_seconds(output), testing::log_without_seconds(straight));
  EXPECT_FALSE(writing_checkpoint(scratch.path()));
}

}  // namespace
}  // namespace strata::train
