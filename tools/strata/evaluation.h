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
#include "tools/strata/console.h"
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

/// Steps below `step` run at level `from`, the others at `to`.
struct SwitchPoint {
  size_t step = 0;
  int from = 0;
  int to = 0;
};

/// From every level to every sparser one, before every step but the first.
std::vector<SwitchPoint> switch_points(int levels, size_t steps);
std::vector<uint8_t> route_of(const SwitchPoint& point, size_t steps);

struct TestImages {
  std::string dir;       ///< image folders, CIFAR-10 binary or IDX
  int64_t limit = 0;     ///< at most so many, spread over the classes; 0: all
  bool convert = false;  ///< make images of another size or colour fit
  int threads = 1;
};

/// The test split of a data set with the model's classes and image shape. Throws Error, or
/// Interrupted once the user has asked to stop.
data::Dataset load_test_images(const Console& console, const format::Reader& reader,
                               const Classifier& classifier, const TestImages& images);

}  // namespace strata::cli
