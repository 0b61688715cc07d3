// Many sessions at once, each with deadlines, cancelled by others at any moment: for
// ThreadSanitizer above all. Here the clock is the real one.
#include <atomic>
#include <thread>

#include "core/cancellation.h"
#include "deadline_fixture.h"

namespace strata::testing {
namespace {

TEST(ParallelDeadlines, EveryInferenceEndsInOneOfThreeWays) {
  constexpr int kSessions = 4;
  constexpr int kInferences = 60;
  std::vector<std::unique_ptr<Cancellation>> cancellations;
  cancellations.reserve(kSessions);
  for (int i = 0; i < kSessions; ++i) cancellations.push_back(std::make_unique<Cancellation>());
  std::atomic<int> running{kSessions};

  const auto serve = [&](int worker) {
    Cancellation& cancellation = *cancellations[static_cast<size_t>(worker)];
    const auto session = open(small_nested(), {.threads = 1 + worker % 2});
    ASSERT_NE(session, nullptr);
    ASSERT_TRUE(session->set_profile(even_profile(*session, {1e4, 2e4, 4e4})).ok());
    SessionData data(*session);
    for (int i = 0; i < kInferences; ++i) {
      runtime::RunOptions options;
      options.within_ns = 1e4 * (i % 40);
      options.cancellation = &cancellation;
      options.policy.on_infeasible =
          i % 2 == 0 ? route::OnInfeasible::kGiveUp : route::OnInfeasible::kAnswerLate;
      const Status status = session->run(data.input_views, data.output_views, options);
      const runtime::RunReport& report = session->last_run();
      switch (status.code()) {
        case StatusCode::kOk:
          EXPECT_EQ(report.steps.size(), session->steps().size());
          EXPECT_TRUE(report.met || i % 2 == 1);
          break;
        case StatusCode::kDeadlineExceeded:
          EXPECT_EQ(i % 2, 0);
          EXPECT_FALSE(report.met);
          break;
        case StatusCode::kCancelled:
          EXPECT_FALSE(report.completed);
          cancellation.reset();
          break;
        default:
          ADD_FAILURE() << status.message();
      }
    }
    running.fetch_sub(1);
  };
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int worker = 0; worker < kSessions; ++worker) threads.emplace_back(serve, worker);
  std::thread canceller([&] {
    for (size_t i = 0; running.load() > 0; ++i) {
      cancellations[i % kSessions]->request();
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  });
  for (std::thread& thread : threads) thread.join();
  canceller.join();
}

TEST(ParallelDeadlines, OneCancellationStopsAllThatShareIt) {
  Cancellation cancellation;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int worker = 0; worker < 3; ++worker) {
    threads.emplace_back([&cancellation] {
      const auto session = open(small_nested(), {});
      SessionData data(*session);
      Status status;
      while (status.ok()) {
        status = session->run(data.input_views, data.output_views,
                              runtime::RunOptions{.cancellation = &cancellation});
      }
      EXPECT_EQ(status.code(), StatusCode::kCancelled);
    });
  }
  cancellation.request();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace strata::testing
