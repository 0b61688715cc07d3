#include "train/data/node_graph_set.h"

#include <algorithm>
#include <utility>

#include "train/data/file.h"
#include "train/data/sources.h"
#include "train/error.h"

namespace strata::data {
namespace {

namespace fs = std::filesystem;

/// Sorted: the order of a directory is not the same on every machine.
std::vector<fs::path> graph_files(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const bool hidden = it->path().filename().string().starts_with('.');
    if (!hidden && it->path().extension() == ".npz") files.push_back(it->path());
  }
  if (files.empty()) {
    throw Error(quoted(folder) + " holds no graphs" + (error ? " (" + error.message() + ")" : "") +
                "; a folder of graphs has .npz files in train/, val/ and test/");
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<int32_t> labelled_nodes(const NodeGraph& graph, const fs::path& path) {
  std::vector<int32_t> nodes;
  for (size_t node = 0; node < graph.labels.size(); ++node) {
    if (graph.labels[node] >= 0) nodes.push_back(static_cast<int32_t>(node));
  }
  if (nodes.empty()) throw Error(quoted(path) + " has no node with a label");
  return nodes;
}

/// Returns the index of the graph.
size_t add(NodeGraphSet& set, NodeGraph graph, const fs::path& path) {
  if (set.graphs.empty()) {
    set.features = graph.features;
  } else if (graph.features != set.features) {
    throw Error(quoted(path) + " has " + std::to_string(graph.features) + " features, but '" +
                set.graphs.front().name + "' has " + std::to_string(set.features) +
                "; all graphs of a folder need the same features");
  }
  set.classes = std::max(set.classes, graph.classes);
  set.graphs.push_back(std::move(graph));
  return set.graphs.size() - 1;
}

void add_folder(NodeGraphSet& set, const fs::path& folder, std::vector<LabelledNodes>& split) {
  for (const fs::path& path : graph_files(folder)) {
    const size_t index = add(set, load_node_graph(path), path);
    split.push_back({index, labelled_nodes(set.graphs[index], path)});
  }
}

/// A set of the graph in one file, and no split.
NodeGraphSet set_of(const fs::path& path) {
  NodeGraphSet set;
  set.name = set.graphs[add(set, load_node_graph(path), path)].name;
  return set;
}

}  // namespace

int64_t NodeGraphSet::node_count(const std::vector<LabelledNodes>& split) {
  int64_t count = 0;
  for (const LabelledNodes& part : split) count += static_cast<int64_t>(part.nodes.size());
  return count;
}

NodeGraphSet load_node_graph_set(const fs::path& path) {
  if (fs::is_directory(path)) {
    NodeGraphSet set;
    set.name = directory_name(path);
    add_folder(set, path / "train", set.train);
    add_folder(set, path / "val", set.validation);
    add_folder(set, path / "test", set.test);
    return set;
  }
  NodeGraphSet set = set_of(path);
  const NodeGraph& graph = set.graphs.front();
  if (!graph.has_splits()) {
    throw Error(quoted(path) +
                " names no nodes to train, validate and test with: it needs train_idx, val_idx and "
                "test_idx, or a place in a folder with train/, val/ and test/");
  }
  set.train = {{0, graph.train}};
  set.validation = {{0, graph.validation}};
  set.test = {{0, graph.test}};
  return set;
}

NodeGraphSet load_test_graphs(const fs::path& path) {
  if (fs::is_directory(path)) {
    NodeGraphSet set;
    set.name = directory_name(path);
    add_folder(set, path / "test", set.test);
    return set;
  }
  NodeGraphSet set = set_of(path);
  const NodeGraph& graph = set.graphs.front();
  set.test = {{0, graph.has_splits() ? graph.test : labelled_nodes(graph, path)}};
  return set;
}

}  // namespace strata::data
