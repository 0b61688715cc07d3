// POSIX implementation of core/file.h.
#include "core/file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace strata {
namespace {

std::string reason(int error) { return std::system_category().message(error); }

class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() { close(); }

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool valid() const { return descriptor_ >= 0; }
  /// 0 or errno: some file systems report a failed write only here.
  int close() {
    if (descriptor_ < 0) return 0;
    return ::close(std::exchange(descriptor_, -1)) == 0 || errno == EINTR ? 0 : errno;
  }

 private:
  int descriptor_;
};

/// Removes the temporary file unless it has become the real one.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

Status write_error(const std::string& path, const std::string& directory, int error) {
  switch (error) {
    case ENOSPC:
      return resource_exhausted("cannot write '" + path +
                                "': the disk is full; free some space or write elsewhere");
    case EDQUOT:
      return resource_exhausted("cannot write '" + path +
                                "': the disk quota is used up; free some space or write elsewhere");
    case EFBIG:
      return resource_exhausted("cannot write '" + path +
                                "': it would be larger than the file size limit (see ulimit -f)");
    case ENOENT:
      return not_found("cannot write '" + path + "': the directory '" + directory +
                       "' does not exist; create it first");
    default:
      return io_error("cannot write '" + path + "': " + reason(error));
  }
}

int write_fully(int descriptor, std::span<const uint8_t> bytes) {
  constexpr size_t kChunk = size_t{1} << 30;  // Linux moves at most 2 GiB a call
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), std::min(bytes.size(), kChunk));
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return 0;
}

/// Where a rename must go: the target of a symbolic link, else the path itself.
std::string follow_link(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr),
                                                             &std::free);
  return resolved ? std::string(resolved.get()) : path;
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: a named pipe without a writer must be refused, not waited for.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) return not_found("'" + path + "' does not exist");
    return io_error("cannot read '" + path + "': " + reason(error));
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) {
    return io_error("cannot read '" + path + "': " + reason(errno));
  }
  if (S_ISDIR(info.st_mode)) return invalid_argument("'" + path + "' is a directory, not a file");
  if (!S_ISREG(info.st_mode)) return invalid_argument("'" + path + "' is not a regular file");
  if (info.st_size == 0) return MappedFile(nullptr, 0);
  if (!std::in_range<size_t>(info.st_size)) {
    return resource_exhausted("cannot map '" + path + "': its " + std::to_string(info.st_size) +
                              " bytes are more than this program can address");
  }
  const auto size = static_cast<size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) return io_error("cannot map '" + path + "': " + reason(errno));
  return MappedFile(static_cast<const uint8_t*>(data), size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

Status write_file_atomically(const std::string& path,
                             std::span<const std::span<const uint8_t>> parts) {
  const std::string target = follow_link(path);
  const std::string directory = directory_of(target);
  struct stat info {};
  const bool exists = ::stat(target.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {
    return invalid_argument("cannot write '" + path + "': it exists and is not a regular file");
  }

  static std::atomic<uint64_t> counter{0};
  const std::string temporary =
      target + ".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  // A file of that name is what a killed process with the same id left behind.
  ::unlink(temporary.c_str());
  FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                             S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH));
  if (!file.valid()) return write_error(path, directory, errno);
  TemporaryFile cleanup(temporary);

  if (exists && ::fchmod(file.get(), info.st_mode & 07777) != 0) {
    return write_error(path, directory, errno);
  }
  for (const std::span<const uint8_t> part : parts) {
    if (const int error = write_fully(file.get(), part); error != 0) {
      return write_error(path, directory, error);
    }
  }
  if (::fsync(file.get()) != 0) return write_error(path, directory, errno);
  if (const int error = file.close(); error != 0) return write_error(path, directory, error);
  if (::rename(temporary.c_str(), target.c_str()) != 0) {
    return write_error(path, directory, errno);
  }
  cleanup.keep();

  // From here on the new file is in place; the directory's fsync makes that survive a power cut.
  const FileDescriptor parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.valid() && ::fsync(parent.get()) != 0 && errno != EINVAL) {
    return write_error(path, directory, errno);
  }
  return {};
}

}  // namespace strata
