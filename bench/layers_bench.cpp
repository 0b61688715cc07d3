// The table of layers: the nine convolution shapes of ResNet-50 that issue most of its work, each
// as a session runs it, at the published densities, in turns with oneDNN's dense convolution where
// the build has it. Prints Markdown, and JSON with --json FILE.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/onednn_peer.h"
#include "core/aligned_buffer.h"
#include "core/clock.h"
#include "core/cpu_name.h"
#include "graph/builder.h"
#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/target.h"
#include "runtime/session.h"
#include "sparse/random.h"

namespace strata {
namespace {

using Shape = bench::ConvolutionShape;

constexpr Shape kShapes[] = {
    {64, 256, 1, 1, 56},  {64, 64, 3, 1, 56},    {512, 128, 1, 1, 28},
    {128, 128, 3, 1, 28}, {1024, 256, 1, 1, 14}, {256, 256, 3, 1, 14},
    {512, 2048, 1, 1, 7}, {512, 512, 3, 1, 7},   {3, 64, 7, 2, 112},
};
constexpr double kDensities[] = {0.0538, 0.1338};

template <typename T>
T value_of(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().message());
  return std::move(result).value();
}

void check(const Status& status) {
  if (!status.ok()) throw std::runtime_error(status.message());
}

std::string name_of(const Shape& shape) {
  const std::string kernel = std::to_string(shape.kernel);
  return kernel + "x" + kernel + " " + std::to_string(shape.inputs) + "→" +
         std::to_string(shape.outputs) + "@" + std::to_string(shape.size);
}

/// ReLU, so that the convolution reads what another step wrote, then the convolution.
sparse::NestedModel make_model(const Shape& shape) {
  graph::Model model;
  graph::GraphBuilder builder(model, "main");
  const int64_t size = shape.size * shape.stride;
  const std::string input = builder.input("x", {1, shape.inputs, size, size});
  const std::string conv = builder.conv("conv", builder.relu("relu", input),
                                        {.in_channels = shape.inputs,
                                         .out_channels = shape.outputs,
                                         .kernel = shape.kernel,
                                         .stride = shape.stride,
                                         .padding = shape.kernel / 2});
  const std::string output = builder.relu("end", conv);
  builder.output(output, "y", {1, shape.outputs, shape.size, shape.size});
  builder.finish();
  std::vector<sparse::LevelBudget> levels;
  for (const double density : kDensities)
    levels.push_back({.weights = density, .flops = std::nullopt});
  return value_of(
      sparse::random_nested_model(model, levels, sparse::AllocationMethod::kUniform, 1));
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Median time of the convolution step at each level, then oneDNN's, in microseconds.
std::vector<double> time_layer(const Shape& shape, const sparse::NestedModel& nested, int threads) {
  runtime::SessionOptions options;
  options.threads = threads;
  const auto session = value_of(runtime::Session::create(nested, options));
  size_t elements = 1;
  for (const graph::Dim& dim : session->inputs()[0].shape)
    elements *= static_cast<size_t>(dim.value());
  std::vector<float> input(elements, 0.5F);
  elements = 1;
  for (const graph::Dim& dim : session->outputs()[0].shape)
    elements *= static_cast<size_t>(dim.value());
  std::vector<float> output(elements);
  const runtime::InputView in{input};
  const runtime::OutputView out{output};
  std::vector<int64_t> ns(session->steps().size());
  std::vector<uint8_t> levels(session->steps().size());
  bench::OneDnnConvolution peer(shape, threads);
  std::vector<std::vector<double>> times(std::size(kDensities) + 1);
  constexpr int kRuns = 101;
  constexpr int kBurst = 3;  // who follows another finds the caches full of the other's data
  for (int run = -5; run < kRuns; ++run) {
    for (size_t who = 0; who < times.size(); ++who) {
      double us = 0;
      for (int repeat = 0; repeat < kBurst; ++repeat) {
        if (who + 1 == times.size()) {
          us = peer.run();
          continue;
        }
        std::fill(levels.begin(), levels.end(), static_cast<uint8_t>(who));
        check(session->run_timed({&in, 1}, {&out, 1}, levels, ns));
        us = static_cast<double>(ns[1]) * 1e-3;
      }
      if (run >= 0) times[who].push_back(us);
    }
  }
  std::vector<double> medians;
  medians.reserve(times.size());
  for (const auto& of_level : times) medians.push_back(median(of_level));
  return medians;
}

/// GFLOP/s of one core when every operand of an FMA comes from the first-level cache on a
/// cache-line boundary: the kernel on one row whose input is 16 KiB.
double measure_peak() {
  const auto kernel = kernels::sparse_conv_kernel(value_of(kernels::default_target()));
  constexpr int64_t kTaps = 400;
  const int64_t input_blocks = 256;
  const int64_t tile = kernel.tiles.most;
  auto input = value_of(AlignedBuffer<float>::create(
      static_cast<size_t>((input_blocks + tile) * kernels::kPixelBlock), "input"));
  auto output = value_of(
      AlignedBuffer<float>::create(static_cast<size_t>(tile * kernels::kPixelBlock), "output"));
  const std::vector<float> weights(kTaps, 0.01F);
  std::vector<uint16_t> blocks;
  std::mt19937 random(1);
  for (int64_t i = 0; i < kTaps; ++i) {
    blocks.push_back(static_cast<uint16_t>(random() % static_cast<uint32_t>(input_blocks)));
  }
  const uint32_t run_begin = 0;
  const uint32_t run_end = kTaps;
  const int32_t no_shift = 0;
  const float one = 1;
  kernels::SparseConvArguments arguments;
  arguments.input = input.data();
  arguments.taps.weights = weights.data();
  arguments.taps.blocks = blocks.data();
  arguments.taps.lists[0] = {&run_begin, &run_end};
  arguments.shifts = &no_shift;
  arguments.scale = arguments.shift = &one;
  arguments.output = output.data();
  arguments.output_stride = tile * kernels::kPixelBlock;
  double best = 0;
  for (int repeat = 0; repeat < 200; ++repeat) {
    constexpr int kCalls = 100;
    const int64_t begin = monotonic_ns();
    for (int call = 0; call < kCalls; ++call) kernel.run(arguments, 0, 1, 0, tile);
    const auto ns = static_cast<double>(monotonic_ns() - begin);
    best = std::max(best,
                    2.0 * kTaps * kCalls * static_cast<double>(tile * kernels::kPixelBlock) / ns);
  }
  return best;
}

std::string fixed(double value, int digits) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

nlohmann::json measure(int threads) {
  nlohmann::json document;
  const double peak = measure_peak();
  document["cpu"] = cpu_name();
  document["target"] = kernels::target_name(value_of(kernels::default_target()));
  document["threads"] = threads;
  document["compiler"] = __VERSION__;
  document["peer"] = bench::OneDnnConvolution::version();
  document["peak_gflops_per_core"] = peak;
  document["layers"] = nlohmann::json::array();
  for (const Shape& shape : kShapes) {
    const sparse::NestedModel nested = make_model(shape);
    const std::vector<double> times = time_layer(shape, nested, threads);
    const auto& weight = nested.weights.begin()->second;
    const double dense_us = times.back();
    nlohmann::json layer = {{"name", name_of(shape)}, {"levels", nlohmann::json::array()}};
    if (dense_us > 0) layer["onednn_us"] = dense_us;
    double nonzeros = 0;
    for (size_t level = 0; level < std::size(kDensities); ++level) {
      nonzeros += static_cast<double>(weight.increments[level].positions.size());
      const double flops = 2 * nonzeros * static_cast<double>(shape.size * shape.size);
      const double gflops = flops / times[level] * 1e-3;
      layer["levels"].push_back({{"density", kDensities[level]},
                                 {"us", times[level]},
                                 {"gflops", gflops},
                                 {"share_of_peak", gflops / (peak * threads)}});
    }
    document["layers"].push_back(std::move(layer));
  }
  return document;
}

void print(const nlohmann::json& document) {
  std::cout << document["cpu"].get<std::string>() << ", " << document["target"].get<std::string>()
            << ", " << document["threads"] << " thread(s), peak with operands from L1 "
            << fixed(document["peak_gflops_per_core"], 0) << " GFLOP/s per core\n\n"
            << "| layer | density | µs | GFLOP/s on non-zeros | of the peak | "
            << document["peer"].get<std::string>() << ", dense, µs | times as fast |\n"
            << "|---|---:|---:|---:|---:|---:|---:|\n";
  for (const auto& layer : document["layers"]) {
    const double dense_us = layer.value("onednn_us", 0.0);
    for (const auto& level : layer["levels"]) {
      std::cout << "| " << layer["name"].get<std::string>() << " | "
                << fixed(level["density"].get<double>() * 100, 2) << " % | "
                << fixed(level["us"], 1) << " | " << fixed(level["gflops"], 1) << " | "
                << fixed(level["share_of_peak"].get<double>() * 100, 0) << " % | "
                << (dense_us > 0 ? fixed(dense_us, 1) : "") << " | "
                << (dense_us > 0 ? fixed(dense_us / level["us"].get<double>(), 2) : "") << " |\n";
    }
  }
  std::cout << '\n';
}

int run(int argc, char** argv) {
  int threads = 0;
  std::string file;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--threads") threads = std::atoi(argv[i + 1]);
    if (option == "--json") file = argv[i + 1];
  }
  nlohmann::json tables = nlohmann::json::array();
  const int most =
      threads > 0 ? threads : static_cast<int>(std::min(2U, std::thread::hardware_concurrency()));
  for (int t = threads > 0 ? threads : 1; t <= most; ++t) {
    tables.push_back(measure(t));
    print(tables.back());
  }
  if (!file.empty()) std::ofstream(file) << tables.dump(1) << '\n';
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  try {
    return strata::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "strata_bench_layers: " << error.what() << '\n';
    return 1;
  }
}
