// Counts every allocation of the process while a session runs: after the first inference there is
// none, with one thread and with two, on every level and route, and under deadlines.
#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "core/cancellation.h"
#include "graph/builder.h"
#include "runtime/profile_measurement.h"
#include "session_fixture.h"

namespace {
std::atomic<int64_t> allocations{0};

void* allocate(size_t size, size_t alignment) {
  allocations.fetch_add(1);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

// Not inlined: at -O1, as sanitizers want it, g++ inlines the operators delete but not the
// operators new, and would warn that free() gets memory of operator new.
[[gnu::noinline]] void release(void* memory) { std::free(memory); }
}  // namespace

void* operator new(size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new[](size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<size_t>(alignment));
}
void* operator new(size_t size, std::align_val_t alignment,
                   const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, size_t /*size*/) noexcept { release(memory); }
void operator delete[](void* memory, size_t /*size*/) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept { release(memory); }
void operator delete(void* memory, size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  release(memory);
}

namespace strata::testing {

namespace {

TEST(Allocation, NoneInRunAfterTheFirst) {
  const auto nested = random_nested(resnet("resnet18", 33, 35, 8), {0.1, 0.4}, 2);
  for (const int threads : {1, 2}) {
    for (const int64_t batch : {1, 4}) {
      const auto session =
          open(nested, {.threads = threads, .graph = {}, .bindings = {{"batch", batch}}});
      ASSERT_NE(session, nullptr);
      SessionData data(*session);
      std::vector<uint8_t> levels(session->steps().size());
      for (size_t i = 0; i < levels.size(); ++i) levels[i] = i % 2;
      std::vector<int64_t> times(levels.size());
      ASSERT_TRUE(session->run(data.input_views, data.output_views, 0).ok());
      const int64_t before = allocations.load();
      for (int round = 0; round < 10; ++round) {
        ASSERT_TRUE(session->run(data.input_views, data.output_views, round % 2).ok());
        ASSERT_TRUE(session->run_route(data.input_views, data.output_views, levels).ok());
        ASSERT_TRUE(session->run_timed(data.input_views, data.output_views, levels, times).ok());
      }
      EXPECT_EQ(allocations.load() - before, 0) << threads << " threads, batch " << batch;
    }
  }
}

TEST(Allocation, NoneInRecurrentLayers) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  std::string x = builder.input("x", {"time", "batch", 40});
  x = builder.lstm("lstm", x, {.in_features = 40, .hidden = 30, .direction = "bidirectional"}).y;
  builder.output(x, "y", {"time", 2, "batch", 30});
  builder.finish();
  const auto nested = random_nested(model, {0.1, 0.4}, 2);
  for (const int threads : {1, 2}) {
    for (const int64_t batch : {1, 6}) {
      const auto session = open(
          nested, {.threads = threads, .graph = {}, .bindings = {{"batch", batch}, {"time", 3}}});
      ASSERT_NE(session, nullptr);
      SessionData data(*session);
      ASSERT_TRUE(session->run(data.input_views, data.output_views, 0).ok());
      const int64_t before = allocations.load();
      for (int round = 0; round < 10; ++round) {
        ASSERT_TRUE(session->run(data.input_views, data.output_views, round % 2).ok());
      }
      EXPECT_EQ(allocations.load() - before, 0) << threads << " threads, batch " << batch;
    }
  }
}

TEST(Allocation, NoneUnderDeadlinesHoweverTheInferenceEnds) {
  const auto nested = random_nested(resnet("resnet18", 33, 35, 8), {0.1, 0.4}, 2);
  for (const int threads : {1, 2}) {
    const auto session = open(nested, {.threads = threads});
    ASSERT_NE(session, nullptr);
    SessionData data(*session);
    const auto measured = runtime::measure_profile(*session, {.runs = 3});
    ASSERT_TRUE(measured.ok()) << measured.status().message();
    ASSERT_TRUE(session->set_profile(measured->table).ok());
    const double typical_ns = measured->levels[1].p50_ns;
    Cancellation cancellation;
    std::array<int, 3> ended{};  // answered, given up, cancelled
    const auto round = [&] {
      for (const auto kind :
           {route::PolicyKind::kFixed, route::PolicyKind::kPerRequest, route::PolicyKind::kReroute,
            route::PolicyKind::kLatestSafeSwitch, route::PolicyKind::kBestRoute}) {
        for (const double share : {0.0, 0.5, 1.0, 10.0}) {
          runtime::RunOptions options{.within_ns = share * typical_ns,
                                      .cancellation = &cancellation};
          options.policy.kind = kind;
          for (const auto late : {route::OnInfeasible::kAnswerLate, route::OnInfeasible::kGiveUp}) {
            options.policy.on_infeasible = late;
            const Status status = session->run(data.input_views, data.output_views, options);
            ++ended[status.ok() ? 0 : 1];
          }
        }
      }
      cancellation.request();
      const Status status = session->run(data.input_views, data.output_views,
                                         runtime::RunOptions{.cancellation = &cancellation});
      if (status.code() == StatusCode::kCancelled) ++ended[2];
      cancellation.reset();
    };
    round();
    const int64_t before = allocations.load();
    for (int i = 0; i < 5; ++i) round();
    EXPECT_EQ(allocations.load() - before, 0) << threads << " threads";
    for (const int count : ended) EXPECT_GT(count, 0);
  }
}

TEST(Allocation, TheHookCounts) {
  const int64_t before = allocations.load();
  delete new int(1);
  const std::vector<int> values(10);
  EXPECT_GE(allocations.load() - before, 1);
  EXPECT_EQ(values.size(), 10U);
}

}  // namespace
}  // namespace strata::testing
