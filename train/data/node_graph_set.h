// What a network that classifies nodes learns from and is measured on: one graph whose file names
// the nodes of each split (transductive), or a folder of graphs of which each belongs to one split
// (inductive).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "train/data/node_graph.h"

namespace strata::data {

/// Nodes of one graph, at least one, all labelled.
struct LabelledNodes {
  size_t graph = 0;  ///< index in NodeGraphSet::graphs
  std::vector<int32_t> nodes;
};

struct NodeGraphSet {
  std::string name;               ///< of the file or folder, for people
  std::vector<NodeGraph> graphs;  ///< at least one, all with the same features
  int64_t features = 0;
  int64_t classes = 0;  ///< the most that a graph has
  std::vector<LabelledNodes> train, validation, test;

  [[nodiscard]] static int64_t node_count(const std::vector<LabelledNodes>& split);
};

/// Of one .npz file, its graph and the splits that it names; of a folder, the graphs in
/// train/*.npz, val/*.npz and test/*.npz in the order of their names, where all labelled nodes
/// count. Throws Error naming the file: what load_node_graph() refuses, a single graph without
/// splits, a split without graphs, a graph without labels or with other features than the first.
NodeGraphSet load_node_graph_set(const std::filesystem::path& path);

/// The same, but only what is tested: `test` alone is filled, and a folder needs no more than
/// test/. Of a single graph that names no splits all labelled nodes count.
NodeGraphSet load_test_graphs(const std::filesystem::path& path);

}  // namespace strata::data
