#include "train/data/node_graph.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "interop/npz.h"
#include "train/data/file.h"
#include "train/error.h"

namespace strata::data {
namespace {

constexpr int64_t kMaxIndex = INT32_MAX - 1;  // positions and columns are 32-bit in the model

class GraphReader {
 public:
  explicit GraphReader(interop::NpzArchive archive) : archive_(std::move(archive)) {}

  NodeGraph read();

 private:
  [[noreturn]] void fail(const std::string& array, const std::string& reason) const {
    throw Error("'" + archive_.label(array) + "' " + reason);
  }
  [[nodiscard]] std::vector<int64_t> integers(const std::string& array) const {
    return value_or_throw(
        interop::to_integers(value_or_throw(archive_.read(array)), archive_.label(array)));
  }
  [[nodiscard]] std::vector<int32_t> row_begins(const std::string& array, size_t entries) const;
  void read_neighbours(NodeGraph& graph) const;
  void read_features(NodeGraph& graph) const;
  void read_labels(NodeGraph& graph) const;
  [[nodiscard]] std::vector<int32_t> split(const std::string& array, const NodeGraph& graph) const;

  interop::NpzArchive archive_;
};

/// Checks that the positions ascend from 0 to the number of entries.
std::vector<int32_t> GraphReader::row_begins(const std::string& array, size_t entries) const {
  const std::vector<int64_t> begins = integers(array);
  if (begins.size() < 2) fail(array, "has no rows");
  if (begins.size() > static_cast<size_t>(kMaxIndex) || entries > static_cast<size_t>(kMaxIndex)) {
    fail(array, "is larger than 32-bit positions allow");
  }
  if (begins.front() != 0 || begins.back() != static_cast<int64_t>(entries)) {
    fail(array, "must go from 0 to " + std::to_string(entries) + ", it goes from " +
                    std::to_string(begins.front()) + " to " + std::to_string(begins.back()));
  }
  const auto descent = std::adjacent_find(begins.begin(), begins.end(), std::greater<>());
  if (descent != begins.end()) {
    fail(array, "falls after row " + std::to_string(descent - begins.begin()));
  }
  return {begins.begin(), begins.end()};
}

void GraphReader::read_neighbours(NodeGraph& graph) const {
  const std::vector<int64_t> columns = integers("adj_indices");
  const std::vector<int32_t> begins = row_begins("adj_indptr", columns.size());
  graph.nodes = static_cast<int64_t>(begins.size()) - 1;
  graph.neighbours.row_begins.push_back(0);
  std::vector<int32_t> row;
  for (int64_t node = 0; node < graph.nodes; ++node) {
    row.assign(1, static_cast<int32_t>(node));
    for (int32_t e = begins[static_cast<size_t>(node)]; e < begins[static_cast<size_t>(node) + 1];
         ++e) {
      const int64_t neighbour = columns[static_cast<size_t>(e)];
      if (neighbour < 0 || neighbour >= graph.nodes) {
        fail("adj_indices", "has an edge from node " + std::to_string(node) + " to node " +
                                std::to_string(neighbour) + ", but there are nodes 0 to " +
                                std::to_string(graph.nodes - 1));
      }
      row.push_back(static_cast<int32_t>(neighbour));
    }
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    graph.neighbours.columns.insert(graph.neighbours.columns.end(), row.begin(), row.end());
    if (graph.neighbours.columns.size() > static_cast<size_t>(kMaxIndex)) {
      fail("adj_indices", "is larger than 32-bit positions allow");
    }
    graph.neighbours.row_begins.push_back(static_cast<int32_t>(graph.neighbours.columns.size()));
  }
}

void GraphReader::read_features(NodeGraph& graph) const {
  const std::vector<int64_t> shape = integers("attr_shape");
  if (shape.size() != 2 || shape[0] != graph.nodes || shape[1] < 1 || shape[1] > kMaxIndex) {
    fail("attr_shape",
         "must hold the number of nodes, " + std::to_string(graph.nodes) + ", and of features");
  }
  graph.features = shape[1];
  const std::vector<int64_t> columns = integers("attr_indices");
  const std::vector<float> values = interop::to_floats(value_or_throw(archive_.read("attr_data")));
  if (values.size() != columns.size()) {
    fail("attr_data", "has " + std::to_string(values.size()) + " values, attr_indices " +
                          std::to_string(columns.size()));
  }
  const std::vector<int32_t> begins = row_begins("attr_indptr", columns.size());
  if (static_cast<int64_t>(begins.size()) - 1 != graph.nodes) {
    fail("attr_indptr", "has " + std::to_string(begins.size() - 1) + " rows, but there are " +
                            std::to_string(graph.nodes) + " nodes");
  }
  graph.feature_places.row_begins = begins;
  std::vector<std::pair<int32_t, float>> row;
  for (size_t node = 0; node + 1 < begins.size(); ++node) {
    const std::string of_node = "of node " + std::to_string(node);
    row.clear();
    double sum = 0;
    for (auto e = static_cast<size_t>(begins[node]); e < static_cast<size_t>(begins[node + 1]);
         ++e) {
      if (columns[e] < 0 || columns[e] >= graph.features) {
        fail("attr_indices", "has a feature " + std::to_string(columns[e]) + " " + of_node +
                                 ", but there are features 0 to " +
                                 std::to_string(graph.features - 1));
      }
      if (!std::isfinite(values[e]))
        fail("attr_data", "has a value " + of_node + " that is not finite");
      row.emplace_back(static_cast<int32_t>(columns[e]), values[e]);
      sum += values[e];
    }
    std::sort(row.begin(), row.end());
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0 && row[i].first == row[i - 1].first) {
        fail("attr_indices",
             "has the feature " + std::to_string(row[i].first) + " " + of_node + " twice");
      }
      graph.feature_places.columns.push_back(row[i].first);
      graph.feature_values.push_back(sum != 0 ? static_cast<float>(row[i].second / sum) : 0);
    }
  }
}

