#include "tools/strata/evaluation.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <sstream>
#include <thread>

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

}  // namespace

Classifier::Classifier(const std::shared_ptr<const format::Reader>& reader, int threads) {
  const std::string path = reader->path();
  for (int t = 0; t < threads; ++t) {
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
}

int64_t Classifier::count_correct(const data::Dataset& dataset, std::span<const int64_t> indices,
                                  const data::Normalisation& normalisation,
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
        data::to_float(dataset, indices.subspan(at, 1), normalisation, image.data());
        throw_if_error(session.run_route({&input, 1}, {&output, 1}, route));
        const auto largest = std::max_element(logits.begin(), logits.end()) - logits.begin();
        if (largest == dataset.labels[static_cast<size_t>(indices[at])]) ++correct;
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

std::vector<SwitchPoint> switch_points(int levels, size_t steps) {
  std::vector<SwitchPoint> points;
  for (int from = levels - 1; from > 0; --from) {
    for (int to = from - 1; to >= 0; --to) {
      for (size_t step = 1; step < steps; ++step) points.push_back({step, from, to});
    }
  }
  return points;
}

std::vector<uint8_t> route_of(const SwitchPoint& point, size_t steps) {
  std::vector<uint8_t> route(steps, static_cast<uint8_t>(point.to));
  std::fill(route.begin(), route.begin() + static_cast<std::ptrdiff_t>(point.step),
            static_cast<uint8_t>(point.from));
  return route;
}

data::Dataset load_test_images(const Console& console, const format::Reader& reader,
                               const Classifier& classifier, const TestImages& images) {
  data::LoadOptions options;
  options.shape = classifier.input_shape();
  options.convert = images.convert;
  options.classes = class_names(reader.model());
  options.limit = images.limit;
  options.threads = images.threads;
  ProgressOptions progress_options;
  progress_options.mode = progress_mode(console.quiet);
  progress_options.unit = "images";
  std::unique_ptr<Progress> progress;
  options.progress = [&](int64_t done, int64_t total) {
    stop_if_interrupted();
    if (!progress) progress = std::make_unique<Progress>("load", total, progress_options);
    progress->update(done);
  };
  data::Dataset dataset = data::load(images.dir, data::Split::kTest, options);
  const auto classes = static_cast<int64_t>(dataset.classes.size());
  if (classes != classifier.class_count()) {
    throw Error("'" + images.dir + "' has " + std::to_string(classes) + " classes, but '" +
                reader.path() + "' tells " + std::to_string(classifier.class_count()) +
                " apart; evaluate it on the data set that it was made for");
  }
  if (dataset.count == 0) throw Error("'" + images.dir + "' has no test images");
  return dataset;
}

}  // namespace strata::cli
