#include "tools/strata/qos_experiment.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>

#include <sys/prctl.h>
#include <unistd.h>

#include "core/clock.h"
#include "runtime/live_state.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr double kMsPerNs = 1e-6;
constexpr int64_t kNsPerSecondInt = 1'000'000'000;
constexpr double kLongestTurn = 2;  // in blocks
constexpr int kWarmingRuns = 2;
constexpr size_t kMostReserved = 200'000;  // inferences; a longer run grows, at worst between two
constexpr unsigned long kTimerSlackNs = 1;

/// Until a reading of monotonic_ns(). A signal ends it early.
void sleep_until(int64_t at_ns) {
  timespec time{};
  time.tv_sec = at_ns / kNsPerSecondInt;
  time.tv_nsec = at_ns % kNsPerSecondInt;
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == EINTR) {
    if (interrupted()) return;
  }
}

/// Lets the co-runner go and pauses it as planned, on a thread of its own.
class Switcher {
 public:
  Switcher(CoRunner& co_runner, std::vector<Interval> loaded, int64_t origin_ns)
      : thread_([&co_runner, loaded = std::move(loaded), origin_ns](const std::stop_token& stop) {
          drive(co_runner, loaded, origin_ns, stop);
        }) {}

 private:
  static void drive(CoRunner& co_runner, const std::vector<Interval>& loaded, int64_t origin_ns,
                    const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    const auto wait_until = [&](double at_ns) {
      const auto when = std::chrono::steady_clock::time_point(
          std::chrono::nanoseconds(origin_ns + static_cast<int64_t>(at_ns)));
      std::unique_lock lock(mutex);
      wake.wait_until(lock, stop, when, [] { return false; });
      return !stop.stop_requested();
    };
    for (const Interval& interval : loaded) {
      if (!wait_until(interval.begin_ns)) break;
      co_runner.go_on();
      if (!wait_until(interval.end_ns)) break;
      co_runner.pause();
    }
    co_runner.pause();
  }

  std::jthread thread_;
};

/// One policy and what serves it.
struct Server {
  QosService* service = nullptr;
  route::PolicyOptions policy;
  runtime::LiveSnapshot live;
  double metric_sum = 0;
  int64_t answered = 0;
};

/// What lies within a block, in times of the plan.
struct Block {
  int number = 0;
  double begin_ns = 0;
  double end_ns = 0;
  bool warm_up = false;
  size_t first_request = 0;
  std::span<const double> arrivals;
  std::vector<Interval> loaded;  ///< since the block's begin
};

std::vector<Block> cut_into_blocks(const LoadPlan& plan, double block_ns, double warm_up_ns) {
  std::vector<Block> blocks;
  const std::span<const double> arrivals = plan.arrivals_ns;
  const auto count = std::max(1L, std::lround(plan.length_ns / block_ns));
  for (int number = 0; number < count; ++number) {
    const double begin = number * block_ns;
    Block block;
    block.number = number;
    block.begin_ns = begin;
    block.end_ns = begin + block_ns;
    block.warm_up = begin < warm_up_ns - block_ns / 2;
    const auto first = std::lower_bound(arrivals.begin(), arrivals.end(), begin);
    const auto last = std::lower_bound(first, arrivals.end(), block.end_ns);
    block.first_request = static_cast<size_t>(first - arrivals.begin());
    block.arrivals = arrivals.subspan(block.first_request, static_cast<size_t>(last - first));
    for (const Interval& interval : plan.loaded) {
      const double from = std::max(interval.begin_ns, begin);
      const double to = std::min(interval.end_ns, block.end_ns);
      if (from < to) block.loaded.push_back({from - begin, to - begin});
    }
    blocks.push_back(std::move(block));
  }
  return blocks;
}

class Experiment {
 public:
  Experiment(QosRecording& recording, const std::vector<std::unique_ptr<QosService>>& services,
             CoRunner& co_runner, const ExperimentOptions& options)
      : recording_(recording),
        co_runner_(co_runner),
        options_(options),
        profile_(value_or_throw(route::Profile::create(recording.profile))) {
    for (size_t i = 0; i < services.size(); ++i) {
      Server server{services[i].get(), recording.policies[i].options, {}, 0, 0};
      if (options.give_up) server.policy.on_infeasible = route::OnInfeasible::kGiveUp;
      describe(server.live, recording.policies[i].name);
      servers_.push_back(std::move(server));
    }
    if (options.publish) {
      // Nothing depends on it: where the folder cannot be made, nobody watches.
      auto writer = runtime::LiveStateWriter::create();
      if (writer.ok()) live_ = std::move(writer).value();
    }
  }

