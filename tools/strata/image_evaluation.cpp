// Labelled images through an image classifier, one session per thread, each running whole images on
// its own.
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <sstream>
#include <thread>

#include "tools/strata/evaluation.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"
#include "train/error.h"

namespace strata::cli {
namespace {

/// Class names as the model knows them, by label; empty if it does not.
std::vector<std::string> class_names(const graph::Model& model) {
  std::vector<std::string> names;
  const auto found = model.metadata.find("classes");
  if (found == model.metadata.end()) return names;
  std::istringstream lines(found->second);
  std::string line;
  while (std::getline(lines, line)) names.push_back(line);
  return names;
}

class ImageEvaluator final : public Evaluator {
 public:
  ImageEvaluator(const Console& console, const std::shared_ptr<const format::Reader>& reader,
                 const EvaluationOptions& options);

  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const override {
    return sessions_.front()->steps();
  }
  [[nodiscard]] std::string data_name() const override { return dataset_.name; }
  [[nodiscard]] std::string sample_unit() const override { return "images"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return limit > 0 ? std::min(limit, dataset_.count) : dataset_.count;
  }
  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override;

 private:
  void load(const Console& console, const format::Reader& reader, const EvaluationOptions& options);
  int64_t count_correct(std::span<const int64_t> indices, std::span<const uint8_t> route,
                        Progress& progress);

  std::vector<std::unique_ptr<runtime::Session>> sessions_;
  data::ImageShape shape_;
  int64_t class_count_ = 0;
  data::Dataset dataset_;
  data::Normalisation normalisation_;
};

ImageEvaluator::ImageEvaluator(const Console& console,
                               const std::shared_ptr<const format::Reader>& reader,
                               const EvaluationOptions& options) {
  const std::string path = reader->path();
  for (int t = 0; t < options.threads; ++t) {
    sessions_.push_back(value_or_throw(runtime::Session::create(reader, {})));
  }
  const auto& inputs = sessions_.front()->inputs();
  const auto& outputs = sessions_.front()->outputs();
  if (inputs.size() != 1 || outputs.size() != 1 || inputs[0].shape.size() != 4 ||
      outputs[0].shape.size() != 2) {
    throw Error("'" + path + "' is no image classifier: eval needs one input [batch,C,H,W] and " +
                "one output [batch,classes]");
  }
  const graph::Shape& shape = inputs[0].shape;
  shape_ = {shape[1].value(), shape[2].value(), shape[3].value()};
  class_count_ = outputs[0].shape[1].value();
  load(console, *reader, options);
  normalisation_ = data::read_normalisation(reader->model().metadata, shape_.channels);
}

ImageEvaluator::Figure ImageEvaluator::measure(int64_t limit, std::span<const uint8_t> route,
                                               Progress& progress) {
  const auto indices = data::spread_over_classes(dataset_.labels, limit);
  const int64_t correct = count_correct(indices, route, progress);
  return {100.0 * static_cast<double>(correct) / static_cast<double>(indices.size()), correct};
}

int64_t ImageEvaluator::count_correct(std::span<const int64_t> indices,
                                      std::span<const uint8_t> route, Progress& progress) {
  std::atomic<size_t> next{0};
  std::atomic<int64_t> correct{0};
  std::atomic<bool> failed{false};
  std::exception_ptr failure;
  std::mutex failure_lock;

  const auto work = [&](runtime::Session& session, bool reports) {
    try {
      std::vector<float> image(static_cast<size_t>(shape_.elements()));
      std::vector<float> logits(static_cast<size_t>(class_count_));
      const runtime::InputView input{image};
      const runtime::OutputView output{logits};
      size_t reported = 0;
      while (!failed) {
        const size_t at = next.fetch_add(1);
        if (at >= indices.size()) break;
        stop_if_interrupted();
        data::to_float(dataset_, indices.subspan(at, 1), normalisation_, image.data());
        throw_if_error(session.run_route({&input, 1}, {&output, 1}, route));
        const auto largest = std::max_element(logits.begin(), logits.end()) - logits.begin();
        if (largest == dataset_.labels[static_cast<size_t>(indices[at])]) ++correct;
        if (reports) {
          progress.advance(static_cast<int64_t>(at + 1 - reported));
          reported = at + 1;
        }
      }
      if (reports) progress.advance(static_cast<int64_t>(indices.size() - reported));
    } catch (...) {
      const std::lock_guard guard(failure_lock);
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  };

  {
    std::vector<std::jthread> threads;
    for (size_t t = 1; t < sessions_.size(); ++t) {
      threads.emplace_back([&, t] { work(*sessions_[t], false); });
    }
    work(*sessions_.front(), true);
  }
  if (failure) std::rethrow_exception(failure);
  return correct;
}

void ImageEvaluator::load(const Console& console, const format::Reader& reader,
                          const EvaluationOptions& options) {
  data::LoadOptions loading;
  loading.shape = shape_;
  loading.convert = options.convert;
  loading.classes = class_names(reader.model());
  loading.limit = options.limit;
  loading.threads = options.threads;
  ProgressOptions progress_options;
  progress_options.mode = progress_mode(console.quiet);
  progress_options.unit = "images";
  std::unique_ptr<Progress> progress;
  loading.progress = [&](int64_t done, int64_t total) {
    stop_if_interrupted();
    if (!progress) progress = std::make_unique<Progress>("load", total, progress_options);
    progress->update(done);
  };
  dataset_ = data::load(options.data, data::Split::kTest, loading);
  const auto classes = static_cast<int64_t>(dataset_.classes.size());
  if (classes != class_count_) {
    throw Error("'" + options.data + "' has " + std::to_string(classes) + " classes, but '" +
                reader.path() + "' tells " + std::to_string(class_count_) +
                " apart; evaluate it on the data set that it was made for");
  }
  if (dataset_.count == 0) throw Error("'" + options.data + "' has no test images");
}

}  // namespace

std::unique_ptr<Evaluator> make_image_evaluator(const Console& console,
                                                const std::shared_ptr<const format::Reader>& reader,
                                                const EvaluationOptions& options) {
  return std::make_unique<ImageEvaluator>(console, reader, options);
}

}  // namespace strata::cli
