// What the two walks over a network that is to be compressed share: the inputs that it is judged
// on, and how work in progress is told. Shows nothing of libtorch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "train/data/samples.h"

namespace strata::train {

/// Inputs like those that the network will meet. No samples: nothing is known but the weights.
struct Calibration {
  const data::Samples* samples = nullptr;
  std::vector<int64_t> chosen;  ///< indices of those that are looked at

  [[nodiscard]] bool empty() const { return samples == nullptr || chosen.empty(); }
};

/// Called between pieces of work, on the calling thread; may throw to stop.
using CompressionProgress =
    std::function<void(int64_t done, int64_t total, const std::string& what)>;

/// The only graph of a model that is to be compressed. Throws Error if there are several.
const graph::Graph& only_graph(const graph::Model& model);

/// Threads of libtorch, for all that follows in this process.
void set_compression_threads(int threads);

/// How much of the mean of a Hessian's diagonal is added to it.
inline constexpr double kHessianDamping = 0.01;

}  // namespace strata::train
