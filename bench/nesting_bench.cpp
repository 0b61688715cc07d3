// What nesting costs: every step of every level of a file, and of the same level stored alone, run
// in turns. A step is so short that the lower quartile of its times is one that nobody disturbed,
// so the sums can be trusted on a machine that others use, where medians of whole runs cannot.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "format/reader.h"
#include "format/writer.h"
#include "runtime/random_tensors.h"
#include "runtime/session.h"
#include "sparse/nested_model.h"
#include "train/error.h"

namespace strata {
namespace {

struct Contender {
  runtime::Session* session = nullptr;
  int level = 0;
  std::vector<std::vector<int64_t>> step_ns;  ///< [step][run]

  [[nodiscard]] double lower_quartile_us(size_t step) {
    std::vector<int64_t>& ns = step_ns[step];
    const auto quartile = ns.begin() + static_cast<std::ptrdiff_t>(ns.size() / 4);
    std::nth_element(ns.begin(), quartile, ns.end());
    return static_cast<double>(*quartile) * 1e-3;
  }
};

int run(const std::string& path, int threads, int turns) {
  const auto reader = value_or_throw(format::Reader::open(path));
  const sparse::NestedModel nested = value_or_throw(reader->read_all());
  runtime::SessionOptions options;
  options.threads = threads;
  std::vector<std::unique_ptr<runtime::Session>> sessions;
  std::vector<Contender> contenders;
  contenders.reserve(2 * static_cast<size_t>(nested.level_count));
  sessions.push_back(value_or_throw(runtime::Session::create(reader, options)));
  const runtime::Session& session = *sessions.front();
  for (int level = 0; level < nested.level_count; ++level) {
    contenders.push_back({sessions.front().get(), level, {}});
  }
  for (int level = 0; level < nested.level_count; ++level) {
    const auto file = value_or_throw(
        format::encode(value_or_throw(sparse::level_alone(nested, level)), {reader->value_type()}));
    sessions.push_back(value_or_throw(runtime::Session::create(
        value_or_throw(format::Reader::from_bytes(file, "alone")), options)));
    contenders.push_back({sessions.back().get(), 0, {}});
  }
  const runtime::RandomTensors data(session);

  const size_t steps = session.steps().size();
  std::vector<int64_t> ns(steps);
  for (Contender& contender : contenders) contender.step_ns.resize(steps);
  for (int turn = 0; turn < turns; ++turn) {
    for (size_t i = 0; i < contenders.size(); ++i) {
      Contender& now = contenders[(i + static_cast<size_t>(turn)) % contenders.size()];
      const std::vector<uint8_t> route(steps, static_cast<uint8_t>(now.level));
      for (int repeat = 0; repeat < 2; ++repeat) {  // the first brings the weights into the cache
        const Status status = now.session->run_timed(data.inputs(), data.outputs(), route, ns);
        if (status.ok()) continue;
        std::fprintf(stderr, "strata_bench_nesting: %s\n", status.message().c_str());
        return 1;
      }
      for (size_t step = 0; step < steps; ++step) now.step_ns[step].push_back(ns[step]);
    }
  }

  std::printf(
      "packed weights %.2f times the file\n\n",
      static_cast<double>(session.memory().weights) / static_cast<double>(reader->file_bytes()));
  std::printf("| level | steps | nested us | alone us | ratio |\n|---|---|---:|---:|---:|\n");
  for (int level = 0; level < nested.level_count; ++level) {
    struct Times {
      double nested = 0, alone = 0;
    };
    std::map<std::string, Times> kinds;
    Times all;
    const auto k = static_cast<size_t>(level);
    for (size_t step = 0; step < steps; ++step) {
      const double in = contenders[k].lower_quartile_us(step);
      const double out = contenders[k + contenders.size() / 2].lower_quartile_us(step);
      for (Times* times : {&kinds[session.steps()[step].kind], &all}) {
        times->nested += in;
        times->alone += out;
      }
    }
    kinds["all"] = all;
    for (const auto& [kind, times] : kinds) {
      std::printf("| %d | %s | %.0f | %.0f | %.3f |\n", level, kind.c_str(), times.nested,
                  times.alone, times.nested / times.alone);
    }
  }
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: strata_bench_nesting FILE.strata [THREADS] [TURNS]\n");
    return 2;
  }
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const int turns = argc > 3 ? std::max(1, std::atoi(argv[3])) : 40;
  try {
    return strata::run(argv[1], threads, turns);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "strata_bench_nesting: %s\n", error.what());
    return 1;
  }
}
