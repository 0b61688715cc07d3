// Replaces operator new. A file of its own, so that no caller inlines one half of a pair.
#include "allocation_watch.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<size_t> largest{0};
}

void* operator new(size_t size) {
  size_t known = largest.load();
  while (size > known && !largest.compare_exchange_weak(known, size)) {
  }
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return operator new(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t /*size*/) noexcept { std::free(memory); }

namespace strata::format {

void watch_allocations() { largest = 0; }
size_t largest_allocation() { return largest; }

}  // namespace strata::format
