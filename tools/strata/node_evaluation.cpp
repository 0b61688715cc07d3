// The nodes of one graph through a graph attention network: one inference answers for all of them,
// the test nodes count.
#include <algorithm>

#include "tools/strata/evaluation.h"
#include "tools/strata/node_inputs.h"
#include "train/data/dataset.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class NodeEvaluator final : public Evaluator {
 public:
  NodeEvaluator(const std::shared_ptr<const format::Reader>& reader,
                const EvaluationOptions& options)
      : inputs_(options.data, *reader), limit_(options.limit) {
    runtime::SessionOptions session;
    session.threads = options.threads;
    session.bindings = inputs_.bindings();
    session_ = value_or_throw(runtime::Session::create(reader, session));
    const graph::Shape& shape = session_->outputs().front().shape;
    classes_ = static_cast<size_t>(shape[1].value());
    logits_.resize(static_cast<size_t>(inputs_.graph().nodes) * classes_);
    for (const int32_t node : inputs_.graph().test) {
      labels_.push_back(inputs_.graph().labels[static_cast<size_t>(node)]);
    }
  }

  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const override {
    return session_->steps();
  }
  [[nodiscard]] std::string data_name() const override { return inputs_.graph().name; }
  [[nodiscard]] std::string sample_unit() const override { return "nodes"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return static_cast<int64_t>(chosen(limit).size());
  }

  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override {
    stop_if_interrupted();
    const runtime::OutputView output(logits_);
    throw_if_error(session_->run_route(inputs_.views(), {&output, 1}, route));
    const std::vector<int64_t> samples = chosen(limit);
    int64_t correct = 0;
    for (const int64_t sample : samples) {
      const auto node = static_cast<size_t>(inputs_.graph().test[static_cast<size_t>(sample)]);
      const auto begin = logits_.begin() + static_cast<std::ptrdiff_t>(node * classes_);
      const auto end = begin + static_cast<std::ptrdiff_t>(classes_);
      if (std::max_element(begin, end) - begin == labels_[static_cast<size_t>(sample)]) ++correct;
    }
    progress.advance(static_cast<int64_t>(samples.size()));
    return {100.0 * static_cast<double>(correct) / static_cast<double>(samples.size()), correct};
  }

 private:
  /// Indices into the test split.
  [[nodiscard]] std::vector<int64_t> chosen(int64_t limit) const {
    const int64_t both = limit == 0 ? limit_ : limit_ == 0 ? limit : std::min(limit, limit_);
    return data::spread_over_classes(labels_, both);
  }

  NodeInputs inputs_;
  int64_t limit_;
  std::unique_ptr<runtime::Session> session_;
  size_t classes_ = 0;
  std::vector<float> logits_;
  std::vector<int32_t> labels_;  ///< of the test nodes
};

}  // namespace

std::unique_ptr<Evaluator> make_node_evaluator(const std::shared_ptr<const format::Reader>& reader,
                                               const EvaluationOptions& options) {
  return std::make_unique<NodeEvaluator>(reader, options);
}

}  // namespace strata::cli
