// Layers whose weights stream from memory: a step of a stack of eight LSTM layers as in GNMT, and a
// stack of fully connected layers, for 1 to 8 vectors. Every level and dense libtorch in turns,
// beside the bandwidth that reading memory without doing anything else reaches. One thread is timed
// by the processor time it takes, which other programs change little. Prints Markdown.
//
//   strata_bench_matrix_vector [THREADS [ROUNDS [f32|f16|int8 [BATCH]]]]
//
// The weights are what a file of such values gives; BATCH leaves the other sizes and libtorch out.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <time.h>

#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/cpu_name.h"
#include "core/thread_pool.h"
#include "format/reader.h"
#include "format/writer.h"
#include "graph/builder.h"
#include "kernels/target.h"
#include "runtime/session.h"
#include "sparse/random.h"
#include "train/error.h"
#include "train/torch/dense_runner.h"

namespace strata {
namespace {

constexpr int64_t kLayers = 8;
constexpr int64_t kHidden = 1024;
constexpr int64_t kNarrow = 2048;
constexpr int64_t kWide = 4096;
constexpr double kDensities[] = {0.0538, 0.1338};

graph::Model lstm_stack() {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  std::string x = builder.input("x", {1, "batch", kHidden});
  builder.input("h", {1, "batch", kHidden});
  builder.input("c", {1, "batch", kHidden});
  for (int64_t i = 0; i < kLayers; ++i) {
    x = builder
            .lstm("layer" + std::to_string(i), x,
                  {.in_features = kHidden, .hidden = kHidden, .initial_h = "h", .initial_c = "c"})
            .h;
  }
  builder.output(x, "y", {1, "batch", kHidden});
  builder.finish();
  return model;
}

graph::Model fully_connected_stack() {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  std::string x = builder.input("x", {"batch", kNarrow});
  for (int64_t i = 0; i < kLayers; ++i) {
    const bool widens = i % 2 == 0;
    const std::string name = "layer" + std::to_string(i);
    x = builder.gemm(name, x, widens ? kNarrow : kWide, widens ? kWide : kNarrow);
    x = builder.relu("relu" + std::to_string(i), x);
  }
  builder.output(x, "y", {"batch", kNarrow});
  builder.finish();
  return model;
}

sparse::NestedModel nested_of(const graph::Model& model, format::ValueType values) {
  std::vector<sparse::LevelBudget> levels;
  for (const double density : kDensities) levels.push_back({.weights = density, .flops = {}});
  sparse::NestedModel nested = value_or_throw(
      sparse::random_nested_model(model, levels, sparse::AllocationMethod::kUniform, 1));
  for (auto& [name, tensor] : nested.weights) {
    float most = 0;
    for (const sparse::Increment& increment : tensor.increments) {
      for (const float value : increment.values) most = std::max(most, std::fabs(value));
    }
    // Trained weights that are kept are not near zero: what would round to it keeps its place.
    const float least = most / 127;
    for (sparse::Increment& increment : tensor.increments) {
      for (float& value : increment.values) {
        value = std::copysign(std::max(std::fabs(value), least), value);
      }
    }
  }
  const std::vector<uint8_t> file = value_or_throw(format::encode(nested, {.values = values}));
  return value_or_throw(value_or_throw(format::Reader::from_bytes(file))->read_all());
}

/// Of times that a busy machine now and then stretches.
double lower_quartile(std::vector<double> values) {
  const auto quartile = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 4);
  std::nth_element(values.begin(), quartile, values.end());
  return *quartile;
}

double now(bool processor_time) {
  if (!processor_time) return static_cast<double>(monotonic_ns()) * 1e-9;
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

template <typename Body>
double seconds(int threads, const Body& body) {
  const double begin = now(threads == 1);
  body();
  return now(threads == 1) - begin;
}

/// A sum over many words, by the widest vectors of the machine: wider ones read faster. So many
/// sums that no addition waits for the one before.
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
uint64_t
read_all(const uint64_t* words, size_t count) {
  constexpr size_t kSums = 32;
  std::array<uint64_t, kSums> sums{};
  for (size_t i = 0; i + kSums <= count; i += kSums) {
    for (size_t lane = 0; lane < kSums; ++lane) sums[lane] += words[i + lane];
  }
  return std::accumulate(sums.begin(), sums.end(), uint64_t{0});
}

/// Bytes per second that all threads read from memory together.
double peak_bandwidth(int threads) {
  constexpr size_t kWords = size_t{64} << 20;
  constexpr int kParts = 128;
  constexpr int kPasses = 4;
  constexpr size_t kPart = kWords / kParts;
  auto buffer = value_or_throw(AlignedBuffer<uint64_t>::create(kWords, "reading"));
  const auto pool = value_or_throw(ThreadPool::create(threads));
  std::vector<double> times(size_t{kPasses} * kParts);
  for (int pass = 0; pass < kPasses; ++pass) {
    pool->parallel_for(kParts, [&](int part, int /*thread*/) {
      uint64_t sum = 0;
      const double time = seconds(threads, [&] {
        sum = read_all(buffer.data() + kPart * static_cast<size_t>(part), kPart);
      });
      if (sum != 0) std::abort();  // nobody may leave the reading out
      times[static_cast<size_t>(pass) * kParts + static_cast<size_t>(part)] = time;
    });
  }
  return threads * static_cast<double>(kPart * sizeof(uint64_t)) / lower_quartile(times);
}

/// One size of batch: the session's levels and libtorch, in turns.
void compare(const char* name, const sparse::NestedModel& nested, int64_t batch, int threads,
             int rounds, double peak, bool beside_libtorch) {
  runtime::SessionOptions options;
  options.threads = threads;
  options.bindings["batch"] = batch;
  const auto session = value_or_throw(runtime::Session::create(nested, options));
  std::optional<train::TorchModel> torch;
  if (beside_libtorch) torch.emplace(nested, train::TorchModelOptions{.threads = threads});
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> inputs;
  std::vector<runtime::InputView> views;
  std::vector<train::TorchInput> torch_inputs;
  for (const graph::ValueInfo& info : session->inputs()) {
    std::vector<int64_t> shape;
    int64_t elements = 1;
    for (const graph::Dim& dim : info.shape) {
      shape.push_back(dim.value());
      elements *= dim.value();
    }
    std::vector<float>& input = inputs.emplace_back(static_cast<size_t>(elements));
    for (float& value : input) value = normal(random);
    torch_inputs.push_back({input.data(), graph::DataType::kFloat32, shape});
  }
  views.assign(inputs.begin(), inputs.end());
  const graph::Shape& shape = session->outputs()[0].shape;
  std::vector<float> output(static_cast<size_t>(batch * shape.back().value()));
  std::vector<float> torch_output(output.size());
  const runtime::OutputView view(output);

  const int levels = nested.level_count;
  std::vector<std::vector<double>> times(static_cast<size_t>(levels) + 1);
  for (int round = -2; round < rounds; ++round) {
    for (int level = 0; level < levels; ++level) {
      const double time = seconds(threads, [&] {
        throw_if_error(session->run(views, {&view, 1}, level));
      });
      if (round >= 0) times[static_cast<size_t>(level)].push_back(time);
    }
    if (!torch) continue;
    const double time = seconds(threads, [&] { torch->run(torch_inputs, torch_output); });
    if (round >= 0) times.back().push_back(time);
  }
  const double dense = torch ? lower_quartile(times.back()) : 0;
  for (int level = levels; level-- > 0;) {
    throw_if_error(session->drop_levels_above(level));
    int64_t nonzeros = 0;
    for (const auto& [weight, tensor] : nested.weights) nonzeros += tensor.nonzeros(level);
    const auto bytes = static_cast<double>(session->memory().weights);
    const double time = lower_quartile(times[static_cast<size_t>(level)]);
    std::printf("| %s | %lld | %.2f %% | %.0f | %.2f | %.1f | %.0f %% |", name,
                static_cast<long long>(batch), 100 * kDensities[level], time * 1e6,
                bytes / static_cast<double>(nonzeros), bytes / time * 1e-9,
                100 * bytes / time / peak);
    if (torch) std::printf(" %.0f | **%.1f** |", dense * 1e6, dense / time);
    std::printf("\n");
  }
}

int run(int threads, int rounds, format::ValueType values, int64_t only_batch) {
  const double peak = peak_bandwidth(threads);
  std::printf("%s, %d threads, target %s, %s; reading memory alone: %.1f GB/s; libtorch fp32\n\n",
              cpu_name().c_str(), threads,
              std::string(kernels::target_name(value_or_throw(kernels::default_target()))).c_str(),
              to_string(values), peak * 1e-9);
  const bool beside_libtorch = only_batch == 0;
  std::printf(
      "| layers | batch | weights | µs | bytes per non-zero | GB/s | of reading alone |%s\n"
      "|---|---:|---:|---:|---:|---:|---:|%s\n",
      beside_libtorch ? " libtorch, µs | times as fast |" : "",
      beside_libtorch ? "---:|---:|" : "");
  const std::pair<const char*, graph::Model> stacks[] = {
      {"8 LSTM 1024, one step", lstm_stack()},
      {"8 fully connected 2048/4096", fully_connected_stack()}};
  for (const auto& [name, model] : stacks) {
    const sparse::NestedModel nested = nested_of(model, values);
    for (const int64_t batch : {1, 2, 4, 8}) {
      if (only_batch != 0 && batch != only_batch) continue;
      compare(name, nested, batch, threads, rounds, peak, beside_libtorch);
    }
  }
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  try {
    using strata::format::ValueType;
    const std::string values = argc > 3 ? argv[3] : "f32";
    return strata::run(argc > 1 ? std::atoi(argv[1]) : 1, argc > 2 ? std::atoi(argv[2]) : 20,
                       values == "int8"  ? ValueType::kInt8
                       : values == "f16" ? ValueType::kFloat16
                                         : ValueType::kFloat32,
                       argc > 4 ? std::atoi(argv[4]) : 0);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "strata_bench_matrix_vector: %s\n", error.what());
    return 1;
  }
}
