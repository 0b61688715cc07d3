// Nests a trained network in minutes, without training: layer after layer, the weights that remain
// take over what those that leave did, judged on a few hundred calibration inputs. Needs libtorch
// to link, but shows nothing of it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sparse/nested_model.h"

namespace strata::train {

/// Inputs like those that the network will meet, without labels.
struct CalibrationData {
  std::vector<float> inputs;   ///< [count, shape…], row-major, as the network takes them
  std::vector<int64_t> shape;  ///< of one input, without batch
  int64_t count = 0;           ///< 0: no data; then weights are chosen by magnitude alone
};

/// How masks and values of several levels are found together.
enum class NestingOrder : uint8_t {
  kOutwards,   ///< the sparsest level first; each next one adds weights around what is there
  kInwards,    ///< the least sparse level first; the others keep a part of its values
  kTogether,   ///< masks like kInwards; values that are a compromise between all levels
  kMagnitude,  ///< the largest weights, as they are; only normalisation is estimated anew
};

enum class CompressionBudget : uint8_t { kWeights, kFlops };

struct OneShotOptions {
  std::vector<double> levels;  ///< shares (0..1] of the budget's kind, ascending
  CompressionBudget budget = CompressionBudget::kWeights;
  NestingOrder order = NestingOrder::kTogether;
  bool measure_sensitivity = true;  ///< else the same density in every layer
  double damping = 0.01;            ///< share of the mean of a Hessian's diagonal
  int threads = 1;
  /// Called between pieces of work, on the calling thread; may throw to stop.
  std::function<void(int64_t done, int64_t total, const std::string& what)> progress;
};

struct LayerOutcome {
  std::string weight;
  int64_t elements = 0;
  double sensitivity = 0;         ///< distance of the network's output per relative error here
  std::vector<int64_t> nonzeros;  ///< [level]
  std::vector<double> error;      ///< [level] of the layer's outputs, relative, squared
  double seconds = 0;
};

struct OneShotResult {
  sparse::NestedModel nested;
  std::vector<LayerOutcome> layers;
  /// [level] mean over calibration inputs of |output - dense output|^2 / |dense output|^2.
  std::vector<double> output_distance;
  std::vector<std::string> warnings;
};

/// `dense` has one level and one graph with one input. The result has a normalisation behind every
/// convolution, see level_normalisation.h.
/// Throws Error: budgets that are no ascending shares, an operator that libtorch cannot execute,
/// calibration data that does not fit the input or makes numbers that are not finite.
OneShotResult compress_one_shot(const sparse::NestedModel& dense, const CalibrationData& data,
                                const OneShotOptions& options);

}  // namespace strata::train
