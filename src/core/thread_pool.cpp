// See thread_pool.h for the protocol.
#include "core/thread_pool.h"

#include <cstring>
#include <string>

#ifdef __linux__
#include <sched.h>
#endif

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
  pool->workers_ = std::make_unique<Worker[]>(static_cast<size_t>(threads) - 1);
  for (int thread = 1; thread < threads; ++thread) {
    Worker& worker = pool->workers_[static_cast<size_t>(thread) - 1];
    worker.pool = pool.get();
    worker.thread = thread;
    if (const int error = pthread_create(&worker.handle, nullptr, &ThreadPool::start, &worker);
        error != 0) {
      return resource_exhausted("thread " + std::to_string(thread + 1) + " of " +
                                std::to_string(threads) +
                                " cannot be started: " + std::strerror(error));
    }
    ++pool->worker_count_;
  }
  return pool;
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  generation_.fetch_add(1);
  generation_.notify_all();
  for (int i = 0; i < worker_count_; ++i) {
    pthread_join(workers_[static_cast<size_t>(i)].handle, nullptr);
  }
}

void* ThreadPool::start(void* worker) {
  auto* self = static_cast<Worker*>(worker);
  self->pool->work(*self);
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
  wake_workers();

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

void ThreadPool::wake_workers() {
#ifdef __linux__
  int here = -1;
  for (int i = 0; i < worker_count_; ++i) {
    Worker& worker = workers_[static_cast<size_t>(i)];
    Rest expected = Rest::kAsleep;
    if (worker.rest.load(std::memory_order_relaxed) != expected ||
        !worker.rest.compare_exchange_strong(expected, Rest::kBeingMoved)) {
      continue;  // awake, or waking by itself
    }
    if (here < 0) here = sched_getcpu();
    Rest rest = Rest::kAwake;  // nothing to put back
    if (here >= 0 && here < CPU_SETSIZE &&
        pthread_getaffinity_np(worker.handle, sizeof worker.mask, &worker.mask) == 0 &&
        CPU_ISSET(here, &worker.mask) && CPU_COUNT(&worker.mask) > 1) {
      cpu_set_t elsewhere = worker.mask;
      CPU_CLR(here, &elsewhere);
      if (pthread_setaffinity_np(worker.handle, sizeof elsewhere, &elsewhere) == 0) {
        rest = Rest::kMoved;
      }
    }
    worker.rest.store(rest, std::memory_order_release);
  }
#endif
  generation_.notify_all();  // no system call unless a worker sleeps
}

void ThreadPool::sleep(Worker& self, int generation) {
  self.rest.store(Rest::kAsleep);
  generation_.wait(generation, std::memory_order_acquire);
#ifdef __linux__
  Rest rest = Rest::kAsleep;
  if (self.rest.compare_exchange_strong(rest, Rest::kAwake)) return;
  while (rest == Rest::kBeingMoved) {  // a few system calls of the caller
    pause_briefly();
    rest = self.rest.load(std::memory_order_acquire);
  }
  if (rest == Rest::kMoved) pthread_setaffinity_np(pthread_self(), sizeof self.mask, &self.mask);
#endif
  self.rest.store(Rest::kAwake);
}

void ThreadPool::work(Worker& self) {
  int seen = 0;
  while (!stop_.load(std::memory_order_acquire)) {
    drain(self.thread);
    int spins = 0;
    while (generation_.load(std::memory_order_acquire) == seen && ++spins < kIdleSpins) {
      pause_briefly();
    }
    if (spins == kIdleSpins) sleep(self, seen);
    seen = generation_.load(std::memory_order_acquire);
  }
}

}  // namespace strata
