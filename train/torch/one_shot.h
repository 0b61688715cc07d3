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
#include "train/torch/calibration.h"

namespace strata::train {

/// How masks and values of several levels are found together.
enum class NestingOrder : uint8_t {
  kOutwards,   ///< the sparsest level first; each next one adds weights around what is there
  kInwards,    ///< the least sparse level first; the others keep a part of its values
  kTogether,   ///< masks like kInwards; values that are a compromise between all levels
  kMagnitude,  ///< the largest weights, as they are; only normalisation is estimated anew
};

struct OneShotOptions {
  NestingOrder order = NestingOrder::kTogether;
  CompressionProgress progress = {};
};

struct LayerOutcome {
  std::string weight;
  int64_t elements = 0;
  std::vector<int64_t> nonzeros;  ///< [level]
  std::vector<double> error;      ///< [level] of the layer's outputs, relative, squared
  double seconds = 0;
};

struct OneShotResult {
  sparse::NestedModel nested;
  std::vector<LayerOutcome> layers;  ///< in the order of sparse::layer_budgets()
  /// [level] mean over calibration inputs of |output - dense output|^2 / |dense output|^2.
  std::vector<double> output_distance;
};

/// `dense` has one level and one graph, see also level_normalisation.h. counts[level][weight] are
/// the weights to keep, in the order of sparse::layer_budgets() and never falling from level to
/// level. Without calibration data weights are chosen by magnitude alone.
/// Throws Error: counts of another size, an operator that libtorch cannot execute, data that do not
/// fit the inputs or make numbers that are not finite.
OneShotResult compress_one_shot(const sparse::NestedModel& dense, const Calibration& data,
                                std::span<const std::vector<int64_t>> counts,
                                const OneShotOptions& options = {});

}  // namespace strata::train
