// Files as a whole: read-only memory maps, and writes that either happen completely or not at all.
// Knows nothing of what is inside them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/status.h"

namespace strata {

/// A regular file mapped read-only. The bytes live as long as the object; whoever truncates the
/// file in place meanwhile makes reading them fatal (SIGBUS), so replace files by renaming, as
/// write_file_atomically() does. Movable, not copyable.
class MappedFile {
 public:
  /// Errors name the path: missing (kNotFound), a directory or another thing that is not a regular
  /// file (kInvalidArgument), unreadable (kIoError), more bytes than there are addresses
  /// (kResourceExhausted). An empty file is fine and has no bytes.
  static Result<MappedFile> open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  [[nodiscard]] std::span<const uint8_t> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

/// Makes `path` a file that holds `parts`, one after the other: temporary file in the same
/// directory, fsync, rename, fsync of the directory. On any error the file that was there before
/// stays as it was and the temporary file is gone; a process that is killed may leave a
/// "NAME.tmp-…" behind, never a half-written `path`. A symbolic link is followed. Errors name the
/// path; a full disk, a quota or a file size limit is kResourceExhausted.
Status write_file_atomically(const std::string& path,
                             std::span<const std::span<const uint8_t>> parts);

}  // namespace strata
