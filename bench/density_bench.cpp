// Density against speed-up: layers of every kind with 1 % to 60 % of their weights, walked as
// sparse, beside our dense kernel and, where it is built in, libtorch's dense one, all in turns.
// From the density where the sparse time passes the dense one, levels run with the dense kernel by
// themselves. Prints Markdown; JSON with --json FILE, for bench/density_chart.py.
//
//   strata_bench_density [--threads N] [--rounds N] [--only TEXT] [--json FILE]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/cpu_name.h"
#include "graph/builder.h"
#include "kernels/target.h"
#include "runtime/session.h"
#include "sparse/random.h"
#include "train/error.h"
#ifdef STRATA_BENCH_LIBTORCH
#include "train/torch/dense_runner.h"
#endif

namespace strata {
namespace {

constexpr double kPercents[] = {1, 2, 5, 10, 20, 30, 40, 50, 60};

/// A convolution, or with `size` 0 a fully connected layer over a batch.
struct Layer {
  const char* kind;
  int64_t inputs, outputs, kernel, stride, group;
  int64_t size;  ///< of the output
  int64_t batch;
};

constexpr Layer kLayers[] = {
    {"1x1 at 56x56", 64, 256, 1, 1, 1, 56, 1},
    {"1x1 at 28x28", 512, 128, 1, 1, 1, 28, 1},
    {"1x1 at 14x14", 1024, 256, 1, 1, 1, 14, 1},
    {"1x1 at 7x7", 512, 2048, 1, 1, 1, 7, 1},
    {"3x3 at 56x56", 64, 64, 3, 1, 1, 56, 1},
    {"3x3 at 28x28", 128, 128, 3, 1, 1, 28, 1},
    {"3x3 at 14x14", 256, 256, 3, 1, 1, 14, 1},
    {"3x3 at 7x7", 512, 512, 3, 1, 1, 7, 1},
    {"3x3, stride 2", 128, 128, 3, 2, 1, 28, 1},
    {"7x7, stride 2", 3, 64, 7, 2, 1, 112, 1},
    {"3x3, 32 groups", 256, 256, 3, 1, 32, 28, 1},
    {"3x3, depthwise", 256, 256, 3, 1, 256, 28, 1},
    {"fully connected", 2048, 4096, 1, 1, 1, 0, 1},
    {"fully connected", 256, 4000, 1, 1, 1, 0, 1},
    {"fully connected", 512, 512, 1, 1, 1, 0, 1},
    {"fully connected, 3 vectors", 512, 512, 1, 1, 1, 0, 3},
    {"fully connected, 3 vectors", 2048, 4096, 1, 1, 1, 0, 3},
    {"fully connected, batch 16", 2048, 4096, 1, 1, 1, 0, 16},
};

/// The layer alone, or between ReLUs, so that it reads and writes what a step in a network would.
graph::Model model_of(const Layer& layer, bool alone) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  if (layer.size == 0) {
    std::string value = builder.input("x", {layer.batch, layer.inputs});
    if (!alone) value = builder.relu("begin", value);
    value = builder.gemm("layer", value, layer.inputs, layer.outputs);
    builder.output(value, "y", {layer.batch, layer.outputs});
  } else {
    const int64_t size = layer.size * layer.stride;
    std::string value = builder.input("x", {layer.batch, layer.inputs, size, size});
    if (!alone) value = builder.relu("begin", value);
    value = builder.conv("layer", value,
                         {.in_channels = layer.inputs,
                          .out_channels = layer.outputs,
                          .kernel = layer.kernel,
                          .stride = layer.stride,
                          .padding = layer.kernel / 2,
                          .group = layer.group});
    if (!alone) value = builder.relu("end", value);
    builder.output(value, "y", {layer.batch, layer.outputs, layer.size, layer.size});
  }
  builder.finish();
  return model;
}

sparse::NestedModel random_model(const graph::Model& model, double density) {
  const sparse::LevelBudget budget{.weights = density, .flops = std::nullopt};
  return value_or_throw(
      sparse::random_nested_model(model, {&budget, 1}, sparse::AllocationMethod::kUniform, 1));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

std::vector<float> random_input(size_t count) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

/// Times one step of a session.
class Runner {
 public:
  Runner(const Layer& layer, double density, std::optional<double> dense_from, int threads) {
    runtime::SessionOptions options;
    options.threads = threads;
    options.dense_from = dense_from;
    session_ = value_or_throw(
        runtime::Session::create(random_model(model_of(layer, false), density), options));
    input_ = random_input(elements(session_->inputs()[0]));
    output_.resize(elements(session_->outputs()[0]));
    ns_.resize(session_->steps().size());
  }
  /// In microseconds.
  double run() {
    const runtime::InputView in{input_};
    const runtime::OutputView out{output_};
    const std::vector<uint8_t> levels(ns_.size(), 0);
    const Status status = session_->run_timed({&in, 1}, {&out, 1}, levels, ns_);
    if (!status.ok()) throw std::runtime_error(status.message());
    return static_cast<double>(ns_[1]) * 1e-3;
  }
  [[nodiscard]] bool dense() const { return session_->steps()[1].first_dense_level == 0; }

 private:
  static size_t elements(const graph::ValueInfo& info) {
    size_t count = 1;
    for (const graph::Dim& dim : info.shape) count *= static_cast<size_t>(dim.value());
    return count;
  }

  std::unique_ptr<runtime::Session> session_;
  std::vector<float> input_, output_;
  std::vector<int64_t> ns_;
};

/// libtorch's dense time of the layer alone; 0 without libtorch.
class Peer {
 public:
#ifdef STRATA_BENCH_LIBTORCH
  Peer(const Layer& layer, int threads)
      : batch_(layer.batch),
        torch_(open(layer, threads)),
        input_(random_input(static_cast<size_t>(
            layer.inputs * layer.batch *
            (layer.size == 0 ? 1 : layer.size * layer.stride * layer.size * layer.stride)))),
        output_(static_cast<size_t>(layer.outputs * layer.batch *
                                    (layer.size == 0 ? 1 : layer.size * layer.size))) {}
  double run() {
    const int64_t begin = monotonic_ns();
    torch_.run(input_, batch_, output_);
    return static_cast<double>(monotonic_ns() - begin) * 1e-3;
  }
  [[nodiscard]] std::string name() const { return torch_.description(); }

 private:
  /// Its blocked layout has no kernel for groups.
  static train::TorchModel open(const Layer& layer, int threads) {
    using Layout = train::TorchModelOptions::Layout;
    return train::TorchModel(
        random_model(model_of(layer, true), 1),
        {.threads = threads, .layout = layer.group > 1 ? Layout::kPlain : Layout::kFastest});
  }

  int64_t batch_;
  train::TorchModel torch_;
  std::vector<float> input_, output_;
#else
  Peer(const Layer& /*layer*/, int /*threads*/) {}
  double run() { return 0; }
  [[nodiscard]] std::string name() const { return "none"; }
#endif
};

nlohmann::json measure(const Layer& layer, int threads, int rounds) {
  std::vector<Runner> runners;
  for (const double percent : kPercents) runners.emplace_back(layer, percent / 100, 2, threads);
  const size_t full = runners.size();
  runners.emplace_back(layer, 1, 2, threads);
  const size_t dense = runners.size();
  runners.emplace_back(layer, 1, 0, threads);
  Peer peer(layer, threads);
  std::vector<std::vector<double>> times(runners.size() + 1);
  // Who runs after another finds the caches full of the other's data: the first run does not count.
  constexpr int kBurst = 4;
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i <= runners.size(); ++i) {
      for (int run = 0; run < kBurst; ++run) {
        const double us = i < runners.size() ? runners[i].run() : peer.run();
        if (run > 0) times[i].push_back(us);
      }
    }
  }
  const double dense_us = median(times[dense]);
  const double peer_us = median(times.back());
  nlohmann::json document = {{"kind", layer.kind},
                             {"channels", {layer.inputs, layer.outputs}},
                             {"dense_us", dense_us},
                             {"sparse_at_100_us", median(times[full])},
                             {"libtorch_us", peer_us},
                             {"libtorch", peer.name()},
                             {"densities", nlohmann::json::array()}};
  for (size_t i = 0; i < std::size(kPercents); ++i) {
    const double us = median(times[i]);
    document["densities"].push_back(
        {{"percent", kPercents[i]},
         {"us", us},
         {"over_dense", dense_us / us},
         {"over_libtorch", peer_us / us},
         {"runs_dense", Runner(layer, kPercents[i] / 100, {}, 1).dense()}});
  }
  return document;
}

