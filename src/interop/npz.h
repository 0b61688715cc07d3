// NumPy's archives (.npz): a zip file of named .npy arrays, stored or deflated, as numpy.savez and
// numpy.savez_compressed write them. Trusts nothing in the file.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "core/status.h"
#include "interop/npy.h"

namespace strata::interop {

/// The directory of an archive. Arrays are unpacked when they are asked for.
class NpzArchive {
 public:
  /// Errors name the path: missing, not a zip file, damaged.
  static Result<NpzArchive> open(const std::string& path);
  /// The same from memory that outlives the archive; `name` stands for the file in errors.
  static Result<NpzArchive> parse(std::span<const uint8_t> bytes, std::string name);

  /// Sorted, without ".npy".
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] bool contains(std::string_view array) const { return entries_.contains(array); }

  /// Errors: no such array (the message lists those that there are), damaged (checksum), what
  /// parse_npy() refuses.
  [[nodiscard]] Result<NpyArray> read(std::string_view array) const;
  /// "FILE: ARRAY", as it stands in errors.
  [[nodiscard]] std::string label(std::string_view array) const;

 private:
  struct Entry {
    uint64_t offset = 0;  ///< of the local header
    uint64_t packed_size = 0;
    uint64_t size = 0;
    uint32_t checksum = 0;
    bool deflated = false;
  };

  NpzArchive(std::span<const uint8_t> bytes, std::string name)
      : bytes_(bytes), name_(std::move(name)) {}
  Status read_directory();

  std::vector<MappedFile> file_;  ///< one, or none if the bytes are somebody else's
  std::span<const uint8_t> bytes_;
  std::string name_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace strata::interop
