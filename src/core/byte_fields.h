// The fields of small binary files, one after the other: appended to bytes, and read from bytes
// that nothing is expected of.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

static_assert(std::endian::native == std::endian::little,
              "fields are copied as they are, a big-endian machine would have to swap them");

template <typename T>
void append_field(std::vector<uint8_t>& bytes, const T& value) {
  const size_t at = bytes.size();
  bytes.resize(at + sizeof value);
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

inline void append_text(std::vector<uint8_t>& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
}

/// Reads fields one after the other; once something is missing, everything is.
class FieldReader {
 public:
  explicit FieldReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool failed() const { return failed_; }
  /// Bytes that have not been read.
  [[nodiscard]] size_t left() const { return bytes_.size(); }

  /// 0 once something is missing.
  template <typename T>
  T read() {
    T value{};
    if (!claim(sizeof value)) return value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }
  std::string read_text(size_t size) {
    if (!claim(size)) return {};
    std::string text(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(size));
    bytes_ = bytes_.subspan(size);
    return text;
  }
  /// Whether `count` things of `size` bytes can follow: before memory is taken for them.
  bool claim(size_t count, size_t size = 1) {
    if (count > bytes_.size() / size) failed_ = true;
    return !failed_;
  }

 private:
  std::span<const uint8_t> bytes_;
  bool failed_ = false;
};

}  // namespace strata
