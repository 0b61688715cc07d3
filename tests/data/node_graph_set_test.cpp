// Graphs to learn from and to test with: one file with splits, or a folder of files.
#include "train/data/node_graph_set.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sample_files.h"
#include "small_graph_bytes.h"
#include "train/error.h"

namespace strata::data {
namespace {

using interop::testing::Blob;
using interop::testing::bytes_of;
using interop::testing::npy;

Blob ints(const std::vector<int32_t>& values) {
  return npy("<i4", "(" + std::to_string(values.size()) + ",)", bytes_of(values));
}

/// Two nodes without edges that have `features` features, and labels on wish, but no splits.
Blob pair_of_nodes(int64_t features, const std::vector<int32_t>& labels) {
  std::vector<interop::testing::ZipEntry> entries = {
      {"adj_indptr.npy", ints({0, 0, 0})},
      {"adj_indices.npy", ints({})},
      {"attr_shape.npy", npy("<i8", "(2,)", bytes_of<int64_t>({2, features}))},
      {"attr_indptr.npy", ints({0, 1, 2})},
      {"attr_indices.npy", ints({0, 1})},
      {"attr_data.npy", npy("<f4", "(2,)", bytes_of<float>({1, 1}))}};
  if (!labels.empty()) entries.push_back({"labels.npy", ints(labels)});
  return interop::testing::zip(entries);
}

class NodeGraphSets : public ::testing::Test {
 protected:
  void write(const std::string& name, const Blob& bytes) const { directory_.write(name, bytes); }
  [[nodiscard]] std::filesystem::path folder() const { return directory_.path(); }
  static std::string error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  void expect_error(const std::vector<std::string>& parts) const {
    const std::string text = error_of([&] { (void)load_node_graph_set(folder()); });
    for (const std::string& part : parts) {
      EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
    }
  }

 private:
  DataDirectory directory_;
};

TEST_F(NodeGraphSets, OneFileHasOneGraphAndItsSplits) {
  write("small.npz", interop::testing::small_graph());
  const NodeGraphSet set = load_node_graph_set(folder() / "small.npz");
  EXPECT_EQ(set.name, "small");
  ASSERT_EQ(set.graphs.size(), 1U);
  EXPECT_EQ(set.features, 30);
  EXPECT_EQ(set.classes, 3);
  EXPECT_EQ(NodeGraphSet::node_count(set.train), 30);
  EXPECT_EQ(NodeGraphSet::node_count(set.validation), 30);
  EXPECT_EQ(NodeGraphSet::node_count(set.test), 60);
  const NodeGraphSet tested = load_test_graphs(folder() / "small.npz");
  EXPECT_EQ(tested.test.front().nodes, set.test.front().nodes);
  EXPECT_TRUE(tested.train.empty());
}

TEST_F(NodeGraphSets, AFolderHasGraphsOfEachSplit) {
  write("train/b.npz", interop::testing::small_graph(1, 40));
  write("train/a.npz", interop::testing::small_graph(2, 50));
  write("train/notes.txt", interop::testing::blob("no graph"));
  write("val/a.npz", interop::testing::small_graph(3, 60));
  write("test/a.npz", pair_of_nodes(30, {-1, 1}));
  write("test/b.npz", interop::testing::small_graph(4, 70));
  const NodeGraphSet set = load_node_graph_set(folder());
  EXPECT_EQ(set.name, folder().filename().string());
  ASSERT_EQ(set.graphs.size(), 5U);
  ASSERT_EQ(set.train.size(), 2U);
  EXPECT_EQ(set.train[0].nodes.size(), 50U) << "in the order of their names; all nodes count";
  EXPECT_EQ(set.graphs[set.train[1].graph].nodes, 40);
  EXPECT_EQ(NodeGraphSet::node_count(set.validation), 60);
  EXPECT_EQ(set.test[0].nodes, std::vector<int32_t>{1}) << "but for those without a label";
  EXPECT_EQ(NodeGraphSet::node_count(set.test), 71);
  EXPECT_EQ(set.classes, 3);
  const NodeGraphSet tested = load_test_graphs(folder());
  ASSERT_EQ(tested.graphs.size(), 2U);
  EXPECT_EQ(tested.graphs[tested.test[1].graph].nodes, 70);
}

TEST_F(NodeGraphSets, AGraphWithoutSplitsIsTestedAtAllItsLabelledNodes) {
  write("pair.npz", pair_of_nodes(2, {1, 0}));
  EXPECT_EQ(NodeGraphSet::node_count(load_test_graphs(folder() / "pair.npz").test), 2);
  const std::string text = error_of([&] { (void)load_node_graph_set(folder() / "pair.npz"); });
  EXPECT_NE(text.find("pair.npz' names no nodes to train, validate and test with"),
            std::string::npos)
      << text;
}

TEST_F(NodeGraphSets, SaysWhatIsWrongWithAFolder) {
  write("train/a.npz", interop::testing::small_graph(1));
  expect_error({"val' holds no graphs", ".npz files in train/, val/ and test/"});
  write("val/a.npz", interop::testing::small_graph(2));
  write("test/a.npz", pair_of_nodes(31, {0, 1}));
  expect_error({"test/a.npz' has 31 features, but 'a' has 30", "the same features"});
  write("test/a.npz", pair_of_nodes(30, {}));
  expect_error({"test/a.npz' has no node with a label"});
  write("test/a.npz", interop::testing::blob("no archive"));
  expect_error({"test/a.npz", ".npz archive"});
  EXPECT_THROW((void)load_test_graphs(folder() / "nowhere"), Error);
}

}  // namespace
}  // namespace strata::data
