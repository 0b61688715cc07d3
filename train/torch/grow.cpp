// `grow`, the published algorithm: from the sparsest level outwards. A dense network first; then,
// per level, ADMM (Zhang et al. 2018) draws the weights towards their projection on the level's
// budget, a hard prune fixes the mask, and masked retraining follows. Places and values of the
// levels below are frozen: they are put back after each optimiser step. The learning rate starts
// anew in every phase (learning-rate rewinding: Renda et al. 2020).
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "train/torch/algorithm.h"
#include "train/torch/mask_selection.h"
#include "train/torch/optimizer.h"

namespace strata::train {
namespace {

class Grow final : public NestingAlgorithm {
 public:
  Grow(const Recipe& recipe, Network& network, const Task& task);

  [[nodiscard]] int64_t total_steps() const override { return phases_.back().end; }
  StepReport step(const Batch& batch, int64_t step) override;
  [[nodiscard]] bool ready(int level, int64_t steps_done) const override;
  [[nodiscard]] std::optional<Stretch> stretch(int64_t steps_done) const override;
  [[nodiscard]] std::string phase(int64_t step) const override;
  void visit(const StateVisitor& visitor) override;

 private:
  enum class Kind : uint8_t { kDense, kAdmm, kRetrain };
  struct Phase {
    Kind kind = Kind::kDense;
    int level = 0;
    int64_t begin = 0, end = 0;  ///< steps
  };
  /// ADMM's variables and the frozen values of one weight.
  struct State {
    at::Tensor projection;  ///< Z
    at::Tensor dual;        ///< U
    at::Tensor frozen;      ///< values of the levels below, where their mask is
  };

  [[nodiscard]] const Phase& phase_at(int64_t step) const;
  void begin_phase(const Phase& phase);
  void begin_level(int level);
  void update_projection(int level);
  void prune(int level);
  [[nodiscard]] std::vector<std::vector<uint8_t>> select(int level, bool with_dual) const;
  void apply_gradients(const Phase& phase, double rate);

