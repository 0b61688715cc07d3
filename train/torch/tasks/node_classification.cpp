#include "train/torch/tasks/node_classification.h"

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>
#include <xxhash.h>

#include "models/gat.h"
#include "train/data/augment.h"
#include "train/data/node_graph_set.h"
#include "train/error.h"

namespace strata::train {
namespace {

template <typename T>
at::Tensor tensor_of_vector(const std::vector<T>& values, at::ScalarType type) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, type);
  std::copy(values.begin(), values.end(), tensor.data_ptr<T>());
  return tensor;
}

/// A graph as the network's inputs.
std::vector<at::Tensor> inputs_of(const data::NodeGraph& graph) {
  const auto indices = [](const std::vector<int32_t>& values) {
    return tensor_of_vector(values, at::kInt);
  };
  return {indices(graph.feature_places.row_begins), indices(graph.feature_places.columns),
          tensor_of_vector(graph.feature_values, at::kFloat), indices(graph.neighbours.row_begins),
          indices(graph.neighbours.columns)};
}

/// Adds up what is right, and the losses.
struct Sum {
  int64_t nodes = 0;
  int64_t correct = 0;
  double loss = 0;

  void add(const at::Tensor& logits, const data::NodeGraph& graph,
           const data::LabelledNodes& part) {
    const at::Tensor rows = tensor_of_vector(part.nodes, at::kInt).to(at::kLong);
    const at::Tensor labels =
        tensor_of_vector(graph.labels, at::kInt).index_select(0, rows).to(at::kLong);
    const at::Tensor chosen = logits.index_select(0, rows);
    const auto count = static_cast<int64_t>(part.nodes.size());
    nodes += count;
    correct += chosen.argmax(1).eq(labels).sum().item<int64_t>();
    loss += at::cross_entropy_loss(chosen, labels).item<double>() * static_cast<double>(count);
  }
  [[nodiscard]] Score score() const {
    const auto count = static_cast<double>(nodes);
    return {static_cast<double>(correct) / count, loss / count};
  }
};

class NodeClassification final : public Task {
 public:
  NodeClassification(const Recipe& recipe, const TaskContext& context);

  [[nodiscard]] graph::Model model() const override;
  [[nodiscard]] Initialisation initialisation() const override { return Initialisation::kGlorot; }
  [[nodiscard]] bool has_validation() const override { return true; }
  [[nodiscard]] int64_t steps_per_epoch() const override {
    return static_cast<int64_t>(batches_.size());
  }
  [[nodiscard]] uint64_t digest() const override;
  [[nodiscard]] nlohmann::json facts() const override;
  [[nodiscard]] Batch batch(int64_t step) override;
  [[nodiscard]] std::vector<Evaluation> evaluate(Network& network,
                                                 std::span<const ModelRoute> routes) override;

 private:
  Recipe recipe_;
  data::NodeGraphSet set_;
  std::vector<std::vector<at::Tensor>> inputs_;  ///< [graph]
  std::vector<Batch> batches_;                   ///< [training graph]
};

NodeClassification::NodeClassification(const Recipe& recipe, const TaskContext& context)
    : Task(recipe.optimizer.label_smoothing),
      recipe_(recipe),
      set_(data::load_node_graph_set(recipe.data.dir)) {
  if (!context.device.is_cpu()) {
    throw Error("graph attention networks train on the CPU only; use --device cpu");
  }
  for (const data::NodeGraph& graph : set_.graphs) inputs_.push_back(inputs_of(graph));
  for (const data::LabelledNodes& part : set_.train) {
    const data::NodeGraph& graph = set_.graphs[part.graph];
    const at::Tensor labels = at::full({graph.nodes}, kNoTarget, at::kLong);
    for (const int32_t node : part.nodes) {
      labels.data_ptr<int64_t>()[node] = graph.labels[static_cast<size_t>(node)];
    }
    batches_.push_back({inputs_[part.graph], {labels}});
  }
}