/// The density at which the sparse time reaches the dense one, by the line between neighbours.
std::string crossover(const nlohmann::json& layer) {
  const double dense = layer["dense_us"];
  double before = 0;
  double before_us = 0;
  std::vector<std::pair<double, double>> points;
  for (const auto& point : layer["densities"]) points.emplace_back(point["percent"], point["us"]);
  points.emplace_back(100, layer["sparse_at_100_us"]);
  for (const auto& [percent, us] : points) {
    if (us >= dense) {
      const double share = us == before_us ? 0 : (dense - before_us) / (us - before_us);
      return std::to_string(std::lround(before + share * (percent - before))) + " %";
    }
    before = percent;
    before_us = us;
  }
  return "none";
}

void print(const nlohmann::json& document) {
  std::printf("%s, %s, %d thread(s), %s\n\n| layer | dense, µs | libtorch, µs |",
              document["cpu"].get<std::string>().c_str(),
              document["target"].get<std::string>().c_str(), document["threads"].get<int>(),
              document["layers"][0]["libtorch"].get<std::string>().c_str());
  for (const double percent : kPercents) std::printf(" %.0f %% |", percent);
  std::printf(" crossover |\n|---|---:|---:|");
  for (size_t i = 0; i <= std::size(kPercents); ++i) std::printf("---:|");
  std::printf("\n");
  for (const auto& layer : document["layers"]) {
    std::printf("| %s, %d→%d | %.0f | %.0f |", layer["kind"].get<std::string>().c_str(),
                layer["channels"][0].get<int>(), layer["channels"][1].get<int>(),
                layer["dense_us"].get<double>(), layer["libtorch_us"].get<double>());
    for (const auto& point : layer["densities"]) {
      std::printf(point["runs_dense"] ? " (%.2f) |" : " %.2f |", point["over_dense"].get<double>());
    }
    std::printf(" %s |\n", crossover(layer).c_str());
  }
}

int run(int argc, char** argv) {
  int threads = 1;
  int rounds = 15;
  std::string file;
  std::string only;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--threads") threads = std::atoi(argv[i + 1]);
    if (option == "--rounds") rounds = std::atoi(argv[i + 1]);
    if (option == "--json") file = argv[i + 1];
    if (option == "--only") only = argv[i + 1];
  }
  nlohmann::json document = {
      {"cpu", cpu_name()},
      {"target", kernels::target_name(value_or_throw(kernels::default_target()))},
      {"threads", threads},
      {"compiler", __VERSION__},
      {"layers", nlohmann::json::array()}};
  for (const Layer& layer : kLayers) {
    if (std::string(layer.kind).find(only) == std::string::npos) continue;
    document["layers"].push_back(measure(layer, threads, rounds));
  }
  if (document["layers"].empty()) throw std::runtime_error("no layer is called '" + only + "'");
  print(document);
  if (!file.empty()) std::ofstream(file) << document.dump(1) << '\n';
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  try {
    return strata::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "strata_bench_density: " << error.what() << '\n';
    return 1;
  }
}
