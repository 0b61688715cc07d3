// What keeping deadlines costs. BM_RoutePoint: one question to the router, its answer taken into
// account. BM_Overhead: whole inferences by a deadline beside the same at a fixed level, in turns,
// as the median of the ratio of neighbours. BM_Reroute: what a step pays for following one of
// another level, over routes that change the level at every step beside those that never do, in
// turns.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/clock.h"
#include "models/resnet.h"
#include "runtime/profile_measurement.h"
#include "runtime/router.h"
#include "runtime/session.h"
#include "sparse/random.h"

namespace strata {
namespace {

using runtime::RunOptions;

const sparse::NestedModel& nested_model(const std::string& architecture) {
  static std::map<std::string, sparse::NestedModel> made;
  const auto found = made.find(architecture);
  if (found != made.end()) return found->second;
  const graph::Model model = models::resnet(models::resnet_config(architecture).value()).value();
  const std::vector<sparse::LevelBudget> levels = {{.weights = 0.0538, .flops = {}},
                                                   {.weights = 0.1338, .flops = {}}};
  return made
      .emplace(architecture, sparse::random_nested_model(
                                 model, levels, sparse::AllocationMethod::kErdosRenyiKernel, 1)
                                 .value())
      .first->second;
}

/// A session on one thread with data and a profile.
struct Subject {
  explicit Subject(const std::string& architecture)
      : session(runtime::Session::create(nested_model(architecture), {}).value()) {
    const auto measured = runtime::measure_profile(*session, {.runs = 20});
    if (!session->set_profile(measured.value().table).ok()) std::abort();
    for (const graph::ValueInfo& info : session->inputs()) {
      size_t count = 1;
      for (const graph::Dim& dim : info.shape) count *= static_cast<size_t>(dim.value());
      input.assign(count, 0.5F);
    }
    for (const graph::ValueInfo& info : session->outputs()) {
      size_t count = 1;
      for (const graph::Dim& dim : info.shape) count *= static_cast<size_t>(dim.value());
      output.resize(count);
    }
  }
  template <typename How>
  double time_ns(const How& how) {
    const runtime::InputView in{input};
    const runtime::OutputView out{output};
    const int64_t begin = monotonic_ns();
    if (!session->run({&in, 1}, {&out, 1}, how).ok()) std::abort();
    return static_cast<double>(monotonic_ns() - begin);
  }
  void time_route(const std::vector<uint8_t>& levels, std::vector<int64_t>& step_ns) {
    const runtime::InputView in{input};
    const runtime::OutputView out{output};
    if (!session->run_timed({&in, 1}, {&out, 1}, levels, step_ns).ok()) std::abort();
  }

