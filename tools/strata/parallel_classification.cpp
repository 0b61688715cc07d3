#include "tools/strata/parallel_classification.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "tools/strata/console.h"
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
  std::atomic<size_t> next{0};
  std::atomic<int64_t> correct{0};
  std::atomic<bool> failed{false};
  std::exception_ptr failure;
  std::mutex failure_lock;

  const auto work = [&](runtime::Session& session, bool reports) {
    try {
      size_t elements = 1;
      for (const graph::Dim& dim : session.inputs().front().shape) {
        elements *= static_cast<size_t>(dim.value());
      }
      std::vector<float> input(elements);
      std::vector<float> logits(
          static_cast<size_t>(session.outputs().front().shape.back().value()));
      std::vector<float> sum(logits.size());
      size_t reported = 0;
      while (!failed) {
        const size_t at = next.fetch_add(1);
        if (at >= indices.size()) break;
        stop_if_interrupted();
        const int64_t sample = indices[at];
        const int64_t answer = classify(session, samples, sample, route, input, logits, sum);
        if (answer == samples.labels[static_cast<size_t>(sample)]) ++correct;
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

}  // namespace strata::cli
