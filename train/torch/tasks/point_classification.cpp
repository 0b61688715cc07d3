// Augments clouds batch by batch, and counts the right answers on the test split, where several
// views of a cloud may vote.
#include "train/torch/tasks/point_classification.h"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "models/pointnet2.h"
#include "train/data/parallel.h"
#include "train/data/point_augment.h"
#include "train/data/point_cloud.h"
#include "train/error.h"

namespace strata::train {
namespace {

models::PointNetConfig config_of(const Recipe& recipe) {
  models::PointNetConfig config = value_or_throw(models::pointnet_config(recipe.model.arch));
  if (recipe.model.width > 0) config.width = recipe.model.width;
  if (recipe.data.points > 0) config.points = recipe.data.points;
  config.normals = recipe.model.normals;
  config.dropout = static_cast<float>(recipe.model.dropout);
  config.keep_ends_dense = recipe.model.keep_ends_dense;
  return config;
}

class PointClassification final : public Task {
 public:
  PointClassification(const Recipe& recipe, const TaskContext& context);

  [[nodiscard]] graph::Model model() const override;
  [[nodiscard]] int64_t steps_per_epoch() const override { return steps_per_epoch_; }
  [[nodiscard]] uint64_t digest() const override;
  [[nodiscard]] nlohmann::json facts() const override {
    return {{"data", train_.name},
            {"train_clouds", train_.count},
            {"test_clouds", test_.count},
            {"points", train_.points}};
  }
  [[nodiscard]] Batch batch(int64_t step) override;
  [[nodiscard]] std::vector<Evaluation> evaluate(Network& network,
                                                 std::span<const ModelRoute> routes) override;

 private:
  /// `fill(i, out)` writes cloud i of `indices`.
  template <typename Fill>
  [[nodiscard]] Batch batch_of(const data::PointClouds& clouds, std::span<const int64_t> indices,
                               const Fill& fill) const;

