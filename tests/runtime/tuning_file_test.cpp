// The file of tunings: what goes in comes out, damage is found, hostile bytes are refused before
// they cost memory, and what does not fit says why.
#include "runtime/tuning_file.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "format/layout.h"
#include "temporary_directory.h"

namespace strata::runtime {
namespace {

StoredTuning sample(int steps, int levels) {
  StoredTuning tuning;
  tuning.fingerprint = {0x1122334455667788, 2, "A processor, avx3", "0.1.0, GNU 12"};
  for (int i = 0; i < steps; ++i) {
    StepTuning step;
    step.alone = i % (levels + 1);
    step.first_dense_level = i % (levels + 2) - 1;
    for (int level = 0; level < levels; ++level) step.levels.push_back({i % 17, level * 16});
    tuning.steps.push_back(step);
  }
  return tuning;
}

std::vector<uint8_t> encoded(const std::vector<StoredTuning>& tunings) {
  auto bytes = encode_tunings(tunings);
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  return bytes.value();
}

void seal(std::vector<uint8_t>& bytes) {
  const uint64_t sum = format::checksum(std::span(bytes).first(bytes.size() - sizeof(uint64_t)));
  std::memcpy(bytes.data() + bytes.size() - sizeof sum, &sum, sizeof sum);
}

TEST(TuningFile, GivesBackWhatWasStored) {
  const std::vector<StoredTuning> tunings = {sample(5, 3), sample(1, 1), sample(100, 16)};
  const auto decoded = decode_tunings(encoded(tunings), "t");
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  ASSERT_EQ(decoded->size(), tunings.size());
  for (size_t i = 0; i < tunings.size(); ++i) {
    EXPECT_EQ(decoded.value()[i].fingerprint, tunings[i].fingerprint);
    EXPECT_EQ(decoded.value()[i].steps, tunings[i].steps);
  }
  EXPECT_EQ(decode_tunings(encoded({}), "t")->size(), 0U);
}

TEST(TuningFile, EveryFlippedBitAndEveryTruncationIsFound) {
  const std::vector<uint8_t> bytes = encoded({sample(3, 2)});
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_tunings(std::span(bytes).first(size), "t").ok()) << size;
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<uint8_t> damaged = bytes;
    damaged[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(decode_tunings(damaged, "t").ok()) << bit;
  }
}

TEST(TuningFile, AnyEditWithARightChecksumIsRefusedOrSound) {
  std::mt19937 random(1);
  const std::vector<uint8_t> bytes = encoded({sample(4, 3), sample(2, 1)});
  int sound = 0;
  for (int i = 0; i < 20000; ++i) {
    std::vector<uint8_t> edited = bytes;
    for (uint32_t edits = 1 + random() % 4; edits > 0; --edits) {
      edited[random() % edited.size()] = static_cast<uint8_t>(random());
    }
    seal(edited);
    const auto decoded = decode_tunings(edited, "t");
    if (!decoded.ok()) continue;
    ++sound;
    EXPECT_EQ(encoded(*decoded), edited);
    for (const StoredTuning& tuning : *decoded) {
      for (const StepTuning& step : tuning.steps) {
        for (const LevelTuning& level : step.levels) {
          EXPECT_LE(level.tile_blocks, kMaxTunedTile);
          EXPECT_LE(level.slice_kib, kMaxTunedSliceKib);
          EXPECT_GE(std::min(level.tile_blocks, level.slice_kib), 0);
        }
      }
    }
  }
  EXPECT_GT(sound, 0);
}

TEST(TuningFile, SaysWhatIsWrong) {
  const std::string text = "hello";
  EXPECT_EQ(decode_tunings({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, "x")
                .status()
                .message(),
            "'x' is not a file of tunings");
  std::vector<uint8_t> newer = encoded({});
  newer[8] = 9;
  EXPECT_EQ(decode_tunings(newer, "x").status().message(),
            "'x' has version 9 of the tuning format, this build reads up to version 1; update "
            "strata, or delete it and tune again with 'strata tune'");
  std::vector<uint8_t> many = encoded({sample(1, 1)});
  const uint32_t steps = 1U << 20;
  std::memcpy(many.data() + 16 + 12, &steps, sizeof steps);
  seal(many);
  EXPECT_EQ(decode_tunings(many, "x").status().message(),
            "'x' is damaged: it ends within the steps; delete it and tune again with 'strata "
            "tune'");
}

TEST(TuningFile, FindsWhatFitsAndSaysWhatDiffers) {
  const std::vector<StoredTuning> tunings = {sample(2, 2)};
  TuningFingerprint wanted = tunings[0].fingerprint;
  EXPECT_EQ(find_tuning(tunings, wanted, "t").value(), tunings.data());
  wanted.threads = 4;
  EXPECT_EQ(find_tuning(tunings, wanted, "t").status().message(),
            "the tuning in 't' is for 2 threads, the session has 4");
  wanted.layers = 1;
  EXPECT_EQ(find_tuning(tunings, wanted, "t").status().message(),
            "the tuning in 't' is of other layers, densities, levels or another batch");
  wanted.build = "0.2.0";
  EXPECT_EQ(find_tuning(tunings, wanted, "t").status().message(),
            "the tuning in 't' is of the build '0.1.0, GNU 12', this is '0.2.0'");
  wanted.cpu = "B";
  EXPECT_EQ(find_tuning(tunings, wanted, "t").status().message(),
            "the tuning in 't' is of 'A processor, avx3', this is 'B'");
  EXPECT_EQ(find_tuning({}, wanted, "t").status().message(), "'t' holds no tuning");
}

TEST(TuningFile, AddingReplacesTheSameAndKeepsOthers) {
  const TemporaryDirectory directory;
  const std::string path = directory / "tuning";
  StoredTuning tuning = sample(2, 2);
  ASSERT_TRUE(add_tuning(path, tuning).ok());
  tuning.fingerprint.threads = 1;
  ASSERT_TRUE(add_tuning(path, tuning).ok());
  tuning.steps.front().alone = 1;
  ASSERT_TRUE(add_tuning(path, tuning).ok());
  const auto stored = read_tunings(path);
  ASSERT_TRUE(stored.ok());
  ASSERT_EQ(stored->size(), 2U);
  EXPECT_EQ(stored.value()[1].steps.front().alone, 1);

  std::ofstream(path) << "notes of mine";
  EXPECT_EQ(add_tuning(path, tuning).message(), "'" + path + "' is not a file of tunings");
  EXPECT_EQ(std::filesystem::file_size(path), 13U);
}

}  // namespace
}  // namespace strata::runtime