graph::Model NodeClassification::model() const {
  models::GatConfig config = value_or_throw(models::gat_config(recipe_.model.arch));
  if (recipe_.model.width > 0) config.hidden = recipe_.model.width;
  if (recipe_.model.heads > 0) config.heads = recipe_.model.heads;
  config.dropout = static_cast<float>(recipe_.model.dropout);
  config.features = set_.features;
  config.classes = recipe_.model.classes > 0 ? recipe_.model.classes : set_.classes;
  config.prunable_output = !recipe_.model.keep_ends_dense;
  if (config.classes < set_.classes) {
    throw Error("model.classes is " + std::to_string(config.classes) + ", but '" + set_.name +
                "' has " + std::to_string(set_.classes) + " classes");
  }
  graph::Model model = value_or_throw(models::gat(config));
  model.metadata["family"] = "node-classification";
  const data::NodeGraph& typical = set_.graphs[set_.train.front().graph];
  model.metadata["sizes"] = "nodes=" + std::to_string(typical.nodes) +
                            " nodes+1=" + std::to_string(typical.nodes + 1) +
                            " entries=" + std::to_string(typical.feature_values.size()) +
                            " edges=" + std::to_string(typical.neighbours.columns.size());
  return model;
}

uint64_t NodeClassification::digest() const {
  uint64_t digest = 0;
  const auto add = [&](const auto& values) {
    digest = XXH3_64bits_withSeed(values.data(), values.size() * sizeof(values[0]), digest);
  };
  const auto add_split = [&](const std::vector<data::LabelledNodes>& split) {
    for (const data::LabelledNodes& part : split) {
      const data::NodeGraph& graph = set_.graphs[part.graph];
      add(graph.neighbours.row_begins);
      add(graph.neighbours.columns);
      add(graph.feature_places.row_begins);
      add(graph.feature_places.columns);
      add(graph.feature_values);
      add(graph.labels);
      add(part.nodes);
    }
  };
  add_split(set_.train);
  add_split(set_.validation);  // it chooses the epoch
  return digest;
}

nlohmann::json NodeClassification::facts() const {
  int64_t nodes = 0;
  size_t edges = 0;
  for (const data::NodeGraph& graph : set_.graphs) {
    nodes += graph.nodes;
    edges += graph.neighbours.columns.size();
  }
  return {{"data", set_.name},
          {"graphs", set_.graphs.size()},
          {"nodes", nodes},
          {"edges", edges},
          {"features", set_.features},
          {"train_nodes", data::NodeGraphSet::node_count(set_.train)},
          {"validation_nodes", data::NodeGraphSet::node_count(set_.validation)},
          {"test_nodes", data::NodeGraphSet::node_count(set_.test)}};
}

/// One graph, each once an epoch.
Batch NodeClassification::batch(int64_t step) {
  const int64_t epoch = step / steps_per_epoch();
  const data::BatchPlan plan({static_cast<uint64_t>(recipe_.seed), static_cast<uint64_t>(epoch)},
                             steps_per_epoch(), /*batch_size=*/1);
  return batches_[static_cast<size_t>(plan.batch(step % steps_per_epoch()).front())];
}

std::vector<Evaluation> NodeClassification::evaluate(Network& network,
                                                     std::span<const ModelRoute> routes) {
  std::vector<Evaluation> result;
  for (const ModelRoute& route : routes) {
    Sum test;
    Sum validation;
    for (size_t g = 0; g < set_.graphs.size(); ++g) {
      at::Tensor logits;
      const auto add = [&](const std::vector<data::LabelledNodes>& split, Sum& sum) {
        for (const data::LabelledNodes& part : split) {
          if (part.graph != g) continue;
          if (!logits.defined()) logits = answer(network, {inputs_[g], {}}, route, Pass{});
          sum.add(logits, set_.graphs[g], part);
        }
      };
      add(set_.test, test);
      add(set_.validation, validation);
    }
    result.push_back({test.score(), validation.score()});
  }
  return result;
}

}  // namespace

std::unique_ptr<Task> make_node_classification(const Recipe& recipe, const TaskContext& context) {
  return std::make_unique<NodeClassification>(recipe, context);
}

}  // namespace strata::train