  Recipe recipe_;
  TaskContext context_;
  data::PointClouds train_;
  data::PointClouds test_;
  int64_t steps_per_epoch_ = 0;
  std::unique_ptr<data::BatchPlan> plan_;
  int64_t plan_epoch_ = -1;
};

PointClassification::PointClassification(const Recipe& recipe, const TaskContext& context)
    : Task(recipe.optimizer.label_smoothing), recipe_(recipe), context_(context) {
  data::PointCloudOptions options;
  options.points = config_of(recipe).points;
  options.normals = recipe.model.normals;
  options.threads = context.threads;
  options.limit = recipe.data.limit_train;
  train_ = data::load_point_clouds(recipe.data.dir, data::Split::kTrain, options);
  options.limit = recipe.data.limit_test;
  test_ = data::load_point_clouds(recipe.data.dir, data::Split::kTest, options);
  if (test_.classes.size() > train_.classes.size()) {
    throw Error("the test clouds of '" + train_.name + "' have " +
                std::to_string(test_.classes.size()) + " classes, the training clouds " +
                std::to_string(train_.classes.size()));
  }
  steps_per_epoch_ =
      data::BatchPlan({}, train_.count, recipe.optimizer.batch_size, true).batch_count();
}

graph::Model PointClassification::model() const {
  models::PointNetConfig config = config_of(recipe_);
  const auto classes = static_cast<int64_t>(train_.classes.size());
  config.classes = recipe_.model.classes > 0 ? recipe_.model.classes : classes;
  if (config.classes < classes) {
    throw Error("model.classes is " + std::to_string(config.classes) + ", but the clouds of '" +
                train_.name + "' have " + std::to_string(classes) + " classes");
  }
  graph::Model model = value_or_throw(models::pointnet(config));
  std::string names;
  for (const std::string& name : train_.classes) names += (names.empty() ? "" : "\n") + name;
  model.metadata["classes"] = names;
  if (recipe_.data.augment.rotate) model.metadata["input.turned"] = "y";
  return model;
}

uint64_t PointClassification::digest() const {
  const uint64_t labels =
      XXH3_64bits(train_.labels.data(), train_.labels.size() * sizeof(train_.labels[0]));
  return XXH3_64bits_withSeed(train_.values.data(), train_.values.size() * sizeof(float), labels);
}

template <typename Fill>
Batch PointClassification::batch_of(const data::PointClouds& clouds,
                                    std::span<const int64_t> indices, const Fill& fill) const {
  const auto count = static_cast<int64_t>(indices.size());
  const int64_t floats = clouds.points * clouds.width();
  const at::Tensor points = at::empty({count, clouds.points, clouds.width()});
  const at::Tensor labels = at::empty({count}, at::kLong);
  float* const out = points.data_ptr<float>();
  data::for_each_item(count, context_.threads, [&](int64_t i) {
    const int64_t cloud = indices[static_cast<size_t>(i)];
    fill(cloud, out + i * floats);
    labels.data_ptr<int64_t>()[i] = clouds.labels[static_cast<size_t>(cloud)];
  });
  return {{points.to(context_.device)}, {labels.to(context_.device)}};
}

Batch PointClassification::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch_;
  const data::RandomKey key{static_cast<uint64_t>(recipe_.seed), static_cast<uint64_t>(epoch)};
  if (epoch != plan_epoch_) {
    plan_ = std::make_unique<data::BatchPlan>(key, train_.count, recipe_.optimizer.batch_size,
                                              /*drop_last=*/true);
    plan_epoch_ = epoch;
  }
  const auto& wanted = recipe_.data.augment;
  const data::PointAugmentation augmentation{.point_dropout = wanted.point_dropout,
                                             .rotate = wanted.rotate,
                                             .scale = wanted.scale,
                                             .shift = wanted.shift,
                                             .jitter = wanted.jitter};
  return batch_of(train_, plan_->batch(step % steps_per_epoch_), [&](int64_t cloud, float* out) {
    data::augment_cloud(train_.cloud(cloud), train_.points, train_.width(), augmentation, key,
                        cloud, out);
  });
}

std::vector<Evaluation> PointClassification::evaluate(Network& network,
                                                      std::span<const ModelRoute> routes) {
  std::vector<int64_t> correct(routes.size(), 0);
  std::vector<double> loss(routes.size(), 0);
  for (int64_t begin = 0; begin < test_.count; begin += recipe_.eval.batch_size) {
    std::vector<int64_t> indices;
    const int64_t end = std::min(begin + recipe_.eval.batch_size, test_.count);
    for (int64_t i = begin; i < end; ++i) indices.push_back(i);
    std::vector<at::Tensor> sums(routes.size());
    Batch batch;
    for (int64_t vote = 0; vote < recipe_.eval.votes; ++vote) {
      batch = batch_of(test_, indices, [&](int64_t cloud, float* out) {
        data::view_of_cloud(test_.cloud(cloud), test_.points, test_.width(), vote,
                            recipe_.eval.votes, recipe_.data.augment.rotate, out);
      });
      for (size_t r = 0; r < routes.size(); ++r) {
        const at::Tensor logits = answer(network, batch, routes[r], Pass{});
        sums[r] = sums[r].defined() ? sums[r] + logits : logits;
      }
    }
    for (size_t r = 0; r < routes.size(); ++r) {
      const at::Tensor mean = sums[r] / static_cast<double>(recipe_.eval.votes);
      correct[r] += mean.argmax(1).eq(batch.targets[0]).sum().item<int64_t>();
      loss[r] +=
          at::cross_entropy_loss(mean, batch.targets[0], {}, at::Reduction::Sum).item<double>();
    }
  }
  std::vector<Evaluation> result(routes.size());
  const auto count = static_cast<double>(test_.count);
  for (size_t r = 0; r < routes.size(); ++r) {
    result[r].test = {static_cast<double>(correct[r]) / count, loss[r] / count};
  }
  return result;
}

}  // namespace

std::unique_ptr<Task> make_point_classification(const Recipe& recipe, const TaskContext& context) {
  return std::make_unique<PointClassification>(recipe, context);
}

}  // namespace strata::train
