// What routing costs beside the inference: a decision, an update of the belief, a lookup of the
// margins; and how many inferences the simulator replays.
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "route/allowance_learner.h"
#include "route/policy.h"
#include "route/random.h"
#include "route/simulator.h"

namespace strata::route {
namespace {

constexpr int kSteps = 60;

/// Uneven steps of 1 ms in all at the highest level. With `bumpy`, evaluation has measured every
/// switch point and later is not always better: the worst case for the best route.
Profile make_profile(int levels, bool bumpy) {
  ProfileTable table;
  table.step_count = kSteps;
  table.level_count = levels;
  Random random(1);
  for (int step = 0; step < kSteps; ++step) {
    const double time = 1e6 / kSteps * (0.5 + random.uniform());
    for (int level = 0; level < levels; ++level) {
      table.times.push_back({time * (level + 1) / levels, time * (level + 1) / levels});
    }
  }
  for (int level = 0; level < levels; ++level) table.accuracy.levels.push_back(0.7 + 0.05 * level);
  for (int from = 1; bumpy && from < levels; ++from) {
    for (int to = 0; to < from; ++to) {
      for (int step = 1; step < kSteps; ++step) {
        const double metric = 0.7 + 0.05 * (to + (from - to) * step / double{kSteps});
        table.accuracy.switch_points.push_back({step, from, to, metric + 0.01 * random.uniform()});
      }
    }
  }
  return Profile::create(table).value();
}

/// Over all steps of an inference whose deadline bites on the way.
void decide(benchmark::State& state, PolicyKind kind, bool bumpy) {
  const int levels = static_cast<int>(state.range(0));
  const Profile profile = make_profile(levels, bumpy);
  const Policy policy = Policy::create({.kind = kind}).value();
  const Estimate estimate = {.slowdown = 1.2, .deviation = 0.1, .margins = {0.2, 0.1, 0.05}};
  RoutePoint point = {.step = 0, .level = levels - 1, .elapsed_ns = 0, .deadline_ns = 1.3e6};
  for (auto _ : state) {
    benchmark::DoNotOptimize(policy.decide(profile, estimate, point));
    point.step = point.step + 1 == kSteps ? 0 : point.step + 1;
    point.elapsed_ns = 1.2e6 * point.step / kSteps;
  }
}

void BM_DecideLatestSafeSwitch(benchmark::State& state) {
  decide(state, PolicyKind::kLatestSafeSwitch, false);
}
void BM_DecideReroute(benchmark::State& state) { decide(state, PolicyKind::kReroute, false); }
void BM_DecideBestRoute(benchmark::State& state) { decide(state, PolicyKind::kBestRoute, false); }
void BM_DecideBestRouteBumpy(benchmark::State& state) {
  decide(state, PolicyKind::kBestRoute, true);
}
BENCHMARK(BM_DecideReroute)->Arg(2)->Arg(4);
BENCHMARK(BM_DecideLatestSafeSwitch)->Arg(2)->Arg(4);
BENCHMARK(BM_DecideBestRoute)->Arg(2)->Arg(4);
BENCHMARK(BM_DecideBestRouteBumpy)->Arg(2)->Arg(4);

/// Per step, the residual at the end of the inference included.
void BM_ObserveStep(benchmark::State& state) {
  SlowdownBelief belief = SlowdownBelief::create(kSteps).value();
  Random random(2);
  std::vector<double> times(997);
  for (double& time : times) time = 1e4 * std::exp(0.1 * random.normal());
  int step = 0;
  size_t next = 0;
  belief.begin_inference(kSteps * 1e4);
  for (auto _ : state) {
    belief.observe_step(1e4, times[next]);
    next = next + 1 == times.size() ? 0 : next + 1;
    if (++step == kSteps) {
      belief.end_inference();
      belief.begin_inference(kSteps * 1e4);
      step = 0;
    }
  }
}
BENCHMARK(BM_ObserveStep);

/// Once per inference, with as many residuals as one window holds, of both states.
void BM_LookUpMargins(benchmark::State& state) {
  SlowdownBelief belief = SlowdownBelief::create(4).value();
  Random random(3);
  for (size_t i = 0; i < ResidualWindow::kDefaultCapacity + 10; ++i) {
    belief.begin_inference(4e4);
    for (int step = 0; step < 4; ++step) {
      belief.observe_step(1e4, 1e4 * std::exp(0.3 * random.normal()));
    }
    belief.end_inference();
  }
  const double wanted = std::pow(10.0, -static_cast<double>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(belief.margins(wanted));
}
BENCHMARK(BM_LookUpMargins)->Arg(2)->Arg(4)->Arg(6);

/// Per inference of 60 steps: what was learned is asked for, and learned from it.
void BM_LearnAllowance(benchmark::State& state) {
  const Profile profile = make_profile(2, false);
  AllowanceLearner learner(kSteps);
  Random random(7);
  std::vector<double> slowdowns(997);
  for (double& slowdown : slowdowns) slowdown = std::exp(0.3 * random.normal());
  size_t next = 0;
  constexpr double kWanted = 0.01;
  const double deadline_ns = 1.2 * profile.total_ns(1);
  for (auto _ : state) {
    const double busyness = 0.1 * random.uniform();
    benchmark::DoNotOptimize(learner.allowance(busyness, kWanted));
    learner.begin_inference(0, deadline_ns, 1);
    for (int step = 0; step < kSteps; ++step) {
      learner.observe_step(profile, step, {1.1, 1.2}, 1,
                           slowdowns[next] * profile.step_ns(step, 1));
      next = next + 1 == slowdowns.size() ? 0 : next + 1;
    }
    learner.end_inference(profile, busyness, kWanted, false);
  }
}
BENCHMARK(BM_LearnAllowance);

/// Items are inferences of as many steps as the argument says, two levels, replayed in blocks.
void BM_Simulate(benchmark::State& state) {
  const int steps = static_cast<int>(state.range(0));
  ProfileTable table;
  table.step_count = steps;
  table.level_count = 2;
  for (int step = 0; step < steps; ++step) {
    table.times.push_back({1e4, 1e4});
    table.times.push_back({3e4, 3e4});
  }
  const Profile profile = Profile::create(table).value();
  Recording recording;
  recording.step_count = steps;
  Random random(4);
  for (int i = 0; i < 2000 * steps; ++i) {
    recording.slowdowns.push_back(static_cast<float>(std::exp(0.2 * random.normal())));
  }
  SimulationOptions options;
  options.inferences = 20'000;
  options.warmup = 0;
  options.deadline_ns = 1.2 * profile.total_ns(1);
  options.policy.kind = PolicyKind::kLatestSafeSwitch;
  for (auto _ : state) {
    const auto arrivals = poisson_arrivals(3 * profile.total_ns(1), 5).value();
    const auto interference = replay_interference(recording, 16, 6).value();
    benchmark::DoNotOptimize(simulate(profile, *arrivals, *interference, options).ok());
  }
  state.SetItemsProcessed(state.iterations() * options.inferences);
}
BENCHMARK(BM_Simulate)->Arg(4)->Arg(16)->Arg(60)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace strata::route
