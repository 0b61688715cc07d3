// Labelled images through an image classifier.
#include <algorithm>
#include <utility>

#include "tools/strata/evaluation.h"
#include "tools/strata/image_loading.h"
#include "tools/strata/parallel_classification.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class ImageEvaluator final : public Evaluator {
 public:
  ImageEvaluator(const std::shared_ptr<const format::Reader>& reader, int threads);

  /// The test split of the data that this model is for.
  [[nodiscard]] data::Dataset load(const Console& console, const EvaluationOptions& options) const;
  /// Throws Error if they are not for this model.
  void use(std::shared_ptr<const data::Dataset> dataset);

  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const override {
    return classification_.session().steps();
  }
  [[nodiscard]] std::string data_name() const override { return dataset_->name; }
  [[nodiscard]] std::string sample_unit() const override { return "images"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return limit > 0 ? std::min(limit, dataset_->count) : dataset_->count;
  }
  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override;

 private:
  std::shared_ptr<const format::Reader> reader_;
  ParallelClassification classification_;
  ImageInput input_;
  std::shared_ptr<const data::Dataset> dataset_;
};

ImageEvaluator::ImageEvaluator(const std::shared_ptr<const format::Reader>& reader, int threads)
    : reader_(reader),
      classification_(reader, threads),
      input_(image_input(classification_.session(), *reader)) {}

ImageEvaluator::Figure ImageEvaluator::measure(int64_t limit, std::span<const uint8_t> route,
                                               Progress& progress) {
  const auto indices = data::spread_over_classes(dataset_->labels, limit);
  ClassifiedSamples samples;
  samples.labels = dataset_->labels;
  samples.fill = [this](int64_t image, int64_t /*view*/, std::span<float> out) {
    data::to_float(*dataset_, {&image, 1}, input_.normalisation, out.data());
  };
  const int64_t correct = classification_.count_correct(samples, indices, route, progress);
  return {100.0 * static_cast<double>(correct) / static_cast<double>(indices.size()), correct};
}

data::Dataset ImageEvaluator::load(const Console& console, const EvaluationOptions& options) const {
  data::LoadOptions loading;
  loading.shape = input_.shape;
  loading.convert = options.convert;
  loading.classes = class_names(reader_->model());
  loading.limit = options.limit;
  loading.threads = options.threads;
  data::Dataset dataset = load_images(console, options.data, data::Split::kTest, loading);
  if (dataset.count == 0) throw Error("'" + options.data + "' has no test images");
  return dataset;
}

void ImageEvaluator::use(std::shared_ptr<const data::Dataset> dataset) {
  const auto classes = static_cast<int64_t>(dataset->classes.size());
  if (classes != input_.classes || dataset->shape() != input_.shape) {
    throw Error("'" + dataset->name + "' has " + std::to_string(classes) + " classes, but '" +
                reader_->path() + "' tells " + std::to_string(input_.classes) +
                " apart; evaluate it on the data set that it was made for");
  }
  dataset_ = std::move(dataset);
}

}  // namespace

std::vector<std::unique_ptr<Evaluator>> make_image_evaluators(
    const Console& console, std::span<const std::shared_ptr<const format::Reader>> readers,
    const EvaluationOptions& options) {
  std::shared_ptr<const data::Dataset> dataset;
  std::vector<std::unique_ptr<Evaluator>> evaluators;
  for (const auto& reader : readers) {
    auto evaluator = std::make_unique<ImageEvaluator>(reader, options.threads);
    if (!dataset) dataset = std::make_shared<data::Dataset>(evaluator->load(console, options));
    evaluator->use(dataset);
    evaluators.push_back(std::move(evaluator));
  }
  return evaluators;
}

}  // namespace strata::cli
