// Files over 2 GiB. They are holes, which take no disk; they are refused by their size, without
// being read.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sample.h"
#include "temporary_directory.h"

namespace strata::format {
namespace {

constexpr int64_t kThreeGiB = int64_t{3} << 30;

Status open_without_reading(const std::string& path) {
  rusage before{};
  rusage after{};
  ::getrusage(RUSAGE_SELF, &before);
  Status status = Reader::open(path).status();
  ::getrusage(RUSAGE_SELF, &after);
  // Reading 3 GiB would fault tens of thousands of times, whether it maps or copies.
  EXPECT_LT(after.ru_minflt - before.ru_minflt, 1000);
  return status;
}

TEST(LargeFile, AHoleIsNotAStrataFile) {
  const TemporaryDirectory directory;
  const std::string path = directory / "hole.strata";
  write_bytes(path, {});
  ASSERT_EQ(::truncate(path.c_str(), kThreeGiB), 0);
  EXPECT_EQ(
      open_without_reading(path).message(),
      "'" + path + "' is not a .strata file: it starts with the bytes 00 00 00 00 00 00 00 00");
}

TEST(LargeFile, AHoleBehindAFileIsRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory / "long.strata";
  write_bytes(path, sample_file());
  ASSERT_EQ(::truncate(path.c_str(), kThreeGiB), 0);
  EXPECT_EQ(open_without_reading(path).message(),
            "'" + path + "' has " +
                std::to_string(static_cast<uint64_t>(kThreeGiB) - sample_file().size()) +
                " trailing bytes after the last of its 3 levels; cut the file at byte " +
                std::to_string(sample_file().size()));
  ASSERT_EQ(::truncate(path.c_str(), static_cast<int64_t>(sample_file().size())), 0);
  EXPECT_EQ(read(path).value(), sample_model());
}

}  // namespace
}  // namespace strata::format