  Recipe recipe_;
  Network& network_;
  const Task& task_;
  std::vector<sparse::LevelBudget> budgets_;
  std::vector<sparse::LayerBudget> layers_;
  std::vector<Phase> phases_;
  Optimizer optimizer_;
  std::vector<size_t> weight_slots_;               ///< [index in network.weights()]
  std::vector<std::vector<size_t>> vector_slots_;  ///< [level][index in trained_vectors()]
  std::vector<State> states_;                      ///< [index in network.weights()]
};

Grow::Grow(const Recipe& recipe, Network& network, const Task& task)
    : recipe_(recipe),
      network_(network),
      task_(task),
      budgets_(level_budgets(recipe)),
      layers_(WeightScores(network).layers),
      optimizer_(recipe.optimizer) {
  const Recipe::Algorithm::Grow& grow = recipe.algorithm.grow;
  const int levels = network.level_count();
  const double wanted = grow.dense_epochs + levels * (grow.admm_epochs + grow.retrain_epochs);
  const double scale = wanted > 0 ? std::min(1.0, recipe.optimizer.epochs / wanted) : 0;
  double epochs = 0;
  const auto add = [&](Kind kind, int level, double length) {
    epochs += length * scale;
    const int64_t begin = phases_.empty() ? 0 : phases_.back().end;
    const int64_t end = std::llround(epochs * static_cast<double>(task.steps_per_epoch()));
    if (end > begin) phases_.push_back({kind, level, begin, end});
  };
  add(Kind::kDense, 0, grow.dense_epochs);
  for (int k = 0; k < levels; ++k) {
    add(Kind::kAdmm, k, grow.admm_epochs);
    add(Kind::kRetrain, k, grow.retrain_epochs);
    // Every level is at least pruned and trained for one step.
    if (phases_.empty() || phases_.back().kind != Kind::kRetrain || phases_.back().level != k) {
      const int64_t begin = phases_.empty() ? 0 : phases_.back().end;
      phases_.push_back({Kind::kRetrain, k, begin, begin + 1});
    }
  }
  for (const size_t p : network.weights()) {
    const at::Tensor& weight = network.weight(p);
    weight_slots_.push_back(
        optimizer_.add(network.model().parameters[p].name, weight, /*decay=*/true));
    states_.push_back({at::zeros_like(weight), at::zeros_like(weight), at::zeros_like(weight)});
  }
  for (int k = 0; k < levels; ++k) {
    std::vector<size_t>& slots = vector_slots_.emplace_back();
    for (const size_t p : network.trained_vectors()) {
      slots.push_back(optimizer_.add(std::to_string(k) + "/" + network.model().parameters[p].name,
                                     network.vector(k, p), /*decay=*/false));
    }
  }
}

const Grow::Phase& Grow::phase_at(int64_t step) const {
  const auto found = std::find_if(phases_.begin(), phases_.end(),
                                  [=](const Phase& phase) { return step < phase.end; });
  return found == phases_.end() ? phases_.back() : *found;
}

bool Grow::ready(int level, int64_t steps_done) const {
  for (const Phase& phase : phases_) {
    if (phase.kind == Kind::kRetrain && phase.level == level) return steps_done > phase.begin;
  }
  return false;
}

std::optional<Grow::Stretch> Grow::stretch(int64_t steps_done) const {
  const Phase& phase = phase_at(steps_done - 1);
  if (phase.kind != Kind::kRetrain) return std::nullopt;
  return Stretch{phase.level, phase.level, phase.level};
}

std::string Grow::phase(int64_t step) const {
  const Phase& phase = phase_at(step);
  const std::string level = " level " + std::to_string(phase.level);
  switch (phase.kind) {
    case Kind::kDense:
      return "dense";
    case Kind::kAdmm:
      return "ADMM" + level;
    case Kind::kRetrain:
      break;
  }
  return "retraining" + level;
}

void Grow::visit(const StateVisitor& visitor) {
  optimizer_.visit(visitor);
  for (size_t i = 0; i < states_.size(); ++i) {
    const std::string& name = network_.model().parameters[network_.weights()[i]].name;
    visitor("admm/projection/" + name, states_[i].projection);
    visitor("admm/dual/" + name, states_[i].dual);
    visitor("frozen/" + name, states_[i].frozen);
  }
}

/// The places that `level` would take now, by weight (or weight + dual), lower levels included.
std::vector<std::vector<uint8_t>> Grow::select(int level, bool with_dual) const {
  const size_t count = network_.weights().size();
  std::vector<std::vector<float>> scores(count);
  std::vector<std::span<const float>> views;
  std::vector<sparse::LayerBudget> layers = layers_;
  std::vector<std::vector<float>> taken(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t p = network_.weights()[i];
    const at::Tensor& weight = network_.weight(p);
    scores[i] = row_major_values((with_dual ? at::add(weight, states_[i].dual) : weight).abs());
    if (level > 0) {
      taken[i] = row_major_values(network_.mask(level - 1, p));
      layers[i].at_least =
          std::count_if(taken[i].begin(), taken[i].end(), [](float value) { return value != 0; });
    }
  }
  for (const std::vector<float>& layer : scores) views.emplace_back(layer);
  const auto budget = std::span(budgets_).subspan(static_cast<size_t>(level), 1);
  const auto counts = nested_counts(recipe_.levels.allocation, layers, budget, views).front();
  std::vector<std::vector<uint8_t>> masks;
  for (size_t i = 0; i < count; ++i) {
    for (size_t e = 0; e < taken[i].size(); ++e) {
      if (taken[i][e] != 0) scores[i][e] = std::numeric_limits<float>::infinity();
    }
    masks.push_back(std::move(largest(scores[i], {&counts[i], 1}).front()));
  }
  return masks;
}

/// Z becomes the projection of W + U on the level's budget.
void Grow::update_projection(int level) {
  const auto masks = select(level, /*with_dual=*/true);
  for (size_t i = 0; i < states_.size(); ++i) {
    const at::Tensor& weight = network_.weight(network_.weights()[i]);
    const at::Tensor mask = tensor_of(masks[i], weight);
    states_[i].projection.copy_(at::mul(at::add(weight, states_[i].dual), mask));
  }
}

void Grow::prune(int level) {
  const auto masks = select(level, /*with_dual=*/false);
  for (size_t i = 0; i < masks.size(); ++i) {
    network_.set_mask(level, network_.weights()[i], masks[i]);
  }
}

/// Freezes the level below, and starts from its normalisation.
void Grow::begin_level(int level) {
  for (State& state : states_) state.dual.zero_();
  if (level == 0) return;
  network_.copy_vectors(level - 1, level);
  for (size_t i = 0; i < states_.size(); ++i) {
    const size_t p = network_.weights()[i];
    states_[i].frozen.copy_(at::mul(network_.weight(p), network_.mask(level - 1, p)));
  }
}

void Grow::begin_phase(const Phase& phase) {
  const bool first_of_level =
      phase.kind == Kind::kAdmm || &phase == &phases_.front() || (&phase - 1)->level != phase.level;
  if (first_of_level) begin_level(phase.level);
  if (phase.kind == Kind::kAdmm) update_projection(phase.level);
  if (phase.kind == Kind::kRetrain) prune(phase.level);
  optimizer_.reset_state();
}

void Grow::apply_gradients(const Phase& phase, double rate) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < states_.size(); ++i) {
    const size_t p = network_.weights()[i];
    const State& state = states_[i];
    at::Tensor gradient = network_.weight_gradient(p, -1);
    if (phase.kind == Kind::kAdmm) {  // of rho / 2 |W - Z + U|^2
      gradient = at::add(gradient, network_.weight(p) - state.projection + state.dual,
                         recipe_.algorithm.grow.rho);
    }
    optimizer_.set_gradient(weight_slots_[i], gradient);
  }
  const auto level = static_cast<size_t>(phase.level);
  for (size_t i = 0; i < vector_slots_[level].size(); ++i) {
    const at::Tensor& value = network_.vector(phase.level, network_.trained_vectors()[i]);
    optimizer_.set_gradient(vector_slots_[level][i], value.grad());
  }
  optimizer_.step(rate);
  network_.clear_gradients();
  if (phase.level == 0) return;
  for (size_t i = 0; i < states_.size(); ++i) {
    const size_t p = network_.weights()[i];
    const at::Tensor below = network_.mask(phase.level - 1, p).to(at::kBool);
    network_.weight(p).copy_(at::where(below, states_[i].frozen, network_.weight(p)));
  }
}

