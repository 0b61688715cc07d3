#include "train/torch/tasks/node_classification.h"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "models/gat.h"
#include "train/data/node_graph.h"
#include "train/error.h"

namespace strata::train {
namespace {

template <typename T>
at::Tensor tensor_of_vector(const std::vector<T>& values, at::ScalarType type) {
  const at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), tensor.data_ptr<T>());
  return tensor;
}

class NodeClassification final : public Task {
 public:
  NodeClassification(const Recipe& recipe, const TaskContext& context);

  [[nodiscard]] graph::Model model() const override;
  [[nodiscard]] Initialisation initialisation() const override { return Initialisation::kGlorot; }
  [[nodiscard]] bool has_validation() const override { return true; }
  [[nodiscard]] int64_t steps_per_epoch() const override { return 1; }
  [[nodiscard]] uint64_t digest() const override;
  [[nodiscard]] nlohmann::json facts() const override;
  [[nodiscard]] Batch batch(int64_t /*step*/) override { return batch_; }
  [[nodiscard]] std::vector<Evaluation> evaluate(Network& network,
                                                 std::span<const ModelRoute> routes) override;

 private:
  [[nodiscard]] Score score(const at::Tensor& logits, const std::vector<int32_t>& nodes) const;

  Recipe recipe_;
  data::NodeGraph graph_;
  Batch batch_;  ///< the same in every step: the whole graph
};

NodeClassification::NodeClassification(const Recipe& recipe, const TaskContext& context)
    : Task(recipe.optimizer.label_smoothing),
      recipe_(recipe),
      graph_(data::load_node_graph(recipe.data.dir)) {
  if (!context.device.is_cpu()) {
    throw Error("graph attention networks train on the CPU only; use --device cpu");
  }
  const auto indices = [](const std::vector<int32_t>& values) {
    return tensor_of_vector(values, at::kInt);
  };
  batch_.inputs = {indices(graph_.feature_places.row_begins),
                   indices(graph_.feature_places.columns),
                   tensor_of_vector(graph_.feature_values, at::kFloat),
                   indices(graph_.neighbours.row_begins), indices(graph_.neighbours.columns)};
  const at::Tensor labels = at::full({graph_.nodes}, kNoTarget, at::kLong);
  for (const int32_t node : graph_.train) {
    labels.data_ptr<int64_t>()[node] = graph_.labels[static_cast<size_t>(node)];
  }
  batch_.targets = {labels};
}

graph::Model NodeClassification::model() const {
  models::GatConfig config = value_or_throw(models::gat_config(recipe_.model.arch));
  if (recipe_.model.width > 0) config.hidden = recipe_.model.width;
  if (recipe_.model.heads > 0) config.heads = recipe_.model.heads;
  config.dropout = static_cast<float>(recipe_.model.dropout);
  config.features = graph_.features;
  config.classes = recipe_.model.classes > 0 ? recipe_.model.classes : graph_.classes;
  config.prunable_output = !recipe_.model.keep_ends_dense;
  if (config.classes < graph_.classes) {
    throw Error("model.classes is " + std::to_string(config.classes) + ", but the graph '" +
                graph_.name + "' has " + std::to_string(graph_.classes) + " classes");
  }
  graph::Model model = value_or_throw(models::gat(config));
  model.metadata["family"] = "node-classification";
  model.metadata["sizes"] = "nodes=" + std::to_string(graph_.nodes) +
                            " nodes+1=" + std::to_string(graph_.nodes + 1) +
                            " entries=" + std::to_string(graph_.feature_values.size()) +
                            " edges=" + std::to_string(graph_.neighbours.columns.size());
  return model;
}

uint64_t NodeClassification::digest() const {
  uint64_t digest = 0;
  const auto add = [&](const auto& values) {
    digest = XXH3_64bits_withSeed(values.data(), values.size() * sizeof(values[0]), digest);
  };
  add(graph_.neighbours.row_begins);
  add(graph_.neighbours.columns);
  add(graph_.feature_places.row_begins);
  add(graph_.feature_places.columns);
  add(graph_.feature_values);
  add(graph_.labels);
  add(graph_.train);
  add(graph_.validation);  // it chooses the epoch
  return digest;
}

nlohmann::json NodeClassification::facts() const {
  return {{"data", graph_.name},
          {"nodes", graph_.nodes},
          {"edges", graph_.neighbours.columns.size()},
          {"features", graph_.features},
          {"train_nodes", graph_.train.size()},
          {"validation_nodes", graph_.validation.size()},
          {"test_nodes", graph_.test.size()}};
}

Score NodeClassification::score(const at::Tensor& logits, const std::vector<int32_t>& nodes) const {
  const at::Tensor rows = tensor_of_vector(nodes, at::kInt).to(at::kLong);
  const at::Tensor labels =
      tensor_of_vector(graph_.labels, at::kInt).index_select(0, rows).to(at::kLong);
  const at::Tensor chosen = logits.index_select(0, rows);
  const auto correct = chosen.argmax(1).eq(labels).sum().item<int64_t>();
  return {static_cast<double>(correct) / static_cast<double>(nodes.size()),
          at::cross_entropy_loss(chosen, labels).item<double>()};
}

std::vector<Evaluation> NodeClassification::evaluate(Network& network,
                                                     std::span<const ModelRoute> routes) {
  std::vector<Evaluation> result;
  for (const ModelRoute& route : routes) {
    const at::Tensor logits = answer(network, batch_, route, Pass{});
    result.push_back({score(logits, graph_.test), score(logits, graph_.validation)});
  }
  return result;
}

}  // namespace

std::unique_ptr<Task> make_node_classification(const Recipe& recipe, const TaskContext& context) {
  return std::make_unique<NodeClassification>(recipe, context);
}

}  // namespace strata::train
