// Labelled point clouds through a classifier of them; several views of a cloud may vote.
#include <algorithm>
#include <utility>

#include "tools/strata/evaluation.h"
#include "tools/strata/image_loading.h"
#include "tools/strata/parallel_classification.h"
#include "tools/strata/point_input.h"
#include "train/data/point_augment.h"
#include "train/data/point_cloud.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class PointEvaluator final : public Evaluator {
 public:
  PointEvaluator(const std::shared_ptr<const format::Reader>& reader,
                 const EvaluationOptions& options)
      : input_(point_input(*reader)), classification_(reader, options.threads) {
    data::PointCloudOptions wanted;
    wanted.points = input_.points;
    wanted.normals = input_.normals;
    wanted.limit = options.limit;
    wanted.classes = class_names(reader->model());
    wanted.threads = options.threads;
    clouds_ = data::load_point_clouds(options.data, data::Split::kTest, wanted);
    if (static_cast<int64_t>(clouds_.classes.size()) > input_.classes) {
      throw Error("'" + clouds_.name + "' has " + std::to_string(clouds_.classes.size()) +
                  " classes, but '" + reader->path() + "' tells " + std::to_string(input_.classes) +
                  " apart; evaluate it on the data set that it was made for");
    }
    samples_.labels = clouds_.labels;
    samples_.views = options.votes;
    samples_.fill = [this, votes = options.votes](int64_t cloud, int64_t view,
                                                  std::span<float> out) {
      data::view_of_cloud(clouds_.cloud(cloud), clouds_.points, clouds_.width(), view, votes,
                          input_.turned, out.data());
    };
  }

  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const override {
    return classification_.session().steps();
  }
  [[nodiscard]] std::string data_name() const override { return clouds_.name; }
  [[nodiscard]] std::string sample_unit() const override { return "clouds"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return limit > 0 ? std::min(limit, clouds_.count) : clouds_.count;
  }
  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override {
    const auto indices = data::spread_over_classes(clouds_.labels, limit);
    const int64_t correct = classification_.count_correct(samples_, indices, route, progress);
    return {100.0 * static_cast<double>(correct) / static_cast<double>(indices.size()), correct};
  }

 private:
  PointInput input_;
  ParallelClassification classification_;
  data::PointClouds clouds_;
  ClassifiedSamples samples_;
};

}  // namespace

std::unique_ptr<Evaluator> make_point_evaluator(const std::shared_ptr<const format::Reader>& reader,
                                                const EvaluationOptions& options) {
  return std::make_unique<PointEvaluator>(reader, options);
}

}  // namespace strata::cli
