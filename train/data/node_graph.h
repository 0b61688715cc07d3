// A graph whose nodes are classified: neighbours, sparse features, labels and the three splits,
// from the .npz files in which the citation networks and their like are spread (SciPy's CSR
// arrays).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace strata::data {

/// Rows of a sparse matrix: row i has the elements row_begins[i] .. row_begins[i + 1] - 1.
struct CompressedRows {
  std::vector<int32_t> row_begins;  ///< [rows + 1]
  std::vector<int32_t> columns;     ///< ascending within a row, each once
  bool operator==(const CompressedRows&) const = default;
};

struct NodeGraph {
  std::string name;  ///< of the file, for people
  int64_t nodes = 0;
  int64_t features = 0;
  int64_t classes = 0;

  /// Row i: the nodes that node i listens to, itself among them.
  CompressedRows neighbours;
  CompressedRows feature_places;                 ///< [nodes] rows of `features` columns
  std::vector<float> feature_values;             ///< one per feature place; each row sums to 1
  std::vector<int32_t> labels;                   ///< [nodes]; -1: none
  std::vector<int32_t> train, validation, test;  ///< nodes; all empty if the file names no splits

  [[nodiscard]] bool has_splits() const { return !train.empty(); }
};

/// Reads adj_indptr, adj_indices, attr_data, attr_indices, attr_indptr, attr_shape, and what a
/// graph that is only to be classified need not have: labels, and train_idx, val_idx and test_idx,
/// of which a file has all or none. Every node gets an edge to itself; an edge that is there twice
/// counts once, weights of edges (adj_data) do not count. The features of a node are divided by
/// their sum, as published for graph attention networks (Velickovic et al. 2018); a node without
/// features keeps none. Throws Error naming file, array, place and cause: an edge or feature out of
/// range, arrays whose sizes do not fit each other, a node of a split that has no label, values
/// that are not finite.
NodeGraph load_node_graph(const std::filesystem::path& path);
/// The same from memory; `name` stands for the file.
NodeGraph parse_node_graph(std::span<const uint8_t> bytes, const std::string& name);

}  // namespace strata::data
