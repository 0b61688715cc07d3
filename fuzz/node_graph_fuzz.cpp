// Any numbers as the arrays of a graph: read or refused, and what is read keeps what NodeGraph
// promises. The archive around them is fuzz_npz's matter. The first byte says which arrays are
// left out; then each has a length and that many numbers of one byte.
// Run: build/fuzz/fuzz/fuzz_node_graph build/fuzz/corpus/fuzz_node_graph
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "npz_bytes.h"
#include "train/data/node_graph.h"
#include "train/error.h"

namespace {

using strata::data::CompressedRows;
using strata::interop::testing::bytes_of;

constexpr std::array<const char*, 10> kArrays = {
    "adj_indptr", "adj_indices", "attr_shape", "attr_indptr", "attr_indices",
    "attr_data",  "labels",      "train_idx",  "val_idx",     "test_idx"};
constexpr size_t kFirstOptional = 6;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_rows(const CompressedRows& matrix, int64_t rows, int64_t columns) {
  require(matrix.row_begins.size() == static_cast<size_t>(rows) + 1);
  require(matrix.row_begins.front() == 0);
  require(matrix.row_begins.back() == static_cast<int64_t>(matrix.columns.size()));
  require(std::is_sorted(matrix.row_begins.begin(), matrix.row_begins.end()));
  for (const int32_t column : matrix.columns) require(column >= 0 && column < columns);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  size_t at = 0;
  const auto next = [&]() -> uint8_t { return at < size ? data[at++] : uint8_t{0}; };
  const uint8_t left_out = next();
  std::vector<strata::interop::testing::ZipEntry> entries;
  for (size_t i = 0; i < kArrays.size(); ++i) {
    std::vector<int32_t> values(next());
    for (int32_t& value : values) value = static_cast<int8_t>(next());
    if (i >= kFirstOptional && (left_out >> (i - kFirstOptional) & 1) != 0) continue;
    entries.push_back({std::string(kArrays[i]) + ".npy",
                       strata::interop::testing::npy(
                           "<i4", "(" + std::to_string(values.size()) + ",)", bytes_of(values))});
  }
  try {
    const auto graph =
        strata::data::parse_node_graph(strata::interop::testing::zip(entries), "fuzz");
    check_rows(graph.neighbours, graph.nodes, graph.nodes);
    check_rows(graph.feature_places, graph.nodes, graph.features);
    require(graph.feature_values.size() == graph.feature_places.columns.size());
    require(graph.labels.size() == static_cast<size_t>(graph.nodes));
    for (const auto* split : {&graph.train, &graph.validation, &graph.test}) {
      require(split->empty() != graph.has_splits());
      for (const int32_t node : *split) {
        require(node >= 0 && node < graph.nodes && graph.labels[static_cast<size_t>(node)] >= 0);
      }
    }
  } catch (const strata::Error&) {  // refused
  }
  return 0;
}
