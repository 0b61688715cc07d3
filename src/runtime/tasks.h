// How the work of a step is cut into tasks for a pool of threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/thread_pool.h"

namespace strata::runtime {

/// Where a thread's part of a parallel loop stands.
struct alignas(kCacheLine) TaskCursor {
  std::atomic<int64_t> next{0};
};
using TaskCursors = std::vector<TaskCursor>;  ///< [thread]

/// Enough tasks per thread that the last ones even out what the machine's noise does.
inline constexpr int64_t kTasksPerThread = 6;

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// The size of equal parts of at most `largest`.
constexpr int64_t balanced(int64_t total, int64_t largest) {
  return divide_up(total, divide_up(total, largest));
}

/// How many of its `rows` a task of one of `tiles` computes. A tile is cut into at most `most`
/// tasks, but for tasks that every thread gets as many of.
constexpr int64_t rows_of_task(int64_t tiles, int64_t rows, int64_t most, int threads) {
  if (threads == 1) return rows;
  const int64_t wanted = std::min(divide_up(kTasksPerThread * threads, tiles), rows);
  int64_t tasks = std::clamp<int64_t>(most, 1, wanted);
  while (tasks < wanted && tiles * tasks % threads != 0) ++tasks;
  return divide_up(rows, tasks);
}

/// Calls body(task, thread) for every task once. Every thread first takes the tasks of its own
/// part, in their order, then helps the others: so what a thread wrote in one step is mostly what
/// it reads in the next, from its own cache, and still nobody waits long.
template <typename Body>
void for_own_tasks(ThreadPool& pool, TaskCursors& cursors, int64_t tasks, const Body& body) {
  const int threads = pool.threads();
  if (threads == 1) {
    for (int64_t task = 0; task < tasks; ++task) body(static_cast<int>(task), 0);
    return;
  }
  const auto part_begin = [&](int64_t part) { return part * tasks / threads; };
  for (int part = 0; part < threads; ++part) {
    cursors[static_cast<size_t>(part)].next.store(part_begin(part), std::memory_order_relaxed);
  }
  pool.parallel_for(threads, [&](int /*task*/, int thread) {
    for (int i = 0; i < threads; ++i) {
      const int part = (thread + i) % threads;
      std::atomic<int64_t>& next = cursors[static_cast<size_t>(part)].next;
      const int64_t end = part_begin(part + 1);
      for (;;) {
        const int64_t task = next.fetch_add(1, std::memory_order_relaxed);
        if (task >= end) break;
        body(static_cast<int>(task), thread);
      }
    }
  });
}

/// Cuts every image's channels (or panels of them) into ranges and calls
/// body(image, begin, end, thread).
template <typename Body>
void for_channel_ranges(ThreadPool& pool, TaskCursors& cursors, int64_t images, int64_t channels,
                        const Body& body) {
  const int64_t wanted =
      pool.threads() == 1 ? 1 : divide_up(kTasksPerThread * pool.threads(), images);
  const int64_t size = divide_up(channels, std::min(wanted, channels));
  const int64_t ranges = divide_up(channels, size);
  for_own_tasks(pool, cursors, images * ranges, [&](int task, int thread) {
    const int64_t begin = task % ranges * size;
    body(task / ranges, begin, std::min(begin + size, channels), thread);
  });
}

}  // namespace strata::runtime