  std::unique_ptr<runtime::Session> session;
  std::vector<float> input;
  std::vector<float> output;
};

double quantile(std::vector<double>& values, double q) {
  const auto place = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return values[static_cast<size_t>(place)];
}
double median(std::vector<double>& values) { return quantile(values, 0.5); }

constexpr route::PolicyKind kPolicies[] = {
    route::PolicyKind::kFixed, route::PolicyKind::kPerRequest, route::PolicyKind::kReroute,
    route::PolicyKind::kLatestSafeSwitch, route::PolicyKind::kBestRoute};

void BM_RoutePoint(benchmark::State& state) {
  constexpr int kSteps = 72;  // of ResNet-50
  constexpr int64_t kStepNs = 100'000;
  route::ProfileTable table;
  table.step_count = kSteps;
  table.level_count = static_cast<int>(state.range(1));
  for (int step = 0; step < kSteps; ++step) {
    for (int level = 0; level < table.level_count; ++level) {
      const double ns = static_cast<double>(kStepNs) * (level + 1) / table.level_count;
      table.times.push_back({ns, 1.1 * ns});
    }
  }
  runtime::Router router(kSteps);
  if (!router.set_profile(table, table.level_count).ok()) return state.SkipWithError("profile");
  RunOptions options;
  options.policy.kind = kPolicies[state.range(0)];
  options.within_ns = 0.8 * static_cast<double>(kSteps * kStepNs);
  state.SetLabel(route::to_string(options.policy.kind));
  int64_t now = 0;
  int64_t points = 0;
  int64_t reroutes = 0;
  for (auto _ : state) {
    if (!router.begin(options, table.level_count, now).ok()) return state.SkipWithError("begin");
    for (size_t step = 0; step < kSteps; ++step) {
      benchmark::DoNotOptimize(router.choose(step));
      // As long as the step takes at its level, give or take what differs from run to run.
      now += kStepNs * (router.level() + 1) / table.level_count + (points * 7919) % 5000;
      router.after_step(step, now);
      ++points;
    }
    benchmark::DoNotOptimize(router.finish(runtime::Router::Next::kRun, now));
    reroutes += router.report().reroutes;
  }
  state.counters["s/point"] = benchmark::Counter(
      static_cast<double>(points), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["reroutes/run"] =
      static_cast<double>(reroutes) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_RoutePoint)->ArgNames({"policy", "levels"})->ArgsProduct({{0, 1, 2, 3, 4}, {2, 4}});

void BM_Overhead(benchmark::State& state, const std::string& architecture) {
  Subject subject(architecture);
  RunOptions plain;
  plain.policy = {.kind = route::PolicyKind::kFixed, .level = 1};
  RunOptions best;
  best.within_ns = 1e12;
  std::vector<double> at_level, again, by_options, by_deadline;
  const auto level_ns = [&] { return subject.time_ns(1); };
  for (auto _ : state) {
    const double first = level_ns();
    const double fixed = subject.time_ns(plain);
    const double second = level_ns();
    const double deadline = subject.time_ns(best);
    const double third = level_ns();
    at_level.push_back(first);
    by_options.push_back(fixed / (0.5 * (first + second)));
    by_deadline.push_back(deadline / (0.5 * (second + third)));
    again.push_back(second / (0.5 * (first + third)));
  }
  state.counters["level us"] = 1e-3 * median(at_level);
  state.counters["noise %"] = 100 * (median(again) - 1);  // a level beside itself
  state.counters["fixed %"] = 100 * (median(by_options) - 1);
  state.counters["best-route %"] = 100 * (median(by_deadline) - 1);
}
BENCHMARK_CAPTURE(BM_Overhead, resnet8, std::string("resnet8"))->UseRealTime();
BENCHMARK_CAPTURE(BM_Overhead, resnet50, std::string("resnet50"))->UseRealTime();

void BM_Reroute(benchmark::State& state, const std::string& architecture) {
  Subject subject(architecture);
  const size_t steps = subject.session->steps().size();
  std::vector<uint8_t> sparse(steps, 0), dense(steps, 1), even(steps), odd(steps);
  for (size_t i = 0; i < steps; ++i) {
    even[i] = i % 2;
    odd[i] = 1 - i % 2;
  }
  std::vector<int64_t> step_ns(steps);
  std::vector<std::vector<double>> constant(2 * steps), changing(2 * steps);  // [level][step]
  for (auto _ : state) {
    for (const auto* route : {&sparse, &even, &dense, &odd}) {
      subject.time_route(*route, step_ns);
      auto& times = route == &sparse || route == &dense ? constant : changing;
      for (size_t i = 0; i < steps; ++i) {
        times[(*route)[i] * steps + i].push_back(static_cast<double>(step_ns[i]));
      }
    }
  }
  // The lower quartile: others interrupt this program, but not most of the time within one step.
  double extra_ns = 0;
  for (size_t i = 0; i < 2 * steps; ++i) {
    if (i % steps == 0) continue;  // nothing comes before the first step
    extra_ns += quantile(changing[i], 0.25) - quantile(constant[i], 0.25);
  }
  state.counters["us/reroute"] = 1e-3 * extra_ns / static_cast<double>(2 * (steps - 1));
}
BENCHMARK_CAPTURE(BM_Reroute, resnet8, std::string("resnet8"))->UseRealTime();
BENCHMARK_CAPTURE(BM_Reroute, resnet50, std::string("resnet50"))->UseRealTime();

}  // namespace
}  // namespace strata
