// Random nested models. Every random number is a function of seed, parameter, purpose and index, so
// that nothing depends on the order in which tensors are filled.
#include "sparse/random.h"

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::sparse {

namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;  // 2^64 / golden ratio, SplitMix64's increment

/// SplitMix64's output function (Steele, Lea and Flood 2014).
uint64_t mix(uint64_t state) {
  state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
  state = (state ^ (state >> 27)) * 0x94d049bb133111eb;
  return state ^ (state >> 31);
}

/// What a stream of random numbers is for; streams of the same parameter do not overlap.
enum class Purpose : uint64_t { kPlaces = 1, kValues = 2, kVectors = 3 };

/// Random access to the SplitMix64 sequence of one parameter and purpose.
class Stream {
 public:
  Stream(uint64_t seed, std::string_view parameter, Purpose purpose, uint64_t level = 0) {
    uint64_t name_hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char c : parameter) {
      name_hash = (name_hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    key_ = mix(seed + kGolden);
    key_ = mix(key_ ^ name_hash);
    key_ = mix(key_ + (static_cast<uint64_t>(purpose) << 32) + level);
  }

  [[nodiscard]] uint64_t bits(uint64_t index) const { return mix(key_ + (index + 1) * kGolden); }

  /// Uniform in 0..bound-1; bound <= 2^32, whose bias is below 2^-31.
  [[nodiscard]] uint64_t below(uint64_t index, uint64_t bound) const {
    return ((bits(index) >> 32) * bound) >> 32;
  }

  /// Standard normal, as the sum of twelve uniform 16-bit numbers (variance 1, within 6 of zero):
  /// a multiple of 2^-16, exact in a float, and the same on every platform, as no log() is.
  [[nodiscard]] float normal(uint64_t index) const {
    int32_t total = 0;
    for (uint64_t word = 0; word < 3; ++word) {
      const uint64_t random = bits(index * 3 + word);
      for (int shift = 0; shift < 64; shift += 16) {
        total += static_cast<int32_t>((random >> shift) & 0xffff);
      }
    }
    constexpr int32_t kMean = 12 * 65535 / 2;
    return static_cast<float>(total - kMean) * 0x1p-16F;
  }

  /// The same without zero: a weight that is present must multiply something.
  [[nodiscard]] float normal_nonzero(uint64_t index) const {
    const float value = normal(index);
    return value == 0.0F ? 0x1p-16F : value;
  }

 private:
  uint64_t key_ = 0;
};

/// Outputs that one input feeds: all elements but those along the input channels (dimension 1).
double fan_out(const LayerBudget& layer) {
  const int64_t inputs = layer.shape.size() > 1 ? layer.shape[1] : 1;
  return static_cast<double>(layer.elements) / static_cast<double>(inputs);
}

/// Non-zeros of each layer, [level][layer].
Result<std::vector<std::vector<int64_t>>> allocate_levels(std::vector<LayerBudget> layers,
                                                          std::span<const LevelBudget> levels,
                                                          AllocationMethod method, uint64_t seed) {
  std::vector<std::vector<float>> magnitudes;
  if (method == AllocationMethod::kGlobalMagnitude) {
    for (const LayerBudget& layer : layers) {
      const Stream values(seed, layer.name, Purpose::kValues);
      const auto deviation = static_cast<float>(std::sqrt(2.0 / fan_out(layer)));
      std::vector<float>& magnitude = magnitudes.emplace_back(static_cast<size_t>(layer.elements));
      for (size_t i = 0; i < magnitude.size(); ++i) {
        magnitude[i] = std::abs(values.normal_nonzero(i) * deviation);
      }
    }
  }
  const std::vector<std::span<const float>> magnitude_spans(magnitudes.begin(), magnitudes.end());
  std::vector<std::vector<int64_t>> counts;
  for (const LevelBudget& level : levels) {
    Result<std::vector<int64_t>> allocated = allocate(method, layers, level, magnitude_spans);
    if (!allocated.ok()) {
      return Status(allocated.status().code(),
                    "level " + std::to_string(counts.size()) + ": " + allocated.status().message());
    }
    counts.push_back(std::move(allocated).value());
    for (size_t i = 0; i < layers.size(); ++i) layers[i].at_least = counts.back()[i];
  }
  return counts;
}

/// Selection sampling (Knuth, volume 2, algorithm 3.4.2S) with a quota per increment: every choice
/// of places is equally likely, and places come in ascending order.
NestedTensor random_tensor(const LayerBudget& layer, std::span<const int64_t> quotas,
                           uint64_t seed) {
  const Stream places(seed, layer.name, Purpose::kPlaces);
  const Stream values(seed, layer.name, Purpose::kValues);
  int64_t present = 0;
  for (const int64_t quota : quotas) present += quota;
  const double connections =
      fan_out(layer) * static_cast<double>(present) / static_cast<double>(layer.elements);
  const auto deviation = static_cast<float>(std::sqrt(2.0 / connections));

  NestedTensor tensor;
  tensor.shape = layer.shape;
  std::vector<uint64_t> left(quotas.begin(), quotas.end());
  for (const uint64_t quota : left) {
    Increment& increment = tensor.increments.emplace_back();
    increment.positions.reserve(quota);
    increment.values.reserve(quota);
  }
  const auto elements = static_cast<uint64_t>(layer.elements);
  for (uint64_t i = 0; i < elements; ++i) {
    uint64_t draw = places.below(i, elements - i);
    for (size_t k = 0; k < left.size(); ++k) {
      if (draw < left[k]) {
        --left[k];
        tensor.increments[k].positions.push_back(static_cast<uint32_t>(i));
        tensor.increments[k].values.push_back(values.normal_nonzero(i) * deviation);
        break;
      }
      draw -= left[k];
    }
  }
  return tensor;
}

/// Powers of two keep every product exact, so that fusing it with the sum changes nothing.
std::vector<float> random_vector(const graph::Parameter& parameter, uint64_t level, uint64_t seed) {
  const Stream stream(seed, parameter.name, Purpose::kVectors, level);
  std::vector<float> values(static_cast<size_t>(parameter.element_count()));
  for (size_t i = 0; i < values.size(); ++i) {
    const float normal = stream.normal(i);
    switch (parameter.role) {
      case graph::ParameterRole::kScale:
        values[i] = 1.0F + normal * 0x1p-5F;
        break;
      case graph::ParameterRole::kVariance:
        values[i] = 1.0F + normal * 0x1p-6F;
        break;
      case graph::ParameterRole::kShift:
      case graph::ParameterRole::kMean:
        values[i] = normal * 0x1p-5F;
        break;
      case graph::ParameterRole::kBias:
      case graph::ParameterRole::kWeight:  // never asked for
        values[i] = normal * 0x1p-6F;
        break;
    }
  }
  return values;
}

std::string describe(AllocationMethod method, uint64_t seed) {
  return R"({"initialisation":"random","allocation":")" + to_string(method) + R"(","seed":)" +
         std::to_string(seed) + "}";
}

}  // namespace

Result<NestedModel> random_nested_model(const graph::Model& model,
                                        std::span<const LevelBudget> levels,
                                        AllocationMethod method, uint64_t seed) {
  if (levels.empty()) return invalid_argument("a nested model needs at least one level");
  STRATA_RETURN_IF_ERROR(graph::validate(model));
  STRATA_ASSIGN_OR_RETURN(const std::vector<LayerBudget> layers, layer_budgets(model));
  for (const LayerBudget& layer : layers) {
    if (layer.elements > std::numeric_limits<uint32_t>::max()) {
      return invalid_argument("weight '" + layer.name + "': it has " +
                              std::to_string(layer.elements) +
                              " elements, a nested tensor has at most 2^32 - 1");
    }
  }
  STRATA_ASSIGN_OR_RETURN(const auto counts, allocate_levels(layers, levels, method, seed));

  NestedModel nested;
  nested.model = model;
  nested.level_count = static_cast<int>(levels.size());
  nested.record = describe(method, seed);
  for (size_t i = 0; i < layers.size(); ++i) {
    std::vector<int64_t> quotas;
    int64_t below = 0;
    for (const std::vector<int64_t>& level : counts) {
      quotas.push_back(level[i] - below);
      below = level[i];
    }
    nested.weights.emplace(layers[i].name, random_tensor(layers[i], quotas, seed));
  }
  nested.vectors.resize(levels.size());
  for (const graph::Parameter& parameter : model.parameters) {
    if (parameter.role == graph::ParameterRole::kWeight) continue;
    for (size_t level = 0; level < levels.size(); ++level) {
      nested.vectors[level].emplace(parameter.name, random_vector(parameter, level, seed));
    }
  }
  STRATA_RETURN_IF_ERROR(check(nested));
  return nested;
}

}  // namespace strata::sparse
