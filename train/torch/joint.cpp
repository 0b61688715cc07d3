// `joint`: every level in one run. All levels are masks over one dense tensor per weight. Each step
// trains the least sparse level on the labels, the sparsest on labels and the least sparse level's
// answers, and random routes between levels in the same way (sandwich rule and in-place
// distillation: Yu and Huang 2019). Masks follow the magnitudes along a gradual schedule. The least
// sparse level's gradient of a masked weight is applied to the dense one, so that pruned weights
// can return (Lin et al. 2020); the other levels move only what they have. `dense` is the same with
// one level that keeps everything. Where the task has a teacher of its own, every level learns from
// that one.
#include <algorithm>
#include <cmath>
#include <utility>

#include "train/data/augment.h"
#include "train/torch/algorithm.h"
#include "train/torch/mask_selection.h"
#include "train/torch/optimizer.h"

namespace strata::train {
namespace {

/// Sets this seed apart from the one of shuffling and augmentation.
constexpr uint64_t kRouteSalt = 0x726f757465ULL;

enum class Masks : uint8_t { kFound, kGiven };

class Joint final : public NestingAlgorithm {
 public:
  Joint(const Recipe& recipe, Network& network, const Task& task, Masks masks);

  [[nodiscard]] int64_t total_steps() const override { return total_steps_; }
  StepReport step(const Batch& batch, int64_t step) override;
  [[nodiscard]] bool ready(int level, int64_t steps_done) const override {
    return level == top_ || steps_done > begin_step_;
  }
  [[nodiscard]] std::optional<Stretch> stretch(int64_t steps_done) const override {
    if (!nests()) return Stretch{};
    if (steps_done <= freeze_step_) return std::nullopt;
    return Stretch{0, 0, top_};
  }
  [[nodiscard]] std::string phase(int64_t step) const override;
  void visit(const StateVisitor& visitor) override { optimizer_.visit(visitor); }

 private:
  struct MixedRoute {
    ModelRoute nodes;
    int fixed_level = -1;  ///< -1 unless one level throughout
    int upper = 0, lower = 0;
  };

  [[nodiscard]] bool nests() const { return recipe_.algorithm.kind != AlgorithmKind::kDense; }
  void update_masks(int64_t step);
  [[nodiscard]] MixedRoute draw_route(int64_t step, int64_t index) const;
  [[nodiscard]] at::Tensor taught_loss(const at::Tensor& answer, const at::Tensor& teacher,
                                       const Batch& batch, double& own_loss) const;
  /// The least sparse level's, without dropout: what it knows, not what it happens to see.
  [[nodiscard]] at::Tensor certain_answers(const Batch& batch) const {
    const at::NoGradGuard no_grad;
    return task_.answer(network_, batch, network_.fixed_route(top_), Pass{});
  }
  void apply_gradients(double rate, bool frozen);

