// A fixed set of threads that share the tasks of one parallel loop at a time. Made for many short
// loops in a row: between loops the workers spin for a bounded time, and only then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <pthread.h>
#ifdef __linux__
#include <sched.h>
#endif

#include "core/status.h"

namespace strata {

/// One caller at a time. parallel_for() allocates nothing and takes no lock. It makes a system call
/// only to wake workers that went to sleep because nothing came for about 100 microseconds, or to
/// wait for a worker that the operating system has paused in the middle of a task.
///
/// A worker that slept must not wake on the processor of the caller, who keeps it busy: it would
/// get its turn milliseconds later, and the loop would run as if on one thread. Linux does place it
/// there, above all in virtual machines, where a halted processor does not count as idle. So the
/// caller takes its own processor out of the affinity mask of a sleeping worker before it wakes it,
/// and the worker puts the mask back once it runs.
class ThreadPool {
 public:
  static constexpr int kMaxThreads = 64;

  /// `threads` counts the calling thread: 1 starts none. Errors: outside 1..kMaxThreads, or the
  /// operating system grants no more threads.
  static Result<std::unique_ptr<ThreadPool>> create(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const { return worker_count_ + 1; }

  /// Calls body(task, thread) for every task in 0..count-1, each exactly once, in any order; thread
  /// is 0 for the caller and below threads(). Returns when all are done; what they wrote is then
  /// visible to the caller. `body` must not throw and must not call back into the pool.
  template <typename Body>
  void parallel_for(int count, const Body& body) {
    if (worker_count_ == 0 || count <= 1) {
      for (int task = 0; task < count; ++task) body(task, 0);
      return;
    }
    run(
        count,
        [](const void* context, int task, int thread) {
          (*static_cast<const Body*>(context))(task, thread);
        },
        &body);
  }

 private:
  using Function = void (*)(const void* context, int task, int thread);

  /// Goes kAwake, kAsleep, then either back or through kBeingMoved to kMoved, which the worker
  /// ends.
  enum class Rest : int { kAwake, kAsleep, kBeingMoved, kMoved };

  struct Worker {
    ThreadPool* pool = nullptr;
    int thread = 0;
    pthread_t handle{};
    std::atomic<Rest> rest{Rest::kAwake};
#ifdef __linux__
    cpu_set_t mask{};  ///< before it was moved; the caller's in kBeingMoved, then the worker's
#endif
  };
  ThreadPool() = default;
  void run(int count, Function function, const void* context);
  void work(Worker& self);
  static void* start(void* worker);
  void wake_workers();
  void sleep(Worker& self, int generation);
  /// Claims and runs tasks of the current loop until none is left.
  void drain(int thread);

  // ticket_ holds the loop's generation in the upper half and the next free task in the lower one.
  // A loop is published by closing the ticket (new generation, no task free), writing function_,
  // context_ and count_, and opening it. A task is claimed by a compare-and-swap on the whole
  // ticket, so a worker that comes late can never run a task of one loop by the description of
  // another, and nobody waits for workers that claimed nothing.
  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int> done_{0};
  alignas(64) std::atomic<Function> function_{nullptr};
  std::atomic<const void*> context_{nullptr};
  std::atomic<int> count_{0};
  alignas(64) std::atomic<int> generation_{0};  ///< what idle workers sleep on
  std::atomic<bool> stop_{false};

  std::unique_ptr<Worker[]> workers_;
  int worker_count_ = 0;
};

}  // namespace strata
