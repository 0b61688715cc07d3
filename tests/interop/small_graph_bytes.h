// A small graph with labelled nodes that a network learns to tell apart in a second, as an .npz
// file.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "npz_bytes.h"

namespace strata::interop::testing {

/// Nodes of three classes: features hint at the class, edges join mostly equal ones. A quarter of
/// the nodes trains, a quarter validates, half of them test.
inline Blob small_graph(uint32_t seed = 1, int node_count = 120) {
  constexpr int kFeatures = 30;
  std::mt19937 random(seed);
  const auto below = [&](int bound) {
    return static_cast<int>(random() % static_cast<uint32_t>(bound));
  };
  std::vector<int32_t> begins = {0};
  std::vector<int32_t> edges;
  std::vector<int32_t> feature_begins = {0};
  std::vector<int32_t> features;
  std::vector<int32_t> labels;
  for (int node = 0; node < node_count; ++node) {
    labels.push_back(node % 3);
    for (int e = 0; e < 4; ++e) {
      const int any = below(node_count);
      edges.push_back(below(4) == 0 ? any : (any / 3 * 3 + node % 3) % node_count);
    }
    begins.push_back(static_cast<int32_t>(edges.size()));
    std::vector<bool> has(kFeatures);
    for (int f = 0; f < 6; ++f)
      has[static_cast<size_t>(below(2) == 0 ? below(kFeatures) : below(10) * 3 + node % 3)] = true;
    for (int f = 0; f < kFeatures; ++f) {
      if (has[static_cast<size_t>(f)]) features.push_back(f);
    }
    feature_begins.push_back(static_cast<int32_t>(features.size()));
  }
  std::vector<int32_t> train;
  std::vector<int32_t> validation;
  std::vector<int32_t> test;
  for (int node = 0; node < node_count; ++node) {
    (node < node_count / 4 ? train : node < node_count / 2 ? validation : test).push_back(node);
  }
  const auto ints = [](const std::vector<int32_t>& values) {
    return npy("<i4", "(" + std::to_string(values.size()) + ",)", bytes_of(values));
  };
  const std::vector<float> ones(features.size(), 1.0F);
  return zip(
      {{"adj_indptr.npy", ints(begins), true},
       {"adj_indices.npy", ints(edges), true},
       {"attr_shape.npy", npy("<i8", "(2,)", bytes_of<int64_t>({node_count, kFeatures}))},
       {"attr_indptr.npy", ints(feature_begins), true},
       {"attr_indices.npy", ints(features), true},
       {"attr_data.npy", npy("<f4", "(" + std::to_string(ones.size()) + ",)", bytes_of(ones))},
       {"labels.npy", ints(labels)},
       {"train_idx.npy", ints(train)},
       {"val_idx.npy", ints(validation)},
       {"test_idx.npy", ints(test)}});
}

}  // namespace strata::interop::testing
