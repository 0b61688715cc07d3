#include "tools/strata/parallel_classification.h"

#include <algorithm>
#include <atomic>

#include "tools/strata/each_sample.h"
#include "train/error.h"

namespace strata::cli {

ParallelClassification::ParallelClassification(const std::shared_ptr<const format::Reader>& reader,
                                               int threads, const graph::Bindings& bindings) {
  runtime::SessionOptions options;
  options.bindings = bindings;
  for (int t = 0; t < threads; ++t) {
    sessions_.push_back(value_or_throw(runtime::Session::create(reader, options)));
  }
}

int64_t ParallelClassification::classify(runtime::Session& session,
                                         const ClassifiedSamples& samples, int64_t sample,
                                         std::span<const uint8_t> route, std::span<float> input,
                                         std::span<float> logits, std::span<float> sum) {
  const runtime::InputView in{input};
  const runtime::OutputView out{logits};
  std::fill(sum.begin(), sum.end(), 0.0F);
  for (int64_t view = 0; view < samples.views; ++view) {
    samples.fill(sample, view, input);
    throw_if_error(session.run_route({&in, 1}, {&out, 1}, route));
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += logits[i];
  }
  return std::max_element(sum.begin(), sum.end()) - sum.begin();
}

int64_t ParallelClassification::count_correct(const ClassifiedSamples& samples,
                                              std::span<const int64_t> indices,
                                              std::span<const uint8_t> route, Progress& progress) {
  struct Room {
    std::vector<float> input, logits, sum;
  };
  const runtime::Session& like = session();
  size_t elements = 1;
  for (const graph::Dim& dim : like.inputs().front().shape) {
    elements *= static_cast<size_t>(dim.value());
  }
  const auto classes = static_cast<size_t>(like.outputs().front().shape.back().value());
  std::vector<Room> rooms(sessions_.size());
  for (Room& room : rooms) {
    room.input.resize(elements);
    room.logits.resize(classes);
    room.sum.resize(classes);
  }
  std::atomic<int64_t> correct{0};
  for_each_sample(indices.size(), sessions_.size(), progress, [&](size_t at, size_t worker) {
    Room& room = rooms[worker];
    const int64_t sample = indices[at];
    const int64_t answer =
        classify(*sessions_[worker], samples, sample, route, room.input, room.logits, room.sum);
    if (answer == samples.labels[static_cast<size_t>(sample)]) ++correct;
  });
  return correct;
}

}  // namespace strata::cli
