// Graphs with labelled nodes: what is made of the arrays, and what is said of bad ones.
#include "train/data/node_graph.h"

#include <cmath>
#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "data_sets.h"
#include "npz_bytes.h"
#include "sample_files.h"
#include "train/error.h"

namespace strata::data {
namespace {

using interop::testing::Blob;
using interop::testing::bytes_of;
using interop::testing::npy;
using interop::testing::zip;
using interop::testing::ZipEntry;

using Arrays = std::map<std::string, Blob>;

Blob ints(const std::vector<int32_t>& values) {
  return npy("<i4", "(" + std::to_string(values.size()) + ",)", bytes_of(values));
}

Blob floats(const std::vector<float>& values) {
  return npy("<f4", "(" + std::to_string(values.size()) + ",)", bytes_of(values));
}

/// Four nodes: 0 - 1 - 2, and 3 alone without a label; three features.
Arrays small_graph() {
  return {{"adj_indptr", ints({0, 1, 3, 4, 4})},
          {"adj_indices", ints({1, 2, 0, 1})},
          {"adj_data", floats({1, 1, 1, 1})},
          {"attr_shape", npy("<i8", "(2,)", bytes_of<int64_t>({4, 3}))},
          {"attr_indptr", ints({0, 2, 3, 4, 4})},
          {"attr_indices", ints({2, 0, 1, 2})},
          {"attr_data", floats({1, 3, 5, 2})},
          {"labels", ints({0, 1, 1, -1})},
          {"train_idx", ints({0})},
          {"val_idx", ints({1})},
          {"test_idx", ints({2})}};
}

class NodeGraphs : public ::testing::Test {
 protected:
  NodeGraph load(const Arrays& arrays) const {
    std::vector<ZipEntry> entries;
    for (const auto& [name, data] : arrays) entries.push_back({name + ".npy", data, true});
    return load_node_graph(directory_.write("small.npz", zip(entries)));
  }
  /// What is said when one array is another, without the path before it.
  std::string error(const std::string& name, const Blob& data) const {
    Arrays arrays = small_graph();
    arrays[name] = data;
    try {
      (void)load(arrays);
    } catch (const Error& error) {
      const std::string text = error.what();
      const size_t begin = text.find("small.npz: ");
      return begin == std::string::npos ? text : text.substr(begin + 11);
    }
    return "no error";
  }

