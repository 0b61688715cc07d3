// Arrays through a network of any kind, sample by sample: right answers where there are labels,
// else how far a level's outputs are from those of the least sparse level.
#include <algorithm>
#include <memory>
#include <vector>

#include "tools/strata/each_sample.h"
#include "tools/strata/evaluation.h"
#include "tools/strata/level_comparison.h"
#include "tools/strata/sample_loading.h"
#include "tools/strata/session_buffers.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class ArrayEvaluator final : public Evaluator {
 public:
  ArrayEvaluator(const Console& console, const std::shared_ptr<const format::Reader>& reader,
                 const EvaluationOptions& options)
      : samples_(load_samples(console, reader->model(), data::Split::kTest,
                              {.path = options.data, .threads = options.threads})),
        limit_(options.limit),
        top_(reader->level_count() - 1) {
    runtime::SessionOptions session;
    session.bindings = bindings_of(reader->model().graphs.front(), *samples_);
    session.whole_batch = true;  // a sample is one inference, and a step of it one switch point
    const auto make = [&] {
      return std::make_unique<SessionBuffers>(
          value_or_throw(runtime::Session::create(reader, session)));
    };
    for (int t = 0; t < options.threads; ++t) {
      sessions_.push_back(make());
      if (!labelled()) references_.push_back(make());
    }
  }

  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const override {
    return sessions_.front()->session().steps();
  }
  [[nodiscard]] std::string data_name() const override { return samples_->name(); }
  [[nodiscard]] Metric metric() const override {
    if (labelled()) return {};
    return output_distance_metric();
  }
  [[nodiscard]] std::string sample_unit() const override { return "samples"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return static_cast<int64_t>(chosen(limit).size());
  }

  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override {
    const std::vector<int64_t> indices = chosen(limit);
    std::vector<double> values(indices.size());  // a place each: sums do not depend on threads
    for_each_sample(indices.size(), sessions_.size(), progress, [&](size_t at, size_t worker) {
      SessionBuffers& session = *sessions_[worker];
      feed(indices[at], session);
      session.run_route(route);
      if (labelled()) {
        const int64_t label = samples_->labels()[static_cast<size_t>(indices[at])];
        values[at] = answers(session, label) ? 1 : 0;
        return;
      }
      feed(indices[at], *references_[worker]);
      references_[worker]->run(top_);
      values[at] = output_distance(session, *references_[worker]);
    });
    double sum = 0;
    for (const double value : values) sum += value;
    const auto count = static_cast<double>(values.size());
    if (!labelled()) return {sum / count, {}};
    return {100 * sum / count, static_cast<int64_t>(sum)};
  }

 private:
  [[nodiscard]] bool labelled() const { return !samples_->labels().empty(); }
  [[nodiscard]] std::vector<int64_t> chosen(int64_t limit) const {
    const int64_t both = limit == 0 ? limit_ : limit_ == 0 ? limit : std::min(limit, limit_);
    return data::choose_samples(*samples_, both);
  }
  void feed(int64_t sample, SessionBuffers& session) const {
    for (size_t input = 0; input < samples_->inputs().size(); ++input) {
      samples_->read({&sample, 1}, input, session.input(input));
    }
  }

  std::unique_ptr<data::Samples> samples_;
  int64_t limit_;
  int top_;                                                  ///< the least sparse level
  std::vector<std::unique_ptr<SessionBuffers>> sessions_;    ///< [worker]
  std::vector<std::unique_ptr<SessionBuffers>> references_;  ///< [worker], unless there are labels
};

}  // namespace

Metric output_distance_metric() {
  return {.name = "output_distance",
          .unit = "share",
          .title = "output distance",
          .field = "output_distance",
          .shown_per_measured = 1};
}

std::unique_ptr<Evaluator> make_array_evaluator(const Console& console,
                                                const std::shared_ptr<const format::Reader>& reader,
                                                const EvaluationOptions& options) {
  return std::make_unique<ArrayEvaluator>(console, reader, options);
}

}  // namespace strata::cli
