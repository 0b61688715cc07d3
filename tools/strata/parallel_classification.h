// Runs a classifier over many samples, one session per thread, each running whole samples on its
// own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "format/reader.h"
#include "runtime/session.h"
#include "train/progress.h"

namespace strata::cli {

/// Where samples come from. A sample may have several views, whose answers are added up.
struct ClassifiedSamples {
  /// Writes one view of a sample in the form of the model's input. Called from several threads.
  std::function<void(int64_t sample, int64_t view, std::span<float> input)> fill;
  std::span<const int32_t> labels;
  int64_t views = 1;
};

class ParallelClassification {
 public:
  /// Throws Error: a model that cannot be run with these sizes.
  ParallelClassification(const std::shared_ptr<const format::Reader>& reader, int threads,
                         const graph::Bindings& bindings = {});

  [[nodiscard]] const runtime::Session& session() const { return *sessions_.front(); }

  /// Precondition: the model has one input of float32 and one output [batch, classes].
  /// How many of the samples `indices` are classified right along `route`. Advances `progress` by
  /// the number of samples. Throws Error, or Interrupted.
  int64_t count_correct(const ClassifiedSamples& samples, std::span<const int64_t> indices,
                        std::span<const uint8_t> route, Progress& progress);

 private:
  /// The class of one sample; `input` and `logits` are room for it.
  static int64_t classify(runtime::Session& session, const ClassifiedSamples& samples,
                          int64_t sample, std::span<const uint8_t> route, std::span<float> input,
                          std::span<float> logits, std::span<float> sum);

  std::vector<std::unique_ptr<runtime::Session>> sessions_;
};

}  // namespace strata::cli