  bool run() {
    prctl(PR_SET_TIMERSLACK, kTimerSlackNs);  // the default lets a sleep last 50 us longer
    const double warm_up_ns = options_.warm_up_seconds * kNsPerSecond;
    const LoadPlan plan = plan_load(recording_.load, options_.warm_up_seconds + options_.seconds);
    recording_.loaded = plan.loaded;
    recording_.block_ns = options_.block_seconds * kNsPerSecond;
    const auto blocks = cut_into_blocks(plan, recording_.block_ns, warm_up_ns);
    const size_t expected = std::min(kMostReserved, plan.arrivals_ns.size() * servers_.size());
    recording_.inferences.reserve(expected);
    recording_.levels.reserve(expected * recording_.steps());
    recording_.step_ns.reserve(expected * recording_.steps());

    const double turns = static_cast<double>(blocks.size() * servers_.size());
    double done = 0;
    for (const Block& block : blocks) {
      for (size_t turn = 0; turn < servers_.size(); ++turn) {
        run_block(block, (turn + static_cast<size_t>(block.number)) % servers_.size());
        if (interrupted()) return false;
        co_runner_.check();
        ++done;
        if (options_.progress) {
          options_.progress(done * options_.block_seconds, turns * options_.block_seconds);
        }
      }
    }
    if (live_) {
      servers_.back().live.finished = 1;
      publish(servers_.back().live);
    }
    return true;
  }

 private:
  void describe(runtime::LiveSnapshot& live, const std::string& policy) const {
    live.process = getpid();
    live.started_ns = monotonic_ns();
    live.deadline_ms = recording_.deadline_ns * kMsPerNs;
    live.level_count = profile_.level_count();
    live.threads = profile_.threads();
    live.batch = recording_.batch;
    if (!recording_.translates()) {  // what translations are worth is known when all are made
      live.metric = profile_.metric(profile_.level_count() - 1);
      live.sparsest_metric = profile_.metric(0);
      live.densest_metric = profile_.metric(profile_.level_count() - 1);
    }
    runtime::LiveSnapshot::assign(live.model, recording_.model);
    runtime::LiveSnapshot::assign(live.policy, policy);
    runtime::LiveSnapshot::assign(live.load,
                                  recording_.co_runner + ", " + to_string(recording_.load.pattern));
  }

  void publish(runtime::LiveSnapshot& live) const {
    live.updated_ns = monotonic_ns();
    live_->publish(live);
  }

  void run_block(const Block& block, size_t policy) {
    Server& server = servers_[policy];
    // Its weights come into the caches, and nobody else's threads are awake any more.
    for (int i = 0; i < kWarmingRuns; ++i) server.service->warm_up();
    const int64_t origin = monotonic_ns();
    const Switcher switcher(co_runner_, block.loaded, origin);
    const double longest_ns = kLongestTurn * (block.end_ns - block.begin_ns);
    for (size_t request = 0; request < block.arrivals.size(); ++request) {
      const double arrival = block.arrivals[request];
      const auto requested = origin + static_cast<int64_t>(arrival - block.begin_ns);
      if (monotonic_ns() < requested) sleep_until(requested);
      if (interrupted()) return;
      RecordedInference inference;
      inference.policy = static_cast<int>(policy);
      inference.block = block.number;
      inference.warm_up = block.warm_up;
      inference.arrival_ns = arrival;
      const int64_t start = monotonic_ns();
      inference.start_ns = arrival + static_cast<double>(start - requested);
      if (static_cast<double>(start - origin) > longest_ns) {
        inference.missed = true;
        inference.finish_ns = inference.start_ns;
        server.service->describe(block.first_request + request, inference);
        record(inference, {});
      } else {
        serve(server, block.first_request + request, inference, requested);
      }
    }
  }

  void serve(Server& server, size_t request, RecordedInference& inference, int64_t requested) {
    runtime::RunOptions run;
    run.policy = server.policy;
    run.deadline_ns = requested + static_cast<int64_t>(recording_.deadline_ns);
    const Status status = server.service->answer(request, run);
    if (!status.ok() && status.code() != StatusCode::kDeadlineExceeded) throw_if_error(status);
    const runtime::RunReport& report = server.service->last_run();
    inference.completed = report.completed;
    inference.missed = !report.met;
    inference.finish_ns = inference.start_ns + report.total_ns;
    inference.slowdown = report.slowdown;
    server.service->describe(request, inference);
    record(inference, report.steps);
    if (!live_) return;
    server.live.add(report, inference.finish_ns - inference.arrival_ns, inference.missed);
    if (inference.completed && !recording_.translates()) {
      server.metric_sum += route_metric(
          profile_, recording_.levels.data() + recording_.levels.size() - recording_.steps());
      server.live.metric = server.metric_sum / static_cast<double>(++server.answered);
    }
    publish(server.live);
  }

  void record(const RecordedInference& inference, std::span<const runtime::StepRecord> steps) {
    recording_.inferences.push_back(inference);
    for (const runtime::StepRecord& step : steps) {
      recording_.levels.push_back(static_cast<uint8_t>(step.level));
      recording_.step_ns.push_back(static_cast<float>(step.observed_ns));
    }
    recording_.levels.resize(recording_.inferences.size() * recording_.steps(), kNotRun);
    recording_.step_ns.resize(recording_.inferences.size() * recording_.steps(), 0);
  }

  QosRecording& recording_;
  CoRunner& co_runner_;
  const ExperimentOptions& options_;
  route::Profile profile_;
  std::vector<Server> servers_;
  std::unique_ptr<runtime::LiveStateWriter> live_;
};

}  // namespace

bool run_experiment(QosRecording& recording,
                    const std::vector<std::unique_ptr<QosService>>& services, CoRunner& co_runner,
                    const ExperimentOptions& options) {
  return Experiment(recording, services, co_runner, options).run();
}

}  // namespace strata::cli
