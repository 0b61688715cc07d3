// What is learned: the data, the model that fits them, what a pass answers, its loss and its
// metric. The algorithms and the trainer know a task through this interface alone.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "train/metric.h"
#include "train/recipe.h"
#include "train/torch/network.h"

namespace strata::train {

/// The target of a row that does not count in the loss: a node of another split, padding.
inline constexpr int64_t kNoTarget = -100;

/// What one step learns from. Its tensors are on the network's device.
struct Batch {
  std::vector<at::Tensor> inputs;   ///< of any type, in the order that answer() wants them
  std::vector<at::Tensor> targets;  ///< what loss() compares with; [0] are labels for most tasks
};

struct Score {
  double value = 0;  ///< the metric, as measured
  double loss = 0;   ///< mean over the split, without smoothing
};

/// What one route is worth.
struct Evaluation {
  Score test;
  std::optional<Score> validation;  ///< if has_validation()
};

/// Everything is a pure function of recipe, data and arguments, so that a resumed run goes on bit
/// for bit. Used from one thread.
class Task {
 public:
  Task() = default;
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// The model that recipe and data ask for, metadata included.
  [[nodiscard]] virtual graph::Model model() const = 0;
  [[nodiscard]] virtual Initialisation initialisation() const { return Initialisation::kFanIn; }
  [[nodiscard]] virtual Metric metric() const { return {}; }
  [[nodiscard]] virtual int64_t steps_per_epoch() const = 0;
  /// Whether evaluate() has validation scores: they then choose the epoch that is kept.
  [[nodiscard]] virtual bool has_validation() const { return false; }
  /// Of the training data: a run resumes on the same only.
  [[nodiscard]] virtual uint64_t digest() const = 0;
  /// What the training record says of the data: "data" (their name) and sizes.
  [[nodiscard]] virtual nlohmann::json facts() const = 0;

  [[nodiscard]] virtual Batch batch(int64_t step) = 0;

  /// One pass along `route`; a row per answer: [rows, classes]. By default the first output of the
  /// first graph; a task of several graphs runs them here.
  [[nodiscard]] virtual at::Tensor answer(Network& network, const Batch& batch,
                                          const ModelRoute& route, const Pass& pass) const;
  /// By default cross-entropy with targets[0] ([rows], int64 or kNoTarget) and the recipe's label
  /// smoothing.
  [[nodiscard]] virtual at::Tensor loss(const at::Tensor& answer, const Batch& batch) const;
  /// How far a student is from its teacher's answers, both softened by `temperature`: by default
  /// the mean Kullback-Leibler divergence over all rows.
  [[nodiscard]] virtual at::Tensor divergence(const at::Tensor& student, const at::Tensor& teacher,
                                              const Batch& batch, double temperature) const;

  /// The answers of a teacher that is no part of the network, without gradients; undefined: there
  /// is none, and the least sparse level teaches the others.
  [[nodiscard]] virtual at::Tensor teacher_answer(const Batch& /*batch*/) const { return {}; }

  /// [route], for levels that the network has refreshed. No gradients.
  [[nodiscard]] virtual std::vector<Evaluation> evaluate(Network& network,
                                                         std::span<const ModelRoute> routes) = 0;

 protected:
  explicit Task(double label_smoothing) : label_smoothing_(label_smoothing) {}

 private:
  double label_smoothing_ = 0;
};

/// What a task must know of the run besides its recipe.
struct TaskContext {
  int threads = 1;
  bool quiet = false;
  at::Device device = at::kCPU;
};

/// The task of the recipe's architecture, its data loaded. Throws Error: data that cannot be read,
/// or that do not fit the model.
std::unique_ptr<Task> make_task(const Recipe& recipe, const TaskContext& context);

}  // namespace strata::train
