// Every task runs exactly once, its effects are visible afterwards, and bad thread counts are told.
#include "core/thread_pool.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

#include <gtest/gtest.h>

namespace strata {
namespace {

std::unique_ptr<ThreadPool> make_pool(int threads) {
  auto pool = ThreadPool::create(threads);
  EXPECT_TRUE(pool.ok()) << pool.status().message();
  return std::move(pool).value();
}

TEST(ThreadPool, RunsEveryTaskOnceWhateverTheCounts) {
  for (const int threads : {1, 2, 3, 8}) {
    const auto pool = make_pool(threads);
    EXPECT_EQ(pool->threads(), threads);
    for (const int count : {0, 1, 2, 7, 100}) {
      std::vector<int> runs(static_cast<size_t>(count));  // not atomic: the pool synchronises
      pool->parallel_for(count, [&](int task, int thread) {
        EXPECT_GE(thread, 0);
        EXPECT_LT(thread, threads);
        ++runs[static_cast<size_t>(task)];
      });
      EXPECT_EQ(runs, std::vector<int>(static_cast<size_t>(count), 1));
    }
  }
}

TEST(ThreadPool, ManyShortLoopsInARowSeeTheirOwnDescription) {
  const auto pool = make_pool(4);
  std::vector<int> values(16);
  for (int round = 0; round < 5000; ++round) {
    const int count = 2 + round % 15;
    pool->parallel_for(
        count, [&values, round](int task, int) { values[static_cast<size_t>(task)] = round; });
    for (int task = 0; task < count; ++task) {
      ASSERT_EQ(values[static_cast<size_t>(task)], round);
    }
  }
}

TEST(ThreadPool, WorkersThatFellAsleepWakeUp) {
  const auto pool = make_pool(2);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // Both tasks wait for each other, so that they end only if two threads take part.
    std::atomic<int> arrived{0};
    pool->parallel_for(2, [&](int, int) {
      arrived.fetch_add(1);
      while (arrived.load() < 2) std::this_thread::yield();
    });
    EXPECT_EQ(arrived.load(), 2);
  }
}

#ifdef __linux__
// A worker is woken away from the caller's processor; afterwards it may run where it always could.
TEST(ThreadPool, WorkersThatSleptKeepTheirAffinity) {
  cpu_set_t whole;
  ASSERT_EQ(sched_getaffinity(0, sizeof whole, &whole), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  for (const cpu_set_t& allowed : {whole, one}) {
    ASSERT_EQ(sched_setaffinity(0, sizeof allowed, &allowed), 0);
    const auto pool = make_pool(3);  // its workers inherit the mask
    for (int round = 0; round < 5; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      std::atomic<int> started{0};
      pool->parallel_for(3, [&](int, int) {
        started.fetch_add(1);
        while (started.load() < 3)
          std::this_thread::yield();  // so each runs on a thread of its own
        cpu_set_t mask;
        EXPECT_EQ(sched_getaffinity(0, sizeof mask, &mask), 0);
        EXPECT_TRUE(CPU_EQUAL(&mask, &allowed));
      });
    }
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof whole, &whole), 0);
}
#endif

TEST(ThreadPool, WaitsForSlowTasksOfOtherThreads) {
  const auto pool = make_pool(2);
  std::vector<int> done(2);
  pool->parallel_for(2, [&](int task, int thread) {
    if (thread != 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    done[static_cast<size_t>(task)] = 1;
  });
  EXPECT_EQ(done, (std::vector<int>{1, 1}));
}

TEST(ThreadPool, TwoPoolsWorkSideBySide) {
  const auto count_up = [] {
    const auto pool = make_pool(2);
    std::atomic<int> sum{0};
    for (int round = 0; round < 200; ++round) {
      pool->parallel_for(10, [&](int task, int) { sum.fetch_add(task); });
    }
    EXPECT_EQ(sum.load(), 200 * 45);
  };
  std::thread other(count_up);
  count_up();
  other.join();
}

TEST(ThreadPool, RefusesCountsOutsideItsRange) {
  for (const int threads : {-1, 0, 65}) {
    const auto pool = ThreadPool::create(threads);
    ASSERT_FALSE(pool.ok());
    EXPECT_EQ(pool.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(pool.status().message(),
              "the number of threads is " + std::to_string(threads) + ", it must be 1 to 64");
  }
}

}  // namespace
}  // namespace strata
