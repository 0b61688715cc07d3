// Paths that lead to what cannot be read as a file.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sample.h"
#include "temporary_directory.h"

namespace strata::format {
namespace {

TEST(UnreadableFile, ANamedPipeIsRefused) {
  const TemporaryDirectory directory;
  const std::string pipe = directory / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(Reader::open(pipe).status().message(), "'" + pipe + "' is not a regular file");
}

/// As a user who may not read it; root may read everything.
TEST(UnreadableFile, AFileOfSomeoneElseIsRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory / "secret.strata";
  write_bytes(path, sample_file());
  ASSERT_EQ(::chmod(directory.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  constexpr uid_t kNobody = 65534;
  const bool root = ::geteuid() == 0;
  ASSERT_EQ(root ? ::seteuid(kNobody) : 0, 0);
  const Status status = Reader::open(path).status();
  ASSERT_EQ(root ? ::seteuid(0) : 0, 0);
  EXPECT_EQ(status.code(), StatusCode::kIoError);
  EXPECT_EQ(status.message(), "cannot read '" + path + "': Permission denied");
}

}  // namespace
}  // namespace strata::format
