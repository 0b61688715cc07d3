// Runs labelled images through a model, at one level or with a change of level in the middle, and
// counts the right answers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "format/reader.h"
#include "runtime/session.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"
#include "train/progress.h"

namespace strata::cli {

/// An image classifier: one session per thread, each running whole images on its own.
class Classifier {
 public:
  /// Throws Error: a model that is no image classifier, or that the runtime refuses.
  Classifier(const std::shared_ptr<const format::Reader>& reader, int threads);

  [[nodiscard]] const data::ImageShape& input_shape() const { return shape_; }
  [[nodiscard]] int64_t class_count() const { return class_count_; }
  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const {
    return sessions_.front()->steps();
  }

  /// How many of the images `indices` get their label as the largest output, every step running at
  /// its level of `route`. `dataset` must have the input shape. Advances `progress` by one per
  /// image. Throws Error, or Interrupted once the user has asked to stop.
  int64_t count_correct(const data::Dataset& dataset, std::span<const int64_t> indices,
                        const data::Normalisation& normalisation, std::span<const uint8_t> route,
                        Progress& progress);

 private:
  std::vector<std::unique_ptr<runtime::Session>> sessions_;
  data::ImageShape shape_;
  int64_t class_count_ = 0;
};

}  // namespace strata::cli
