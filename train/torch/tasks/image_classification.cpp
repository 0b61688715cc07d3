// Reads a data set of images, augments and normalises them batch by batch, and counts the right
// answers on the test split.
#include "train/torch/tasks/image_classification.h"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "models/resnet.h"
#include "train/data/augment.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"
#include "train/error.h"
#include "train/progress.h"

namespace strata::train {
namespace {

data::Format format_of(DataFormat format) {
  switch (format) {
    case DataFormat::kFolder:
      return data::Format::kFolder;
    case DataFormat::kCifar10:
      return data::Format::kCifar10;
    case DataFormat::kIdx:
      return data::Format::kIdx;
    case DataFormat::kAuto:
      break;
  }
  return data::Format::kAuto;
}

uint64_t digest_of(const data::Dataset& dataset) {
  const uint64_t labels =
      XXH3_64bits(dataset.labels.data(), dataset.labels.size() * sizeof(dataset.labels[0]));
  return XXH3_64bits_withSeed(dataset.pixels.data(), dataset.pixels.size(), labels);
}

class ImageClassification final : public Task {
 public:
  ImageClassification(const Recipe& recipe, const TaskContext& context);

  [[nodiscard]] graph::Model model() const override;
  [[nodiscard]] int64_t steps_per_epoch() const override { return steps_per_epoch_; }
  [[nodiscard]] uint64_t digest() const override { return digest_; }
  [[nodiscard]] nlohmann::json facts() const override {
    return {{"data", train_.name}, {"train_images", train_.count}, {"test_images", test_.count}};
  }
  [[nodiscard]] Batch batch(int64_t step) override;
  [[nodiscard]] std::vector<Evaluation> evaluate(Network& network,
                                                 std::span<const ModelRoute> routes) override;

 private:
  [[nodiscard]] Batch test_batch(int64_t begin, int64_t count) const;
  [[nodiscard]] Batch on_device(const at::Tensor& images, const at::Tensor& labels) const;

