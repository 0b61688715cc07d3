// A fixed-size array on a cache-line boundary, zeroed when made: activation memory, packed weights.
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "core/status.h"

namespace strata {

inline constexpr size_t kCacheLine = 64;

/// Movable, not copyable. An empty buffer has a null data().
template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  AlignedBuffer() = default;
  /// Errors: not enough memory; `purpose` appears in the message ("the activations").
  static Result<AlignedBuffer> create(size_t size, const std::string& purpose) {
    AlignedBuffer buffer;
    if (size == 0) return buffer;
    void* memory = nullptr;
    if (size <= std::numeric_limits<ptrdiff_t>::max() / sizeof(T)) {
      memory = ::operator new(size * sizeof(T), std::align_val_t(kCacheLine), std::nothrow);
    }
    if (memory == nullptr) {
      return resource_exhausted("there is no memory for " + purpose + " (" + std::to_string(size) +
                                " elements of " + std::to_string(sizeof(T)) + " bytes)");
    }
    std::memset(memory, 0, size * sizeof(T));
    buffer.data_.reset(static_cast<T*>(memory));
    buffer.size_ = size;
    return buffer;
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  [[nodiscard]] T* data() { return data_.get(); }
  [[nodiscard]] const T* data() const { return data_.get(); }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t bytes() const { return size_ * sizeof(T); }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }

 private:
  struct Release {
    void operator()(T* data) const { ::operator delete(data, std::align_val_t(kCacheLine)); }
  };
  std::unique_ptr<T, Release> data_;
  size_t size_ = 0;
};

}  // namespace strata
