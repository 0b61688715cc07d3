// The trained state of a nested model: one shared tensor per weight, one mask and one set of
// vectors (bias, normalisation) per level, and what the executor sees of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sparse/nested_model.h"
#include "train/torch/executor.h"

namespace strata::train {

/// The level of every node of every graph: [graph][node].
using ModelRoute = std::vector<Route>;

/// What weights are drawn from before training.
enum class Initialisation : uint8_t {
  kFanIn,   ///< convolutions: normal with variance 2 / fan-out (He et al. 2015); the rest: uniform
            ///< in
            ///< +-1 / sqrt(fan-in)
  kWide,    ///< uniform in +-3.2 / sqrt(fan-in): the +-0.1 with which GNMT begins at its width of
            ///< 1,024; what deep recurrent layers say of their input is not lost in them
  kGlorot,  ///< uniform in +-sqrt(6 / (fan-in + fan-out)) (Glorot and Bengio 2010)
};

/// Called with the name of every tensor that a checkpoint must hold.
using StateVisitor = std::function<void(const std::string& name, at::Tensor& tensor)>;

class Network {
 public:
  /// Every mask is full. Weights are drawn from `seed`.
  Network(graph::Model model, int level_count, uint64_t seed, const at::Device& device,
          Initialisation initialisation = Initialisation::kFanIn);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  [[nodiscard]] const graph::Model& model() const { return model_; }
  [[nodiscard]] int level_count() const { return static_cast<int>(levels_.size()); }
  [[nodiscard]] const at::Device& device() const { return device_; }

  /// Whether two training passes over the same batch differ.
  [[nodiscard]] bool drops_out() const;

  /// Indices into Model::parameters, in that order.
  [[nodiscard]] const std::vector<size_t>& weights() const { return weights_; }
  [[nodiscard]] const std::vector<size_t>& vectors() const { return vectors_; }
  /// Vectors that gradients change: not the running statistics.
  [[nodiscard]] const std::vector<size_t>& trained_vectors() const { return trained_vectors_; }

  [[nodiscard]] at::Tensor& weight(size_t parameter) { return shared_[parameter]; }
  [[nodiscard]] at::Tensor& vector(int level, size_t parameter) {
    return levels_[static_cast<size_t>(level)][parameter];
  }
  [[nodiscard]] const at::Tensor& mask(int level, size_t parameter) const {
    return masks_[static_cast<size_t>(level)][parameter];
  }

  /// Takes masks, values and vectors over from a model of the same graphs and levels.
  void load(const sparse::NestedModel& nested);

  /// Row-major values of a weight, and a mask from row-major bytes.
  [[nodiscard]] std::vector<float> weight_values(size_t parameter) const;
  void set_mask(int level, size_t parameter, std::span<const uint8_t> bytes);
  void copy_vectors(int from, int to);
  /// Takes weights and vectors from the least sparse level of a stored model; masks stay. Throws
  /// Error if the parameters are not the same.
  void start_from(const sparse::NestedModel& stored);

  /// Makes a level's forward pass see the shared weights under its mask as they are now.
  void refresh(int level);
  /// The outputs of one graph; `inputs` are in the order of the graph's. Graphs share parameters
  /// and may run any number of times in one pass.
  [[nodiscard]] std::vector<at::Tensor> forward(size_t graph, std::span<const at::Tensor> inputs,
                                                const ModelRoute& route, const Pass& pass) const;

  /// Places where a route may change its level: the nodes that apply a weight, graph after graph.
  [[nodiscard]] size_t switch_count() const;
  [[nodiscard]] ModelRoute fixed_route(int level) const;
  /// What comes before place `point` runs at level `from`, the rest at `to`.
  [[nodiscard]] ModelRoute switched_route(size_t point, int from, int to) const;

  /// Sum of the gradients that the levels' masked weights received, each only where the level has a
  /// weight; that of `whole_level` (-1: none) also where it has not. Undefined if there is none.
  [[nodiscard]] at::Tensor weight_gradient(size_t parameter, int whole_level) const;
  void clear_gradients();

  /// Masks in, increments out, normalisation not yet folded. The scale of a channel that is
  /// constant at a level is 0 there, which changes nothing at that level, and protects it from what
  /// other levels send through that channel when a route changes between them (see
  /// kConstantVariance).
  [[nodiscard]] sparse::NestedModel nested() const;

  void visit(const StateVisitor& visitor);

 private:
  graph::Model model_;
  std::vector<Executor> executors_;  ///< [graph]
  at::Device device_;
  std::vector<size_t> weights_, vectors_, trained_vectors_;
  LevelTensors shared_;               ///< [parameter], undefined for vectors
  std::vector<LevelTensors> masks_;   ///< [level][parameter], 0 or 1, undefined for vectors
  std::vector<LevelTensors> levels_;  ///< [level][parameter], leaves of the gradient
};

/// The elements of a float tensor, row-major whatever its strides.
std::vector<float> row_major_values(const at::Tensor& tensor);
/// Row-major bytes as numbers in the shape, layout and type of `like`.
at::Tensor tensor_of(std::span<const uint8_t> bytes, const at::Tensor& like);

/// "cpu" or "cuda"; throws Error if libtorch cannot use it.
at::Device parse_device(const std::string& name);

}  // namespace strata::train
