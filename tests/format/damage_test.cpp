// Damage by accident: every flipped bit and every truncation of a file is found, exhaustively.
#include <algorithm>

#include <gtest/gtest.h>

#include "sample.h"

namespace strata::format {
namespace {

TEST(Damage, EverySingleBitFlipIsRefused) {
  std::vector<uint8_t> file = sample_file();
  for (size_t bit = 0; bit < file.size() * 8; ++bit) {
    const auto mask = static_cast<uint8_t>(1 << bit % 8);
    file[bit / 8] ^= mask;
    const auto nested = read(file);
    file[bit / 8] ^= mask;
    ASSERT_FALSE(nested.ok()) << "bit " << bit % 8 << " of byte " << bit / 8;
    ASSERT_NE(nested.status().message().find("'<memory>'"), std::string::npos);
  }
  EXPECT_TRUE(read(file).ok());
}

/// A flip in an upper level leaves the levels below readable.
TEST(Damage, LevelsBelowADamagedOneCanBeRead) {
  std::vector<uint8_t> file = sample_file();
  file[level_ends(file)[1] + 5] ^= 1;
  const auto reader = Reader::from_bytes(file, "model.strata").value();
  std::vector<LevelData> levels;
  levels.push_back(reader->read_level(0, levels).value());
  levels.push_back(reader->read_level(1, levels).value());
  const Status status = reader->read_level(2, levels).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(status.message(),
            "'model.strata' is damaged: the checksum of level 2 does not match; copy the file "
            "again");
}

TEST(Damage, EveryTruncationIsRefusedExceptAtALevelsEnd) {
  const std::vector<uint8_t>& file = sample_file();
  const std::vector<uint64_t> ends = level_ends(file);
  const auto nested = sample_model();
  for (size_t size = 0; size <= file.size(); ++size) {
    const auto back = read(std::span(file).first(size));
    const auto end = std::find(ends.begin(), ends.end(), size);
    if (end == ends.end()) {
      ASSERT_FALSE(back.ok()) << size << " bytes";
    } else {
      ASSERT_TRUE(back.ok()) << size << " bytes";
      EXPECT_EQ(*back, lower_levels(nested, static_cast<int>(end - ends.begin())));
    }
  }
}

TEST(Damage, ATruncationSaysWhatIsWhole) {
  const std::vector<uint8_t>& file = sample_file();
  const std::vector<uint64_t> ends = level_ends(file);
  const auto message = [&](size_t size) {
    return Reader::from_bytes(std::span(file).first(size), "m.strata").status().message();
  };
  const auto text = [](uint64_t number) { return std::to_string(number); };
  EXPECT_EQ(message(0), "'m.strata' is not a .strata file: it is empty");
  EXPECT_EQ(message(20),
            "'m.strata' is truncated: its 20 bytes end within the header; copy the file again");
  EXPECT_EQ(message(ends[0] - 1),
            "'m.strata' is truncated: of its 3 levels none is whole, the sparsest ends at byte " +
                text(ends[0]) + " and the file has " + text(ends[0] - 1) +
                " bytes; copy the file again");
  EXPECT_EQ(message(ends[2] - 1),
            "'m.strata' is truncated: its " + text(ends[2] - 1) +
                " bytes hold 2 of 3 levels whole; copy the file again, or cut it at byte " +
                text(ends[1]) + " to use those");
}

TEST(Damage, TrailingBytesAreRefused) {
  std::vector<uint8_t> file = sample_file();
  const uint64_t end = file.size();
  for (int extra = 1; extra < 200; ++extra) {
    file.push_back(0);
    ASSERT_EQ(Reader::from_bytes(file, "m.strata").status().message(),
              "'m.strata' has " + std::to_string(extra) +
                  " trailing bytes after the last of its 3 levels; cut the file at byte " +
                  std::to_string(end));
  }
}

}  // namespace
}  // namespace strata::format
