// A fixed-size array on a cache-line boundary, large ones on huge pages, zeroed when made:
// activation memory, packed weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "core/status.h"

namespace strata {

inline constexpr size_t kCacheLine = 64;
inline constexpr size_t kHugePage = size_t{2} << 20;

/// Movable, not copyable. An empty buffer has a null data().
template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  AlignedBuffer() = default;
  /// Errors: not enough memory; `purpose` appears in the message ("the activations").
  /// The size has 64 bits also where addresses have 32, so that no caller cuts it.
  static Result<AlignedBuffer> create(uint64_t elements, const std::string& purpose) {
    AlignedBuffer buffer;
    if (elements == 0) return buffer;
    const auto size = static_cast<size_t>(elements);
    void* memory = nullptr;
    if (elements <= std::numeric_limits<ptrdiff_t>::max() / sizeof(T)) {
      memory = ::operator new(size * sizeof(T), alignment(size), std::nothrow);
    }
    if (memory == nullptr) {
      return resource_exhausted("there is no memory for " + purpose + " (" +
                                std::to_string(elements) + " elements of " +
                                std::to_string(sizeof(T)) + " bytes)");
    }
    request_huge_pages(memory, size * sizeof(T));
    std::memset(memory, 0, size * sizeof(T));
    buffer.data_ = std::unique_ptr<T, Release>(static_cast<T*>(memory), Release{alignment(size)});
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
  /// Whole huge pages can be had for what is aligned to them.
  static std::align_val_t alignment(size_t size) {
    return std::align_val_t(size * sizeof(T) < kHugePage ? kCacheLine : kHugePage);
  }
  /// Fewer entries of the translation buffer for the same memory. A hint: the system may ignore it.
  static void request_huge_pages([[maybe_unused]] void* memory, [[maybe_unused]] size_t bytes) {
#ifdef __linux__
    if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  }

  struct Release {
    std::align_val_t alignment{kCacheLine};
    void operator()(T* data) const { ::operator delete(data, alignment); }
  };
  std::unique_ptr<T, Release> data_;
  size_t size_ = 0;
};

}  // namespace strata