  Recipe recipe_;
  Network& network_;
  const Task& task_;
  int top_;
  int64_t total_steps_;
  int64_t begin_step_, end_step_, freeze_step_;
  std::vector<sparse::LevelBudget> budgets_;
  Optimizer optimizer_;
  std::vector<size_t> weight_slots_;               ///< [index in network.weights()]
  std::vector<std::vector<size_t>> vector_slots_;  ///< [level][index in trained_vectors()]
};

Joint::Joint(const Recipe& recipe, Network& network, const Task& task, Masks masks)
    : recipe_(recipe),
      network_(network),
      task_(task),
      top_(network.level_count() - 1),
      budgets_(masks == Masks::kFound ? level_budgets(recipe) : std::vector<sparse::LevelBudget>{}),
      optimizer_(recipe.optimizer) {
  const Recipe::Algorithm::Joint& joint = recipe.algorithm.joint;
  total_steps_ = std::max<int64_t>(
      1, std::llround(recipe.optimizer.epochs * static_cast<double>(task.steps_per_epoch())));
  const auto at = [&](double fraction) {
    return std::llround(fraction * static_cast<double>(total_steps_));
  };
  begin_step_ = std::min<int64_t>(at(joint.prune_begin), total_steps_ - 1);
  end_step_ = std::clamp<int64_t>(at(joint.prune_end), begin_step_, total_steps_ - 1);
  freeze_step_ = std::max<int64_t>(at(joint.freeze), end_step_);
  if (masks == Masks::kGiven) begin_step_ = end_step_ = freeze_step_ = -1;
  for (const size_t p : network.weights()) {
    weight_slots_.push_back(
        optimizer_.add(network.model().parameters[p].name, network.weight(p), /*decay=*/true));
  }
  for (int k = 0; k <= top_; ++k) {
    std::vector<size_t>& slots = vector_slots_.emplace_back();
    for (const size_t p : network.trained_vectors()) {
      slots.push_back(optimizer_.add(std::to_string(k) + "/" + network.model().parameters[p].name,
                                     network.vector(k, p), /*decay=*/false));
    }
  }
}

std::string Joint::phase(int64_t step) const {
  if (!nests() || step < begin_step_) return "dense";
  if (step < end_step_) return "pruning";
  return step < freeze_step_ ? "regrowing" : "fine-tuning";
}

void Joint::update_masks(int64_t step) {
  const double span = static_cast<double>(std::max<int64_t>(1, end_step_ - begin_step_));
  const double progress = step >= end_step_ ? 1.0 : static_cast<double>(step - begin_step_) / span;
  std::vector<sparse::LevelBudget> budgets;
  for (const sparse::LevelBudget& target : budgets_) {
    budgets.push_back(scheduled_budget(target, progress));
  }
  const WeightScores scores(network_);
  const auto counts =
      nested_counts(recipe_.levels.allocation, scores.layers, budgets, scores.views);
  for (size_t i = 0; i < network_.weights().size(); ++i) {
    std::vector<int64_t> of_layer;
    for (const auto& level : counts) of_layer.push_back(level[i]);
    const auto masks = largest(scores.views[i], of_layer);
    for (int k = 0; k <= top_; ++k) {
      network_.set_mask(k, network_.weights()[i], masks[static_cast<size_t>(k)]);
    }
  }
}

/// Half of the routes stay at one level between the outer two, where there is one: these levels
/// have no pass of their own. The others leave a less sparse level at a random place.
Joint::MixedRoute Joint::draw_route(int64_t step, int64_t index) const {
  const data::RandomKey key{static_cast<uint64_t>(recipe_.seed) ^ kRouteSalt,
                            static_cast<uint64_t>(step)};
  const auto draw = [&](uint64_t which, int64_t bound) {
    return data::random_below(key, static_cast<uint64_t>(index), which, bound);
  };
  MixedRoute route;
  if (top_ >= 2 && draw(0, 2) == 0) {
    route.fixed_level = static_cast<int>(1 + draw(1, top_ - 1));
    route.upper = route.lower = route.fixed_level;
    route.nodes = network_.fixed_route(route.fixed_level);
    return route;
  }
  route.upper = static_cast<int>(1 + draw(2, top_));
  route.lower = static_cast<int>(draw(3, route.upper));
  const auto points = static_cast<int64_t>(network_.switch_count());
  const int64_t point = points > 1 ? 1 + draw(4, points - 1) : 0;
  route.nodes = network_.switched_route(static_cast<size_t>(point), route.upper, route.lower);
  return route;
}

at::Tensor Joint::taught_loss(const at::Tensor& answer, const at::Tensor& teacher,
                              const Batch& batch, double& own_loss) const {
  const double share = recipe_.algorithm.joint.distill;
  const double temperature = recipe_.algorithm.joint.temperature;
  at::Tensor loss;
  if (share < 1) {
    loss = task_.loss(answer, batch);
    own_loss = loss.item<double>();
    if (share == 0) return loss;
  }
  const at::Tensor divergence = task_.divergence(answer, teacher, batch, temperature);
  if (share == 1) own_loss = divergence.item<double>();
  const at::Tensor taught = divergence * (share * temperature * temperature);
  return loss.defined() ? loss * (1 - share) + taught : taught;
}

void Joint::apply_gradients(double rate, bool frozen) {
  for (size_t i = 0; i < weight_slots_.size(); ++i) {
    optimizer_.set_gradient(weight_slots_[i],
                            network_.weight_gradient(network_.weights()[i], frozen ? -1 : top_));
  }
  for (int k = 0; k <= top_; ++k) {
    const std::vector<size_t>& slots = vector_slots_[static_cast<size_t>(k)];
    for (size_t i = 0; i < slots.size(); ++i) {
      optimizer_.set_gradient(slots[i], network_.vector(k, network_.trained_vectors()[i]).grad());
    }
  }
  optimizer_.step(rate);
  network_.clear_gradients();
}

StepReport Joint::step(const Batch& batch, int64_t step) {
  const bool nested = nests() && step >= begin_step_;
  if (nested) {
    if (step == begin_step_) {  // until here one level stood for all
      for (int k = 0; k < top_; ++k) network_.copy_vectors(top_, k);
    }
    const bool due = (step - begin_step_) % recipe_.algorithm.joint.update_every == 0;
    if (step == end_step_ || (step <= freeze_step_ && due)) update_masks(step);
  }

  StepReport report;
  report.learning_rate =
      learning_rate(recipe_.optimizer, step, total_steps_, task_.steps_per_epoch());
  report.loss.resize(static_cast<size_t>(top_) + 1);
  Pass own_statistics{.training = true, .update_statistics = true};
  // A mixed route meets, at inference, statistics that its levels gathered on their own routes.
  // Once the masks are fixed it learns under them, so that the network can live with the
  // difference; before, running statistics lag too far behind to teach anything.
  Pass mixed{
      .training = true, .update_statistics = false, .imitate_inference = step > freeze_step_};
  int64_t passes = 0;
  const auto drawing = [&](Pass& pass) -> const Pass& {
    pass.generator = pass_generator(recipe_, step, passes++);
    return pass;
  };

  network_.refresh(top_);
  at::Tensor answers = task_.teacher_answer(batch);
  const bool taught_from_outside = answers.defined();
  const at::Tensor best =
      task_.answer(network_, batch, network_.fixed_route(top_), drawing(own_statistics));
  double top_loss = 0;
  if (taught_from_outside) {
    taught_loss(best, answers, batch, top_loss).backward();
  } else {
    const at::Tensor loss = task_.loss(best, batch);
    top_loss = loss.item<double>();
    loss.backward();
  }
  report.loss[static_cast<size_t>(top_)] = top_loss;

  if (nested && top_ > 0) {
    for (int k = 0; k < top_; ++k) network_.refresh(k);
    if (!taught_from_outside) {
      answers = network_.drops_out() ? certain_answers(batch) : best.detach();
    }
    const auto learn = [&](const ModelRoute& route, Pass& pass) {
      double own_loss = 0;
      const at::Tensor answer = task_.answer(network_, batch, route, drawing(pass));
      const at::Tensor taught = taught_loss(answer, answers, batch, own_loss);
      (taught * recipe_.algorithm.joint.taught_weight).backward();
      return own_loss;
    };
    report.loss[0] = learn(network_.fixed_route(0), own_statistics);
    for (int64_t i = 0; i < recipe_.algorithm.joint.routes; ++i) {
      const MixedRoute route = draw_route(step, i);
      const bool fixed = route.fixed_level >= 0;
      const double value = learn(route.nodes, fixed ? own_statistics : mixed);
      if (fixed) report.loss[static_cast<size_t>(route.fixed_level)] = value;
    }
  }
  apply_gradients(report.learning_rate, nested && step > freeze_step_);
  return report;
}

}  // namespace

std::unique_ptr<NestingAlgorithm> make_joint(const Recipe& recipe, Network& network,
                                             const Task& task) {
  return std::make_unique<Joint>(recipe, network, task, Masks::kFound);
}

std::unique_ptr<NestingAlgorithm> make_joint_tuning(const Recipe& recipe, Network& network,
                                                    const Task& task) {
  return std::make_unique<Joint>(recipe, network, task, Masks::kGiven);
}

}  // namespace strata::train
