// The sparse convolution kernel on the nine convolution shapes of ResNet-50's stages, one thread,
// on every target of this CPU. GFLOP/s count the non-zeros' multiply-adds, two operations each.
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/aligned_buffer.h"
#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/geometry.h"
#include "kernels/sparse_conv/sparse_conv.h"
#include "kernels/sparse_gemm/sparse_gemm.h"

namespace strata::kernels {
namespace {

struct Shape {
  int64_t inputs, outputs, kernel, size;
};

constexpr Shape kShapes[] = {
    {64, 64, 3, 56},   {64, 256, 1, 56},   {256, 64, 1, 56}, {128, 128, 3, 28}, {512, 128, 1, 28},
    {256, 256, 3, 14}, {1024, 256, 1, 14}, {512, 512, 3, 7}, {2048, 512, 1, 7},
};
constexpr double kDensity = 0.1;

void BM_SparseConv(benchmark::State& state, Target target, Shape shape) {
  Window window;
  window.kernel = {shape.kernel, shape.kernel};
  window.pad_begin = window.pad_end = {shape.kernel / 2, shape.kernel / 2};
  const ConvGeometry geometry(window, shape.size, shape.size, shape.size, shape.size);
  PlaneLayout in = geometry.phase_layout(1, shape.inputs, geometry.min_pitch());
  PlaneLayout out = in;
  out.channels = shape.outputs;
  lay_out_planes(out, 0, 0);

  std::vector<Tap> taps;
  std::vector<uint32_t> row_begin = {0};
  std::mt19937 random(1);
  for (int64_t row = 0; row < shape.outputs; ++row) {
    for (int64_t channel = 0; channel < shape.inputs; ++channel) {
      for (int64_t y = 0; y < shape.kernel; ++y) {
        for (int64_t x = 0; x < shape.kernel; ++x) {
          if (std::uniform_real_distribution<>()(random) >= kDensity) continue;
          taps.push_back({0.01F, static_cast<int32_t>(geometry.tap_offset(in, channel, y, x))});
        }
      }
    }
    row_begin.push_back(static_cast<uint32_t>(taps.size()));
  }
  const std::vector<float> scale(static_cast<size_t>(shape.outputs), 1.0F);
  const std::vector<uint32_t> mask(static_cast<size_t>(out.blocks() * kPixelBlock), ~0U);
  auto input = AlignedBuffer<float>::create(static_cast<size_t>(in.image_stride + 1024), "input");
  auto output =
      AlignedBuffer<float>::create(static_cast<size_t>(out.image_stride + 1024), "output");
  if (!input.ok() || !output.ok()) return state.SkipWithError("no memory");

  SparseConvArguments arguments;
  arguments.input = input->data() + in.plane(0, 0);
  const TapIncrement increment{taps.data(), row_begin.data()};
  arguments.increments = &increment;
  arguments.increment_count = 1;
  arguments.scale = arguments.shift = scale.data();
  arguments.output = output->data() + out.plane(0, 0);
  arguments.output_stride = out.plane_stride;
  arguments.mask = mask.data();
  arguments.relu = true;
  const SparseConvKernel kernel = sparse_conv_kernel(target);
  const int64_t blocks = out.blocks();
  const int64_t tiles = (blocks + kernel.tile_blocks - 1) / kernel.tile_blocks;
  const int64_t tile = (blocks + tiles - 1) / tiles;
  for (auto _ : state) {
    for (int64_t block = 0; block < blocks; block += tile) {
      kernel.run(arguments, 0, shape.outputs, block, std::min(block + tile, blocks));
    }
  }
  state.counters["GFLOP/s"] = benchmark::Counter(2e-9 * static_cast<double>(taps.size()) *
                                                     static_cast<double>(shape.size * shape.size) *
                                                     static_cast<double>(state.iterations()),
                                                 benchmark::Counter::kIsRate);
}

void BM_SparseGemv(benchmark::State& state, Target target, double density) {
  constexpr int64_t kInputs = 2048;
  constexpr int64_t kOutputs = 1000;
  std::vector<Tap> taps;
  std::vector<uint32_t> row_begin = {0};
  std::mt19937 random(1);
  for (int64_t row = 0; row < kOutputs; ++row) {
    for (int64_t i = 0; i < kInputs; ++i) {
      if (std::uniform_real_distribution<>()(random) >= density) continue;
      taps.push_back({0.01F, static_cast<int32_t>(i * 4)});
    }
    row_begin.push_back(static_cast<uint32_t>(taps.size()));
  }
  const std::vector<uint32_t> dense(kOutputs, density < 1 ? 0 : kInputs);
  const std::vector<float> scale(kOutputs, 1.0F);
  const std::vector<float> input(kInputs, 1.0F);
  std::vector<float> output(kOutputs);
  const TapIncrement increment{taps.data(), row_begin.data()};
  const SparseGemvArguments arguments{input.data(), &increment,    1,    dense.data(), scale.data(),
                                      scale.data(), output.data(), false};
  const SparseGemvFunction gemv = sparse_gemv_kernel(target);
  for (auto _ : state) {
    gemv(arguments, 0, kOutputs);
    benchmark::ClobberMemory();
  }
}

const bool registered = [] {
  for (const Target target : supported_targets()) {
    const std::string name(target_name(target));
    for (const Shape& shape : kShapes) {
      std::ostringstream title;
      title << "BM_SparseConv/" << name << '/' << shape.inputs << "to" << shape.outputs << '_'
            << shape.kernel << 'x' << shape.kernel << "_at" << shape.size;
      benchmark::RegisterBenchmark(title.str().c_str(), BM_SparseConv, target, shape);
    }
    benchmark::RegisterBenchmark(("BM_SparseGemv/" + name + "/10pct").c_str(), BM_SparseGemv,
                                 target, 0.1);
    benchmark::RegisterBenchmark(("BM_SparseGemv/" + name + "/dense").c_str(), BM_SparseGemv,
                                 target, 1.0);
  }
  return true;
}();

}  // namespace
}  // namespace strata::kernels