void GraphReader::read_labels(NodeGraph& graph) const {
  if (!archive_.contains("labels")) {
    graph.labels.assign(static_cast<size_t>(graph.nodes), -1);
    return;
  }
  const std::vector<int64_t> labels = integers("labels");
  if (static_cast<int64_t>(labels.size()) != graph.nodes) {
    fail("labels", "has " + std::to_string(labels.size()) + " labels, but there are " +
                       std::to_string(graph.nodes) + " nodes");
  }
  constexpr int64_t kMaxClasses = 65536;
  for (size_t node = 0; node < labels.size(); ++node) {
    if (labels[node] < -1 || labels[node] >= kMaxClasses) {
      fail("labels", "has " + std::to_string(labels[node]) + " for node " + std::to_string(node) +
                         "; a label is -1 (none) to " + std::to_string(kMaxClasses - 1));
    }
    graph.labels.push_back(static_cast<int32_t>(labels[node]));
    graph.classes = std::max(graph.classes, labels[node] + 1);
  }
}

std::vector<int32_t> GraphReader::split(const std::string& array, const NodeGraph& graph) const {
  std::vector<int32_t> nodes;
  for (const int64_t node : integers(array)) {
    if (node < 0 || node >= graph.nodes) {
      fail(array, "names node " + std::to_string(node) + ", but there are nodes 0 to " +
                      std::to_string(graph.nodes - 1));
    }
    if (graph.labels[static_cast<size_t>(node)] < 0) {
      fail(array, "names node " + std::to_string(node) + ", which has no label");
    }
    nodes.push_back(static_cast<int32_t>(node));
  }
  if (nodes.empty()) fail(array, "names no node");
  return nodes;
}

NodeGraph GraphReader::read() {
  NodeGraph graph;
  read_neighbours(graph);
  read_features(graph);
  read_labels(graph);
  const bool has_splits = archive_.contains("train_idx") || archive_.contains("val_idx") ||
                          archive_.contains("test_idx");
  if (has_splits) {
    graph.train = split("train_idx", graph);
    graph.validation = split("val_idx", graph);
    graph.test = split("test_idx", graph);
  }
  return graph;
}

}  // namespace

NodeGraph load_node_graph(const std::filesystem::path& path) {
  NodeGraph graph = GraphReader(value_or_throw(interop::NpzArchive::open(path.string()))).read();
  graph.name = path.stem().string();
  return graph;
}

NodeGraph parse_node_graph(std::span<const uint8_t> bytes, const std::string& name) {
  NodeGraph graph = GraphReader(value_or_throw(interop::NpzArchive::parse(bytes, name))).read();
  graph.name = name;
  return graph;
}

}  // namespace strata::data
