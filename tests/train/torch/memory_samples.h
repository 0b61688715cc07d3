// Samples made in memory, and one-shot compression of a network on them as `compress` does it.
#pragma once

#include <cstring>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "sparse/allocation.h"
#include "train/data/samples.h"
#include "train/torch/one_shot.h"
#include "train/torch/sensitivity.h"

namespace strata::testing {

/// Float samples of one or more inputs, [count, shape…] each.
class MemorySamples final : public data::Samples {
 public:
  explicit MemorySamples(int64_t count, std::vector<int64_t> labels = {}) {
    name_ = "memory";
    count_ = count;
    labels_ = std::move(labels);
  }
  MemorySamples(const MemorySamples& other) : MemorySamples(other.count_, other.labels_) {
    inputs_ = other.inputs_;
    values_ = other.values_;
  }
  void add(const std::string& input, std::vector<int64_t> shape, std::vector<float> values) {
    inputs_.push_back({input, graph::DataType::kFloat32, std::move(shape)});
    values_.push_back(std::move(values));
  }
  [[nodiscard]] const std::vector<float>& values(size_t input = 0) const { return values_[input]; }

  void read(std::span<const int64_t> indices, size_t input, void* out) const override {
    const size_t bytes = inputs_[input].bytes();
    auto* to = static_cast<uint8_t*>(out);
    for (const int64_t index : indices) {
      std::memcpy(to, values_[input].data() + static_cast<size_t>(index) * (bytes / 4), bytes);
      to += bytes;
    }
  }

 private:
  std::vector<std::vector<float>> values_;
};

inline std::vector<float> random_floats(int64_t count, uint32_t seed = 7) {
  std::vector<float> values;
  uint32_t state = seed;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    values.push_back(static_cast<float>(state >> 8) / static_cast<float>(1 << 24) - 0.5F);
  }
  return values;
}

inline MemorySamples random_inputs(const std::vector<int64_t>& shape, int64_t count) {
  int64_t elements = count;
  for (const int64_t size : shape) elements *= size;
  MemorySamples samples(count);
  samples.add("x", shape, random_floats(elements));
  return samples;
}

inline train::Calibration all_of(const data::Samples& samples) {
  train::Calibration calibration{&samples,
                                 std::vector<int64_t>(static_cast<size_t>(samples.count()))};
  std::iota(calibration.chosen.begin(), calibration.chosen.end(), int64_t{0});
  return calibration;
}

/// Counts by sensitivity for shares of the weights, or of the multiply-adds.
inline std::vector<std::vector<int64_t>> counts_for(const sparse::NestedModel& dense,
                                                    const train::Calibration& calibration,
                                                    const std::vector<double>& shares,
                                                    bool flops = false) {
  train::set_compression_threads(1);
  const auto layers = sparse::layer_budgets(dense.model);
  std::vector<train::DensityCurve> curves;
  for (const train::LayerSensitivity& layer : train::measure_sensitivity(dense, calibration)) {
    curves.push_back(layer.curve);
    if (flops) {
      curves.back().cost = static_cast<double>((*layers)[curves.size() - 1].macs_per_nonzero);
    }
  }
  return train::allocate_by_curves(curves, shares);
}

inline train::OneShotResult compress(const sparse::NestedModel& dense, const data::Samples& samples,
                                     const std::vector<double>& shares,
                                     train::NestingOrder order = train::NestingOrder::kTogether) {
  const train::Calibration calibration = all_of(samples);
  return train::compress_one_shot(dense, calibration, counts_for(dense, calibration, shares),
                                  {.order = order, .progress = {}});
}

}  // namespace strata::testing
