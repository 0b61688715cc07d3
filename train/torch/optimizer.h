// SGD with momentum and Adam over a list of tensors whose state can be checkpointed, and the
// learning-rate schedules.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/recipe.h"
#include "train/torch/network.h"

namespace strata::train {

/// The learning rate at `step` of a run (or of one phase of it) of `total_steps`. Warm-up is
/// linear; cosine falls to 0 at the end, step multiplies by step_factor every step_epochs.
double learning_rate(const Recipe::Optimizer& recipe, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch);

/// One tensor is one slot. A slot without gradient is left alone, momentum included.
class Optimizer {
 public:
  explicit Optimizer(const Recipe::Optimizer& recipe) : recipe_(recipe) {}

  /// Returns the slot's index. `value` is changed in place by step().
  size_t add(std::string name, const at::Tensor& value, bool decay);
  void set_gradient(size_t slot, const at::Tensor& gradient) { slots_[slot].gradient = gradient; }

  /// Clips the gradients together, applies them, and forgets them.
  void step(double learning_rate);
  void reset_state();
  void visit(const StateVisitor& visitor);

 private:
  struct Slot {
    std::string name;
    at::Tensor value, gradient;
    bool decay = false;
    at::Tensor first;   ///< momentum, or Adam's first moment
    at::Tensor second;  ///< Adam's second moment
    at::Tensor count;   ///< Adam's updates so far
  };
  void clip();
  void step_sgd(Slot& slot, at::Tensor gradient, double learning_rate) const;
  void step_adam(Slot& slot, const at::Tensor& gradient, double learning_rate) const;

  Recipe::Optimizer recipe_;
  std::vector<Slot> slots_;
};

}  // namespace strata::train
