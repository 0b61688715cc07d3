// Files over 2 GiB. They are holes, which take no disk; they are refused by their size, without
// being read.
#include <chrono>

#include <gtest/gtest.h>
#include <unistd.h>

#include "sample.h"

namespace strata::format {
namespace {

constexpr int64_t kThreeGiB = int64_t{3} << 30;

Status open_quickly(const std::string& path) {
  const auto start = std::chrono::steady_clock::now();
  const Status status = Reader::open(path).status();
  // Reading 3 GiB takes longer than this, even from the page cache.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100));
  return status;
}

TEST(LargeFile, AHoleIsNotAStrataFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("hole.strata");
  write_bytes(path, {});
  ASSERT_EQ(::truncate(path.c_str(), kThreeGiB), 0);
  EXPECT_EQ(
      open_quickly(path).message(),
      "'" + path + "' is not a .strata file: it starts with the bytes 00 00 00 00 00 00 00 00");
}

TEST(LargeFile, AHoleBehindAFileIsRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("long.strata");
  write_bytes(path, sample_file());
  ASSERT_EQ(::truncate(path.c_str(), kThreeGiB), 0);
  EXPECT_EQ(open_quickly(path).message(),
            "'" + path + "' has " +
                std::to_string(static_cast<uint64_t>(kThreeGiB) - sample_file().size()) +
                " trailing bytes after the last of its 3 levels; cut the file at byte " +
                std::to_string(sample_file().size()));
  ASSERT_EQ(::truncate(path.c_str(), static_cast<int64_t>(sample_file().size())), 0);
  EXPECT_EQ(read(path).value(), sample_model());
}

}  // namespace
}  // namespace strata::format