  Recipe recipe_;
  TaskContext context_;
  data::Dataset train_;
  data::Dataset test_;
  data::Normalisation normalisation_;
  uint64_t digest_ = 0;
  int64_t steps_per_epoch_ = 0;
  std::unique_ptr<data::BatchPlan> plan_;
  int64_t plan_epoch_ = -1;
};

ImageClassification::ImageClassification(const Recipe& recipe, const TaskContext& context)
    : Task(recipe.optimizer.label_smoothing), recipe_(recipe), context_(context) {
  data::LoadOptions options;
  options.format = format_of(recipe.data.format);
  if (!recipe.model.input.empty()) options.shape = data::parse_image_shape(recipe.model.input);
  options.convert = recipe.data.convert;
  options.holdout = recipe.data.holdout;
  options.threads = context.threads;
  const auto load = [&](data::Split split, int64_t limit) {
    options.limit = limit;
    std::unique_ptr<Progress> progress;
    options.progress = [&](int64_t done, int64_t total) {
      if (progress == nullptr) {
        ProgressOptions shown;
        shown.mode = progress_mode(context.quiet);
        shown.unit = "images";
        progress = std::make_unique<Progress>("reading " + std::string(data::to_string(split)),
                                              total, std::move(shown));
      }
      progress->update(done);
    };
    return data::load(recipe.data.dir, split, options);
  };
  train_ = load(data::Split::kTrain, recipe.data.limit_train);
  options.shape = train_.shape();
  options.classes = train_.classes;
  test_ = load(data::Split::kTest, recipe.data.limit_test);
  normalisation_ = data::measure(train_);
  digest_ = digest_of(train_);
  steps_per_epoch_ =
      data::BatchPlan({}, train_.count, recipe.optimizer.batch_size, true).batch_count();
}

graph::Model ImageClassification::model() const {
  models::ResNetConfig config = value_or_throw(models::resnet_config(recipe_.model.arch));
  if (recipe_.model.width > 0) config.width = recipe_.model.width;
  if (recipe_.model.stem_stride > 0) {
    if (config.stem != models::ResNetStem::kSmall) {
      throw Error("model.stem_stride cannot change the ImageNet stem of '" + recipe_.model.arch +
                  "'; remove the key");
    }
    config.stem_stride = recipe_.model.stem_stride;
  }
  const auto classes = static_cast<int64_t>(train_.classes.size());
  config.classes = recipe_.model.classes > 0 ? recipe_.model.classes : classes;
  if (config.classes < classes) {
    throw Error("model.classes is " + std::to_string(config.classes) + ", but the data set '" +
                train_.name + "' has " + std::to_string(classes) + " classes");
  }
  config.input_channels = train_.channels;
  config.image_height = train_.height;
  config.image_width = train_.width;
  config.keep_ends_dense = recipe_.model.keep_ends_dense;
  graph::Model model = value_or_throw(models::resnet(config));
  data::write_normalisation(normalisation_, model.metadata);
  std::string names;
  for (const std::string& name : train_.classes) names += (names.empty() ? "" : "\n") + name;
  model.metadata["classes"] = names;
  model.metadata["family"] = "image-classification";
  return model;
}

Batch ImageClassification::on_device(const at::Tensor& images, const at::Tensor& labels) const {
  return {{images.contiguous(at::MemoryFormat::ChannelsLast).to(context_.device)},
          {labels.to(context_.device)}};
}

Batch ImageClassification::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch_;
  const data::RandomKey key{static_cast<uint64_t>(recipe_.seed), static_cast<uint64_t>(epoch)};
  if (epoch != plan_epoch_) {
    plan_ = std::make_unique<data::BatchPlan>(key, train_.count, recipe_.optimizer.batch_size,
                                              /*drop_last=*/true);
    plan_epoch_ = epoch;
  }
  const std::span<const int64_t> indices = plan_->batch(step % steps_per_epoch_);
  const auto count = static_cast<int64_t>(indices.size());
  const data::Augmentation augmentation{.crop_padding = recipe_.data.augment.crop_padding,
                                        .flip = recipe_.data.augment.flip,
                                        .cutout = recipe_.data.augment.cutout};
  const at::Tensor images = at::empty({count, train_.channels, train_.height, train_.width});
  const at::Tensor labels = at::empty({count}, at::kLong);
  data::assemble_batch(train_, indices, augmentation, normalisation_, key, images.data_ptr<float>(),
                       context_.threads);
  for (int64_t i = 0; i < count; ++i) {
    labels.data_ptr<int64_t>()[i] =
        train_.labels[static_cast<size_t>(indices[static_cast<size_t>(i)])];
  }
  return on_device(images, labels);
}

Batch ImageClassification::test_batch(int64_t begin, int64_t count) const {
  std::vector<int64_t> indices(static_cast<size_t>(count));
  const at::Tensor images = at::empty({count, test_.channels, test_.height, test_.width});
  const at::Tensor labels = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) {
    indices[static_cast<size_t>(i)] = begin + i;
    labels.data_ptr<int64_t>()[i] = test_.labels[static_cast<size_t>(begin + i)];
  }
  data::to_float(test_, indices, normalisation_, images.data_ptr<float>());
  return on_device(images, labels);
}

std::vector<Evaluation> ImageClassification::evaluate(Network& network,
                                                      std::span<const ModelRoute> routes) {
  std::vector<int64_t> correct(routes.size(), 0);
  std::vector<double> loss(routes.size(), 0);
  for (int64_t begin = 0; begin < test_.count; begin += recipe_.eval.batch_size) {
    const Batch batch = test_batch(begin, std::min(recipe_.eval.batch_size, test_.count - begin));
    for (size_t r = 0; r < routes.size(); ++r) {
      const at::Tensor logits = answer(network, batch, routes[r], Pass{});
      correct[r] += logits.argmax(1).eq(batch.targets[0]).sum().item<int64_t>();
      loss[r] +=
          at::cross_entropy_loss(logits, batch.targets[0], {}, at::Reduction::Sum).item<double>();
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

std::unique_ptr<Task> make_image_classification(const Recipe& recipe, const TaskContext& context) {
  return std::make_unique<ImageClassification>(recipe, context);
}

}  // namespace strata::train
