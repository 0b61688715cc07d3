// Labelled images through an image classifier, one session per thread, each running whole images on
// its own.
#include <algorithm>
#include <atomic>
#include <utility>

#include "tools/strata/each_sample.h"
#include "tools/strata/evaluation.h"
#include "tools/strata/image_loading.h"
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
    return sessions_.front()->steps();
  }
  [[nodiscard]] std::string data_name() const override { return dataset_->name; }
  [[nodiscard]] std::string sample_unit() const override { return "images"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return limit > 0 ? std::min(limit, dataset_->count) : dataset_->count;
  }
  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override;

 private:
  int64_t count_correct(std::span<const int64_t> indices, std::span<const uint8_t> route,
                        Progress& progress);

  std::shared_ptr<const format::Reader> reader_;
  std::vector<std::unique_ptr<runtime::Session>> sessions_;
  ImageInput input_;
  std::shared_ptr<const data::Dataset> dataset_;
};

ImageEvaluator::ImageEvaluator(const std::shared_ptr<const format::Reader>& reader, int threads)
    : reader_(reader) {
  for (int t = 0; t < threads; ++t) {
    sessions_.push_back(value_or_throw(runtime::Session::create(reader, {})));
  }
  input_ = image_input(*sessions_.front(), *reader);
}

ImageEvaluator::Figure ImageEvaluator::measure(int64_t limit, std::span<const uint8_t> route,
                                               Progress& progress) {
  const auto indices = data::spread_over_classes(dataset_->labels, limit);
  const int64_t correct = count_correct(indices, route, progress);
  return {100.0 * static_cast<double>(correct) / static_cast<double>(indices.size()), correct};
}

int64_t ImageEvaluator::count_correct(std::span<const int64_t> indices,
                                      std::span<const uint8_t> route, Progress& progress) {
  struct Buffers {
    std::vector<float> image, logits;
  };
  std::vector<Buffers> buffers(sessions_.size());
  for (Buffers& one : buffers) {
    one.image.resize(static_cast<size_t>(input_.shape.elements()));
    one.logits.resize(static_cast<size_t>(input_.classes));
  }
  std::atomic<int64_t> correct{0};
  for_each_sample(indices.size(), sessions_.size(), progress, [&](size_t at, size_t worker) {
    auto& [image, logits] = buffers[worker];
    data::to_float(*dataset_, indices.subspan(at, 1), input_.normalisation, image.data());
    const runtime::InputView input{image};
    const runtime::OutputView output{logits};
    throw_if_error(sessions_[worker]->run_route({&input, 1}, {&output, 1}, route));
    const auto largest = std::max_element(logits.begin(), logits.end()) - logits.begin();
    if (largest == dataset_->labels[static_cast<size_t>(indices[at])]) ++correct;
  });
  return correct;
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
