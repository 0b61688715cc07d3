// How one thread asks another to stop what it does at the next opportunity.
#pragma once

#include <atomic>

namespace strata {

/// Set by any thread, read by those that work. It stays requested until reset(), so a request that
/// comes before the work begins is not lost. May be shared by any number of workers; must outlive
/// them. Lock-free.
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  void request() { requested_.store(true, std::memory_order_release); }
  void reset() { requested_.store(false, std::memory_order_release); }
  [[nodiscard]] bool requested() const { return requested_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> requested_{false};
};

}  // namespace strata