StepReport Grow::step(const Batch& batch, int64_t step) {
  const Phase& phase = phase_at(step);
  if (step == phase.begin) begin_phase(phase);
  StepReport report;
  report.loss.resize(static_cast<size_t>(network_.level_count()));
  report.learning_rate = learning_rate(recipe_.optimizer, step - phase.begin,
                                       phase.end - phase.begin, task_.steps_per_epoch());
  network_.refresh(phase.level);
  const at::Tensor answer = task_.answer(network_, batch, network_.fixed_route(phase.level),
                                         Pass{.training = true,
                                              .update_statistics = true,
                                              .generator = pass_generator(recipe_, step, 0)});
  const at::Tensor loss = task_.loss(answer, batch);
  report.loss[static_cast<size_t>(phase.level)] = loss.item<double>();
  loss.backward();
  apply_gradients(phase, report.learning_rate);
  const bool dual_due = (step - phase.begin + 1) % recipe_.algorithm.grow.dual_update_every == 0;
  if (phase.kind == Kind::kAdmm && dual_due) {
    update_projection(phase.level);
    for (size_t i = 0; i < states_.size(); ++i) {
      const at::Tensor& weight = network_.weight(network_.weights()[i]);
      states_[i].dual.add_(weight - states_[i].projection);
    }
  }
  return report;
}

}  // namespace

std::unique_ptr<NestingAlgorithm> make_grow(const Recipe& recipe, Network& network,
                                            const Task& task) {
  return std::make_unique<Grow>(recipe, network, task);
}

}  // namespace strata::train
