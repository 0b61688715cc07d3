#include "train/torch/tasks/distillation.h"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "train/error.h"
#include "train/torch/output_distance.h"
#include "train/torch/tensors.h"

namespace strata::train {
namespace {

constexpr int64_t kHeldOutEvery = 20;  ///< of the samples, for the progress that is shown
constexpr int64_t kMostHeldOut = 1000;
constexpr double kLeastProbability = 1e-12;

/// Whether the graph ends in a softmax: its logarithm then stands for the logits.
bool ends_in_softmax(const graph::Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const graph::Node& node) {
    return node.op_type == "Softmax" && node.outputs[0] == graph.outputs[0].name;
  });
}

class Distillation final : public Task {
 public:
  Distillation(const Recipe& recipe, const sparse::NestedModel& dense, const data::Samples& samples,
               int threads);

  [[nodiscard]] graph::Model model() const override { return dense_.model; }
  [[nodiscard]] Metric metric() const override {
    if (labelled_) return {};
    return {.name = "closeness", .unit = "percent", .title = "closeness %", .field = "closeness"};
  }
  [[nodiscard]] int64_t steps_per_epoch() const override { return steps_per_epoch_; }
  [[nodiscard]] uint64_t digest() const override { return digest_; }
  [[nodiscard]] nlohmann::json facts() const override {
    return {{"data", samples_.name()}, {"train_samples", train_.size()}};
  }
  [[nodiscard]] Batch batch(int64_t step) override;
  [[nodiscard]] at::Tensor answer(Network& network, const Batch& batch, const ModelRoute& route,
                                  const Pass& pass) const override {
    return answer_of(network.forward(0, batch.inputs, route, pass));
  }
  [[nodiscard]] at::Tensor divergence(const at::Tensor& student, const at::Tensor& teacher,
                                      const Batch& batch, double temperature) const override {
    if (labelled_) return Task::divergence(student, teacher, batch, temperature);
    return sample_distances(student, teacher).mean();
  }
  [[nodiscard]] at::Tensor teacher_answer(const Batch& batch) const override {
    const at::NoGradGuard no_grad;
    return answer_of(
        teacher_.forward(batch.inputs, {&dense_tensors_, 1}, teacher_.fixed_route(0), {}));
  }
  [[nodiscard]] std::vector<Evaluation> evaluate(Network& network,
                                                 std::span<const ModelRoute> routes) override;

 private:
  /// One row per sample: the logits where there are labels, else all outputs side by side.
  [[nodiscard]] at::Tensor answer_of(const std::vector<at::Tensor>& outputs) const;
  [[nodiscard]] at::Tensor labels_of(std::span<const int64_t> indices) const;
  [[nodiscard]] uint64_t digest_of_samples() const;

  Recipe recipe_;
  const sparse::NestedModel& dense_;
  const data::Samples& samples_;
  int threads_;
  bool labelled_;
  bool softmax_;
  Executor teacher_;
  LevelTensors dense_tensors_;
  std::vector<int64_t> train_, held_out_;  ///< indices of samples
  uint64_t digest_ = 0;
  int64_t steps_per_epoch_ = 0;
  std::unique_ptr<data::BatchPlan> plan_;
  int64_t plan_epoch_ = -1;
};

Distillation::Distillation(const Recipe& recipe, const sparse::NestedModel& dense,
                           const data::Samples& samples, int threads)
    : Task(recipe.optimizer.label_smoothing),
      recipe_(recipe),
      dense_(dense),
      samples_(samples),
      threads_(threads),
      labelled_(!samples.labels().empty()),
      softmax_(ends_in_softmax(dense.model.graphs.at(0))),
      teacher_(dense.model, dense.model.graphs.at(0)),
      dense_tensors_(level_tensors(dense, 0)) {
  if (labelled_) {
    const graph::ValueInfo& output = dense.model.graphs[0].outputs.at(0);
    const int64_t most = *std::max_element(samples.labels().begin(), samples.labels().end());
    const bool rows = output.shape.size() == 2 && output.shape[1].known();
    if (!rows || output.shape[1].value() <= most) {
      throw Error("the labels of '" + samples.name() + "' go up to " + std::to_string(most) +
                  ", which the network's output " + graph::to_string(output.shape) +
                  " does not tell apart");
    }
  }
  for (int64_t i = 0; i < samples.count(); ++i) {
    const bool held = i % kHeldOutEvery == kHeldOutEvery - 1 &&
                      static_cast<int64_t>(held_out_.size()) < kMostHeldOut;
    (held ? held_out_ : train_).push_back(i);
  }
  if (held_out_.empty()) held_out_ = train_;
  digest_ = digest_of_samples();
  steps_per_epoch_ =
      data::BatchPlan({}, static_cast<int64_t>(train_.size()), recipe.optimizer.batch_size, true)
          .batch_count();
}

