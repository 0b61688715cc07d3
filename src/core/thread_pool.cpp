// See thread_pool.h for the protocol.
#include "core/thread_pool.h"

#include <cstring>
#include <string>

namespace strata {
namespace {

/// Bounds of busy waiting, in pauses (tens of nanoseconds each).
constexpr int kIdleSpins = 4000;
constexpr int kCompletionSpins = 20000;

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" ::: "memory");
#endif
}

constexpr int kTaskBits = 32;
uint32_t generation_of(uint64_t ticket) { return static_cast<uint32_t>(ticket >> kTaskBits); }
uint32_t task_of(uint64_t ticket) { return static_cast<uint32_t>(ticket); }
constexpr uint64_t kClosed = 0xFFFFFFFF;  ///< as a task: above every count

}  // namespace

Result<std::unique_ptr<ThreadPool>> ThreadPool::create(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    return invalid_argument("the number of threads is " + std::to_string(threads) +
                            ", it must be 1 to " + std::to_string(kMaxThreads));
  }
  std::unique_ptr<ThreadPool> pool(new ThreadPool());
  pool->workers_.reserve(static_cast<size_t>(threads) - 1);  // start() keeps pointers to elements
  for (int thread = 1; thread < threads; ++thread) {
    Worker& worker = pool->workers_.emplace_back(Worker{pool.get(), thread, {}});
    if (const int error = pthread_create(&worker.handle, nullptr, &ThreadPool::start, &worker);
        error != 0) {
      pool->workers_.pop_back();
      return resource_exhausted("thread " + std::to_string(thread + 1) + " of " +
                                std::to_string(threads) +
                                " cannot be started: " + std::strerror(error));
    }
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (const Worker& worker : workers_) pthread_join(worker.handle, nullptr);
}

void* ThreadPool::start(void* worker) {
  const auto* self = static_cast<const Worker*>(worker);
  self->pool->work(self->thread);
  return nullptr;
}

void ThreadPool::run(int count, Function function, const void* context) {
  const uint64_t next = uint64_t{generation_of(ticket_.load(std::memory_order_relaxed)) + 1}
                        << kTaskBits;
  ticket_.store(next | kClosed, std::memory_order_relaxed);
  function_.store(function, std::memory_order_release);
  context_.store(context, std::memory_order_release);
  count_.store(count, std::memory_order_release);
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(next, std::memory_order_release);
  generation_.fetch_add(1);
  generation_.notify_all();  // no system call unless a worker sleeps

  drain(0);
  for (int spin = 0; spin < kCompletionSpins; ++spin) {
    if (done_.load(std::memory_order_acquire) == count) return;
    pause_briefly();
  }
  for (int done = done_.load(std::memory_order_acquire); done != count;
       done = done_.load(std::memory_order_acquire)) {
    done_.wait(done, std::memory_order_acquire);
  }
}

void ThreadPool::drain(int thread) {
  uint64_t ticket = ticket_.load(std::memory_order_acquire);
  for (;;) {
    // These three belong to the ticket's loop if the exchange below succeeds: whoever reads one of
    // them rewritten also sees that the ticket was closed before.
    const Function function = function_.load(std::memory_order_acquire);
    const void* context = context_.load(std::memory_order_acquire);
    const int count = count_.load(std::memory_order_acquire);
    const uint32_t task = task_of(ticket);
    if (task >= static_cast<uint32_t>(count)) return;
    if (!ticket_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel,
                                       std::memory_order_acquire)) {
      continue;
    }
    function(context, static_cast<int>(task), thread);
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == count && thread != 0) {
      done_.notify_one();
    }
    ticket = ticket_.load(std::memory_order_acquire);
  }
}

void ThreadPool::work(int thread) {
  int seen = 0;
  while (!stop_.load(std::memory_order_acquire)) {
    drain(thread);
    int spins = 0;
    while (generation_.load(std::memory_order_acquire) == seen && ++spins < kIdleSpins) {
      pause_briefly();
    }
    generation_.wait(seen, std::memory_order_acquire);
    seen = generation_.load(std::memory_order_acquire);
  }
}

}  // namespace strata
