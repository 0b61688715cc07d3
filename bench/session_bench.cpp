// ResNet-50 at 224x224 on two threads: every level of a nested model at the published densities,
// and the same level stored alone, which shows what nesting costs.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "format/reader.h"
#include "format/writer.h"
#include "models/resnet.h"
#include "runtime/session.h"
#include "sparse/random.h"

namespace strata {
namespace {

const sparse::NestedModel& published_resnet50() {
  static const sparse::NestedModel nested = [] {
    auto config = models::resnet_config("resnet50").value();
    config.keep_ends_dense = false;
    const graph::Model model = models::resnet(config).value();
    const std::vector<sparse::LevelBudget> levels = {{.weights = 0.0538, .flops = 0.0447},
                                                     {.weights = 0.1338, .flops = 0.1497}};
    return sparse::random_nested_model(model, levels, sparse::AllocationMethod::kErdosRenyiKernel,
                                       1)
        .value();
  }();
  return nested;
}

void run_level(benchmark::State& state, const sparse::NestedModel& nested, int level) {
  auto session = runtime::Session::create(
      nested, {.threads = static_cast<int>(state.range(0)), .graph = {}, .bindings = {}});
  if (!session.ok()) return state.SkipWithError(session.status().message().c_str());
  const std::vector<float> image(size_t{3} * 224 * 224, 0.5F);
  std::vector<float> logits(1000);
  const runtime::InputView input{image};
  const runtime::OutputView output{logits};
  for (auto _ : state) {
    if (!(*session)->run({&input, 1}, {&output, 1}, level).ok()) return state.SkipWithError("run");
  }
}

void BM_ResNet50_Nested(benchmark::State& state) {
  run_level(state, published_resnet50(), static_cast<int>(state.range(1)));
}
void BM_ResNet50_Alone(benchmark::State& state) {
  const auto level = static_cast<int>(state.range(1));
  run_level(state, sparse::level_alone(published_resnet50(), level).value(), 0);
}

/// From a file on disk to the first answer: map, check, decode, plan, pack, run.
void BM_ResNet50_FirstInference(benchmark::State& state) {
  const std::string path =
      (std::filesystem::temp_directory_path() / "strata_first_inference.strata").string();
  sparse::NestedModel folded = published_resnet50();
  if (!sparse::fold_normalisation(folded).ok()) return state.SkipWithError("fold");
  const Status written = format::write(path, folded);
  if (!written.ok()) return state.SkipWithError(written.message().c_str());
  const std::vector<float> image(size_t{3} * 224 * 224, 0.5F);
  std::vector<float> logits(1000);
  const runtime::InputView input{image};
  const runtime::OutputView output{logits};
  runtime::SessionOptions options;
  options.threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    auto reader = format::Reader::open(path);
    if (!reader.ok()) return state.SkipWithError(reader.status().message().c_str());
    auto session = runtime::Session::create(*reader, options);
    if (!session.ok()) return state.SkipWithError(session.status().message().c_str());
    if (!(*session)->run({&input, 1}, {&output, 1}, 1).ok()) return state.SkipWithError("run");
  }
  std::filesystem::remove(path);
}
BENCHMARK(BM_ResNet50_FirstInference)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

/// What a busy machine disturbs least.
double least(const std::vector<double>& times) {
  return *std::min_element(times.begin(), times.end());
}

#define STRATA_LEVELS(NAME)             \
  BENCHMARK(NAME)                       \
      ->ArgNames({"threads", "level"})  \
      ->ArgsProduct({{1, 2}, {0, 1}})   \
      ->Unit(benchmark::kMillisecond)   \
      ->ComputeStatistics("min", least) \
      ->UseRealTime()
STRATA_LEVELS(BM_ResNet50_Nested);
STRATA_LEVELS(BM_ResNet50_Alone);

}  // namespace
}  // namespace strata
