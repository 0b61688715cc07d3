// The update rules are those of Sutskever et al. 2013 (momentum, Nesterov) and Kingma and Ba 2015
// (Adam), with an L2 penalty on the slots that decay.
#include "train/torch/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace strata::train {
namespace {
constexpr double kAdamBeta2 = 0.999;
constexpr double kAdamEpsilon = 1e-8;
}  // namespace

double learning_rate(const Recipe::Optimizer& recipe, int64_t step, int64_t total_steps,
                     int64_t steps_per_epoch) {
  const auto per_epoch = static_cast<double>(steps_per_epoch);
  const double warmup =
      std::min(recipe.warmup_epochs * per_epoch, static_cast<double>(total_steps));
  const auto now = static_cast<double>(step);
  if (now < warmup) return recipe.lr * (now + 1) / (warmup + 1);
  if (recipe.schedule == ScheduleKind::kConstant) return recipe.lr;
  if (recipe.schedule == ScheduleKind::kStep) {
    return recipe.lr *
           std::pow(recipe.step_factor, std::floor(now / per_epoch / recipe.step_epochs));
  }
  const double span = std::max(1.0, static_cast<double>(total_steps) - warmup);
  return recipe.lr * 0.5 * (1 + std::cos(std::numbers::pi * (now - warmup) / span));
}

size_t Optimizer::add(std::string name, const at::Tensor& value, bool decay) {
  Slot slot;
  slot.name = std::move(name);
  slot.value = value;
  slot.decay = decay;
  const at::Tensor like = value.detach();
  slot.first = at::zeros_like(like);
  if (recipe_.kind == OptimizerKind::kAdam) {
    slot.second = at::zeros_like(like);
    slot.count = at::zeros({1}, at::kDouble);
  }
  slots_.push_back(std::move(slot));
  return slots_.size() - 1;
}

void Optimizer::clip() {
  if (recipe_.gradient_clip <= 0) return;
  double squares = 0;
  for (const Slot& slot : slots_) {
    if (slot.gradient.defined()) squares += slot.gradient.square().sum().item<double>();
  }
  const double norm = std::sqrt(squares);
  if (norm <= recipe_.gradient_clip) return;
  for (Slot& slot : slots_) {
    if (slot.gradient.defined()) slot.gradient = slot.gradient * (recipe_.gradient_clip / norm);
  }
}

void Optimizer::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  clip();
  for (Slot& slot : slots_) {
    if (!slot.gradient.defined()) continue;
    at::Tensor gradient = std::exchange(slot.gradient, {});
    if (slot.decay && recipe_.weight_decay != 0) {
      gradient = at::add(gradient, slot.value, recipe_.weight_decay);
    }
    if (recipe_.kind == OptimizerKind::kSgd) {
      step_sgd(slot, gradient, learning_rate);
    } else {
      step_adam(slot, gradient, learning_rate);
    }
  }
}

void Optimizer::step_sgd(Slot& slot, at::Tensor gradient, double learning_rate) const {
  if (recipe_.momentum != 0) {
    slot.first.mul_(recipe_.momentum).add_(gradient);
    gradient = recipe_.nesterov ? at::add(gradient, slot.first, recipe_.momentum) : slot.first;
  }
  slot.value.add_(gradient, -learning_rate);
}

void Optimizer::step_adam(Slot& slot, const at::Tensor& gradient, double learning_rate) const {
  slot.count.add_(1);
  const double count = slot.count.item<double>();
  slot.first.mul_(recipe_.momentum).add_(gradient, 1 - recipe_.momentum);
  slot.second.mul_(kAdamBeta2).addcmul_(gradient, gradient, 1 - kAdamBeta2);
  const double first_bias = 1 - std::pow(recipe_.momentum, count);
  const double second_bias = 1 - std::pow(kAdamBeta2, count);
  const at::Tensor scale = slot.second.sqrt().div_(std::sqrt(second_bias)).add_(kAdamEpsilon);
  slot.value.addcdiv_(slot.first, scale, -learning_rate / first_bias);
}

void Optimizer::reset_state() {
  for (Slot& slot : slots_) {
    slot.first.zero_();
    if (slot.second.defined()) slot.second.zero_();
    if (slot.count.defined()) slot.count.zero_();
  }
}

void Optimizer::visit(const StateVisitor& visitor) {
  for (Slot& slot : slots_) {
    visitor("optimizer/first/" + slot.name, slot.first);
    if (slot.second.defined()) visitor("optimizer/second/" + slot.name, slot.second);
    if (slot.count.defined()) visitor("optimizer/count/" + slot.name, slot.count);
  }
}

}  // namespace strata::train