 private:
  DataDirectory directory_;
};

TEST_F(NodeGraphs, AddsSelfLoopsAndNormalisesFeatures) {
  const NodeGraph graph = load(small_graph());
  EXPECT_EQ(graph.name, "small");
  EXPECT_EQ(graph.nodes, 4);
  EXPECT_EQ(graph.features, 3);
  EXPECT_EQ(graph.classes, 2);
  EXPECT_EQ(graph.neighbours, (CompressedRows{{0, 2, 5, 7, 8}, {0, 1, 0, 1, 2, 1, 2, 3}}));
  EXPECT_EQ(graph.feature_places, (CompressedRows{{0, 2, 3, 4, 4}, {0, 2, 1, 2}}));
  EXPECT_EQ(graph.feature_values, (std::vector<float>{0.75F, 0.25F, 1, 1}));
  EXPECT_EQ(graph.labels, (std::vector<int32_t>{0, 1, 1, -1}));
  EXPECT_EQ(graph.test, std::vector<int32_t>{2});
}

TEST_F(NodeGraphs, SelfLoopsAndRepeatedEdgesCountOnce) {
  Arrays arrays = small_graph();
  arrays["adj_indptr"] = ints({0, 4, 4, 4, 4});
  arrays["adj_indices"] = ints({1, 0, 1, 0});
  const NodeGraph graph = load(arrays);
  EXPECT_EQ(graph.neighbours, (CompressedRows{{0, 2, 3, 4, 5}, {0, 1, 1, 2, 3}}));
}

TEST_F(NodeGraphs, LabelsAndSplitsMayBeAbsent) {
  Arrays arrays = small_graph();
  for (const char* name : {"train_idx", "val_idx", "test_idx"}) arrays.erase(name);
  EXPECT_FALSE(load(arrays).has_splits());
  arrays.erase("labels");
  const NodeGraph graph = load(arrays);
  EXPECT_EQ(graph.labels, std::vector<int32_t>(4, -1));
  EXPECT_EQ(graph.classes, 0);
  EXPECT_TRUE(load(small_graph()).has_splits());
}

TEST_F(NodeGraphs, SaysWhatIsWrongWithAnArray) {
  EXPECT_EQ(error("adj_indices", ints({1, 2, 0, 4})),
            "adj_indices' has an edge from node 2 to node 4, but there are nodes 0 to 3");
  EXPECT_EQ(error("adj_indices", ints({1, -1, 0, 1})),
            "adj_indices' has an edge from node 1 to node -1, but there are nodes 0 to 3");
  EXPECT_EQ(error("adj_indptr", ints({0, 1, 3, 4})),
            "attr_shape' must hold the number of nodes, 3, and of features");
  EXPECT_EQ(error("adj_indptr", ints({0, 3, 1, 4, 4})), "adj_indptr' falls after row 1");
  EXPECT_EQ(error("adj_indptr", ints({0, 1, 3, 4, 5})),
            "adj_indptr' must go from 0 to 4, it goes from 0 to 5");
  EXPECT_EQ(error("adj_indptr", ints({0})), "adj_indptr' has no rows");
  EXPECT_EQ(error("attr_indices", ints({2, 0, 1, 3})),
            "attr_indices' has a feature 3 of node 2, but there are features 0 to 2");
  EXPECT_EQ(error("attr_indices", ints({2, 2, 1, 2})),
            "attr_indices' has the feature 2 of node 0 twice");
  EXPECT_EQ(error("attr_data", floats({1, 3})), "attr_data' has 2 values, attr_indices 4");
  EXPECT_EQ(error("attr_data", floats({1, 3, NAN, 2})),
            "attr_data' has a value of node 1 that is not finite");
  EXPECT_EQ(error("labels", ints({0, 1})), "labels' has 2 labels, but there are 4 nodes");
  EXPECT_EQ(error("labels", ints({0, 1, -2, 0})),
            "labels' has -2 for node 2; a label is -1 (none) to 65535");
  EXPECT_EQ(error("labels", floats({0, 1, 1, 0})), "labels' holds float32, expected integers");
  EXPECT_EQ(error("train_idx", ints({3})), "train_idx' names node 3, which has no label");
  EXPECT_EQ(error("val_idx", ints({4})), "val_idx' names node 4, but there are nodes 0 to 3");
  EXPECT_EQ(error("test_idx", ints({})), "test_idx' names no node");
  for (const char* name : {"labels", "val_idx", "adj_indices"}) {
    Arrays without = small_graph();
    without.erase(name);
    EXPECT_THROW((void)load(without), Error) << name;
  }
}

TEST(PublicGraphs, AreReadWhereTheyAre) {
  const std::filesystem::path folder =
      testing::find_data_set("graphs", STRATA_SOURCE_DIR, STRATA_BINARY_DIR);
  if (folder.empty()) {
    GTEST_SKIP() << "the public graphs are not here: set STRATA_DATA to the folder that holds "
                    "graphs/cora.npz";
  }
  const NodeGraph graph = load_node_graph(folder / "cora.npz");
  EXPECT_EQ(graph.nodes, 2708);
  EXPECT_EQ(graph.features, 1433);
  EXPECT_EQ(graph.classes, 7);
  EXPECT_EQ(graph.neighbours.columns.size(), 10556U + 2708U);
  EXPECT_EQ(graph.test.size(), 1000U);
}

}  // namespace
}  // namespace strata::data
