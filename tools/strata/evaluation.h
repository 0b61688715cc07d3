// What a model is worth on test data, at one level or with a change of level in the middle. There
// is an evaluator for each family of models.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "format/reader.h"
#include "runtime/session.h"
#include "tools/strata/console.h"
#include "train/metric.h"
#include "train/progress.h"

namespace strata::cli {

struct EvaluationOptions {
  /// Image folders, CIFAR-10 binary, IDX, point clouds, the .npz file of a graph or of a network's
  /// inputs, or parallel text (the path without its language, or a tab-separated file).
  std::string data;
  int64_t limit = 0;     ///< at most so many samples, spread over the classes; 0: all
  bool convert = false;  ///< make images of another size or colour fit
  int64_t votes = 1;     ///< views of a cloud whose answers are added up
  int threads = 1;
  int64_t beam = 5;  ///< hypotheses of a translator
};

/// A model and the test split of a data set.
class Evaluator {
 public:
  Evaluator() = default;
  virtual ~Evaluator() = default;
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  [[nodiscard]] virtual const std::vector<runtime::StepInfo>& steps() const = 0;
  [[nodiscard]] virtual std::string data_name() const = 0;
  [[nodiscard]] virtual Metric metric() const { return {}; }
  /// How the metric is computed, where there are several ways; else empty.
  [[nodiscard]] virtual std::string signature() const { return {}; }
  [[nodiscard]] virtual std::string sample_unit() const = 0;  ///< "images", "nodes", …

  /// How many samples measure() looks at; `limit` 0: all that were loaded.
  [[nodiscard]] virtual int64_t sample_count(int64_t limit) const = 0;

  struct Figure {
    double value = 0;                ///< the metric, as it is shown
    std::optional<int64_t> correct;  ///< samples, if the metric counts right answers
  };
  /// The metric on at most `limit` samples spread over the classes, every step running at its level
  /// of `route`. Advances `progress` by the number of samples. Throws Error, or Interrupted once
  /// the user has asked to stop.
  virtual Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) = 0;
};

/// The evaluator of the model's family, its data loaded. Throws Error: data that cannot be read or
/// that are not the model's, a model that cannot be evaluated; or Interrupted.
std::unique_ptr<Evaluator> make_evaluator(const Console& console,
                                          const std::shared_ptr<const format::Reader>& reader,
                                          const EvaluationOptions& options);

/// The same for one family; make_evaluator() chooses among them. Several image classifiers share
/// the data, which must fit all of them.
std::vector<std::unique_ptr<Evaluator>> make_image_evaluators(
    const Console& console, std::span<const std::shared_ptr<const format::Reader>> readers,
    const EvaluationOptions& options);
std::unique_ptr<Evaluator> make_point_evaluator(const std::shared_ptr<const format::Reader>& reader,
                                                const EvaluationOptions& options);
std::unique_ptr<Evaluator> make_node_evaluator(const std::shared_ptr<const format::Reader>& reader,
                                               const EvaluationOptions& options);
std::unique_ptr<Evaluator> make_translation_evaluator(
    const std::shared_ptr<const format::Reader>& reader, const EvaluationOptions& options);
/// For a network of any kind, from an .npz file with its inputs. Without labels its metric is
/// output_distance_metric().
std::unique_ptr<Evaluator> make_array_evaluator(const Console& console,
                                                const std::shared_ptr<const format::Reader>& reader,
                                                const EvaluationOptions& options);

/// |output - reference|^2 / |reference|^2, the reference being the least sparse level's; the one
/// metric of which less is better.
Metric output_distance_metric();

/// Steps below `step` run at level `from`, the others at `to`.
struct SwitchPoint {
  size_t step = 0;
  int from = 0;
  int to = 0;
};

/// From every level to every sparser one, before every step but the first.
std::vector<SwitchPoint> switch_points(int levels, size_t steps);
std::vector<uint8_t> route_of(const SwitchPoint& point, size_t steps);

}  // namespace strata::cli