uint64_t Distillation::digest_of_samples() const {
  constexpr size_t kChunk = 256;
  uint64_t digest = XXH3_64bits(samples_.labels().data(), samples_.labels().size() * 8);
  std::vector<int64_t> all(static_cast<size_t>(samples_.count()));
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int64_t>(i);
  std::vector<uint8_t> bytes;
  for (size_t input = 0; input < samples_.inputs().size(); ++input) {
    for (size_t begin = 0; begin < all.size(); begin += kChunk) {
      const auto some = std::span(all).subspan(begin, std::min(kChunk, all.size() - begin));
      bytes.resize(some.size() * samples_.inputs()[input].bytes());
      samples_.read(some, input, bytes.data());
      digest = XXH3_64bits_withSeed(bytes.data(), bytes.size(), digest);
    }
  }
  return digest;
}

at::Tensor Distillation::labels_of(std::span<const int64_t> indices) const {
  at::Tensor labels = at::empty({static_cast<int64_t>(indices.size())}, at::kLong);
  for (size_t i = 0; i < indices.size(); ++i) {
    labels.data_ptr<int64_t>()[i] = samples_.labels()[static_cast<size_t>(indices[i])];
  }
  return labels;
}

Batch Distillation::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch_;
  const data::RandomKey key{static_cast<uint64_t>(recipe_.seed), static_cast<uint64_t>(epoch)};
  if (epoch != plan_epoch_) {
    plan_ = std::make_unique<data::BatchPlan>(key, static_cast<int64_t>(train_.size()),
                                              recipe_.optimizer.batch_size, /*drop_last=*/true);
    plan_epoch_ = epoch;
  }
  std::vector<int64_t> indices;
  for (const int64_t i : plan_->batch(step % steps_per_epoch_)) {
    indices.push_back(train_[static_cast<size_t>(i)]);
  }
  const data::Augmentation augmentation{.crop_padding = recipe_.data.augment.crop_padding,
                                        .flip = recipe_.data.augment.flip,
                                        .cutout = recipe_.data.augment.cutout};
  Batch batch;
  for (const data::SampleInput& input : samples_.inputs()) {
    std::vector<int64_t> shape = input.shape;
    shape.insert(shape.begin(), static_cast<int64_t>(indices.size()));
    at::Tensor tensor = at::empty(shape, scalar_type(input.type));
    samples_.read_augmented(indices, batch.inputs.size(), augmentation, key, threads_,
                            tensor.data_ptr());
    if (tensor.dim() == 4) tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
    batch.inputs.push_back(std::move(tensor));
  }
  if (labelled_) batch.targets.push_back(labels_of(indices));
  return batch;
}

at::Tensor Distillation::answer_of(const std::vector<at::Tensor>& outputs) const {
  if (labelled_) {
    return softmax_ ? outputs.at(0).clamp_min(kLeastProbability).log() : outputs.at(0);
  }
  std::vector<at::Tensor> rows;
  for (const at::Tensor& output : outputs) {
    rows.push_back(output.to(at::kFloat).reshape({output.size(0), -1}));
  }
  return rows.size() == 1 ? rows[0] : at::cat(rows, 1);
}

std::vector<Evaluation> Distillation::evaluate(Network& network,
                                               std::span<const ModelRoute> routes) {
  std::vector<Evaluation> result(routes.size());
  const auto count = static_cast<double>(held_out_.size());
  const auto size = static_cast<size_t>(recipe_.eval.batch_size);
  for (size_t begin = 0; begin < held_out_.size(); begin += size) {
    const auto indices =
        std::span(held_out_).subspan(begin, std::min(size, held_out_.size() - begin));
    Batch batch{tensors_of(samples_, indices), {}};
    if (labelled_) batch.targets.push_back(labels_of(indices));
    const at::Tensor wanted = labelled_ ? at::Tensor() : teacher_answer(batch);
    for (size_t r = 0; r < routes.size(); ++r) {
      const at::Tensor answers = answer(network, batch, routes[r], Pass{});
      Score& score = result[r].test;
      if (labelled_) {
        score.value += answers.argmax(1).eq(batch.targets[0]).sum().item<double>() / count;
        score.loss += at::cross_entropy_loss(answers, batch.targets[0], {}, at::Reduction::Sum)
                          .item<double>() /
                      count;
      } else {
        const double distance = sample_distances(answers, wanted).sum().item<double>() / count;
        score.loss += distance;
      }
    }
  }
  for (Evaluation& evaluation : result) {
    if (!labelled_) evaluation.test.value = 1 - evaluation.test.loss;
  }
  return result;
}

}  // namespace

std::unique_ptr<Task> make_distillation(const Recipe& recipe, const sparse::NestedModel& dense,
                                        const data::Samples& samples, int threads) {
  return std::make_unique<Distillation>(recipe, dense, samples, threads);
}

}  // namespace strata::train
