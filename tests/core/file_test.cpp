// Files as a whole: maps of what can be read, clear refusals of the rest, and writes that happen
// completely or not at all, on a full disk too.
#include "core/file.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "temporary_directory.h"

namespace strata {
namespace {

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

Status write_text(const std::string& path, const std::string& text) {
  const std::array<std::span<const uint8_t>, 1> parts = {bytes_of(text)};
  return write_file_atomically(path, parts);
}

std::string text_of(const std::string& path) {
  const MappedFile file = MappedFile::open(path).value();
  return {file.bytes().begin(), file.bytes().end()};
}

class File : public testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const { return directory_ / name; }
  [[nodiscard]] std::string folder() const { return directory_.path(); }
  [[nodiscard]] size_t entries() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder()), {}));
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(File, IsReadAsItWasWritten) {
  const std::string text = {'a', '\0', 'b'};
  const std::string more(100000, 'x');
  const std::array<std::span<const uint8_t>, 3> parts = {bytes_of(text), {}, bytes_of(more)};
  ASSERT_TRUE(write_file_atomically(path("file"), parts).ok());
  EXPECT_EQ(text_of(path("file")), text + more);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(File, CanBeEmpty) {
  ASSERT_TRUE(write_file_atomically(path("empty"), {}).ok());
  EXPECT_TRUE(MappedFile::open(path("empty")).value().bytes().empty());
}

TEST_F(File, ANewFileReplacesTheOldAndReadersKeepTheOld) {
  ASSERT_TRUE(write_text(path("file"), "old").ok());
  ASSERT_EQ(::chmod(path("file").c_str(), 0640), 0);
  const MappedFile old = MappedFile::open(path("file")).value();
  ASSERT_TRUE(write_text(path("file"), "new text").ok());
  EXPECT_EQ(text_of(path("file")), "new text");
  EXPECT_EQ(std::string(old.bytes().begin(), old.bytes().end()), "old");
  struct stat info {};
  ASSERT_EQ(::stat(path("file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(File, ANewFileHasTheUsualPermissions) {
  const mode_t before = ::umask(027);
  const Status status = write_text(path("file"), "x");
  ::umask(before);
  ASSERT_TRUE(status.ok());
  struct stat info {};
  ASSERT_EQ(::stat(path("file").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
}

TEST_F(File, ASymbolicLinkIsFollowed) {
  ASSERT_TRUE(write_text(path("target"), "old").ok());
  ASSERT_EQ(::symlink("target", path("link").c_str()), 0);
  ASSERT_TRUE(write_text(path("link"), "new").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(path("link")));
  EXPECT_EQ(text_of(path("target")), "new");
}

TEST_F(File, WhatIsNoFileIsNotOverwritten) {
  EXPECT_EQ(write_text(folder(), "x").message(),
            "cannot write '" + folder() + "': it exists and is not a regular file");
  EXPECT_EQ(write_text("/dev/null", "x").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(write_text("/dev/full", "x").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(entries(), 0U);
}

TEST_F(File, ADirectoryThatDoesNotExistIsNamed) {
  EXPECT_EQ(write_text(path("no/such/file"), "x").message(),
            "cannot write '" + path("no/such/file") + "': the directory '" + path("no/such") +
                "' does not exist; create it first");
}

TEST_F(File, RefusalsOfReadingNameTheFile) {
  EXPECT_EQ(MappedFile::open(path("none")).status().message(),
            "'" + path("none") + "' does not exist");
  EXPECT_EQ(MappedFile::open(path("none")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(MappedFile::open(folder()).status().message(),
            "'" + folder() + "' is a directory, not a file");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(path("pipe")).status().message(),
            "'" + path("pipe") + "' is not a regular file");
}

TEST_F(File, AMapCanBeMoved) {
  ASSERT_TRUE(write_text(path("a"), "a").ok());
  ASSERT_TRUE(write_text(path("b"), "bb").ok());
  MappedFile a = MappedFile::open(path("a")).value();
  MappedFile b = MappedFile::open(path("b")).value();
  a = std::move(b);
  EXPECT_EQ(a.bytes().size(), 2U);
  const MappedFile c(std::move(a));
  EXPECT_EQ(c.bytes()[1], 'b');
}

/// The disk is full after `limit` bytes: a limit on the size of files acts on write() as a full
/// disk does, some bytes are written and then an error comes. In a child, for the limit stays.
Status write_with_limit(const std::string& path, const std::string& text, rlim_t limit) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit size_limit = {limit, limit};
    if (::setrlimit(RLIMIT_FSIZE, &size_limit) != 0) ::_exit(1);
    const Status status = write_text(path, text);
    const std::string message = static_cast<char>(status.code()) + status.message();
    const bool sent =
        ::write(pipe[1], message.data(), message.size()) == static_cast<ssize_t>(message.size());
    ::_exit(sent ? 0 : 1);
  }
  ::close(pipe[1]);
  std::string message(4096, '\0');
  const ssize_t size = ::read(pipe[0], message.data(), message.size());
  ::close(pipe[0]);
  int exit_code = -1;
  ::waitpid(child, &exit_code, 0);
  EXPECT_EQ(exit_code, 0);
  if (size < 1) return internal_error("the child sent nothing");
  message.resize(static_cast<size_t>(size));
  return {static_cast<StatusCode>(message[0]), message.substr(1)};
}

TEST_F(File, AFullDiskLeavesTheOldFileAndNoTemporary) {
  ASSERT_TRUE(write_text(path("file"), "old").ok());
  const Status status = write_with_limit(path("file"), std::string(100000, 'x'), 65536);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "cannot write '" + path("file") +
                                  "': it would be larger than the file size limit (see ulimit -f)");
  EXPECT_EQ(text_of(path("file")), "old");
  EXPECT_EQ(entries(), 1U);
  EXPECT_TRUE(write_with_limit(path("file"), std::string(65536, 'x'), 65536).ok());
}

}  // namespace
}  // namespace strata
