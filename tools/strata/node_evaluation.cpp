// The nodes of graphs through a graph attention network: one inference answers for all nodes of a
// graph, the test nodes count.
#include <algorithm>
#include <deque>
#include <utility>

#include "tools/strata/evaluation.h"
#include "tools/strata/node_inputs.h"
#include "train/data/dataset.h"
#include "train/data/node_graph_set.h"
#include "train/error.h"

namespace strata::cli {
namespace {

class NodeEvaluator final : public Evaluator {
 public:
  NodeEvaluator(const std::shared_ptr<const format::Reader>& reader,
                const EvaluationOptions& options)
      : limit_(options.limit) {
    data::NodeGraphSet set = data::load_test_graphs(options.data);
    name_ = set.name;
    for (size_t g = 0; g < set.graphs.size(); ++g) {
      const data::NodeGraph& graph = set.graphs[g];
      for (const int32_t node : set.test[g].nodes) {
        samples_.push_back({g, node});
        labels_.push_back(graph.labels[static_cast<size_t>(node)]);
      }
    }
    for (data::NodeGraph& graph : set.graphs) {
      const NodeInputs& inputs = graphs_.emplace_back(std::move(graph), *reader).inputs;
      runtime::SessionOptions session;
      session.threads = options.threads;
      session.bindings = inputs.bindings();
      graphs_.back().session = value_or_throw(runtime::Session::create(reader, session));
    }
    classes_ = static_cast<size_t>(graphs_.front().session->outputs().front().shape[1].value());
  }

  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const override {
    return graphs_.front().session->steps();
  }
  [[nodiscard]] std::string data_name() const override { return name_; }
  [[nodiscard]] std::string sample_unit() const override { return "nodes"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return static_cast<int64_t>(chosen(limit).size());
  }

  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override {
    const std::vector<int64_t> samples = chosen(limit);
    int64_t correct = 0;
    std::vector<float> logits;
    size_t answered = graphs_.size();  // the graph whose answers `logits` holds
    for (const int64_t index : samples) {
      const Sample& sample = samples_[static_cast<size_t>(index)];
      if (sample.graph != answered) {
        answer(graphs_[sample.graph], route, logits);
        answered = sample.graph;
      }
      const auto begin =
          logits.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(sample.node) * classes_);
      const auto end = begin + static_cast<std::ptrdiff_t>(classes_);
      if (std::max_element(begin, end) - begin == labels_[static_cast<size_t>(index)]) ++correct;
    }
    progress.advance(static_cast<int64_t>(samples.size()));
    return {100.0 * static_cast<double>(correct) / static_cast<double>(samples.size()), correct};
  }

 private:
  struct Graph {
    Graph(data::NodeGraph graph, const format::Reader& reader) : inputs(std::move(graph), reader) {}
    NodeInputs inputs;
    std::unique_ptr<runtime::Session> session;
  };
  struct Sample {
    size_t graph = 0;
    int32_t node = 0;
  };

  void answer(Graph& graph, std::span<const uint8_t> route, std::vector<float>& logits) const {
    stop_if_interrupted();
    logits.resize(static_cast<size_t>(graph.inputs.graph().nodes) * classes_);
    const runtime::OutputView output(logits);
    throw_if_error(graph.session->run_route(graph.inputs.views(), {&output, 1}, route));
  }
  /// Indices of test nodes, graph after graph.
  [[nodiscard]] std::vector<int64_t> chosen(int64_t limit) const {
    const int64_t both = limit == 0 ? limit_ : limit_ == 0 ? limit : std::min(limit, limit_);
    return data::spread_over_classes(labels_, both);
  }

  int64_t limit_;
  std::string name_;
  std::deque<Graph> graphs_;  ///< whose inputs stay where they are
  size_t classes_ = 0;
  std::vector<Sample> samples_;  ///< the test nodes, graph after graph
  std::vector<int32_t> labels_;  ///< [sample]
};

}  // namespace

std::unique_ptr<Evaluator> make_node_evaluator(const std::shared_ptr<const format::Reader>& reader,
                                               const EvaluationOptions& options) {
  return std::make_unique<NodeEvaluator>(reader, options);
}

}  // namespace strata::cli
