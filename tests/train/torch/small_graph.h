// A small graph whose nodes a graph attention network learns to tell apart in a second, as an .npz
// file, and random graphs for comparing executors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "npz_bytes.h"
#include "small_training.h"

namespace strata::testing {

/// 120 nodes of three classes: features hint at the class, edges join mostly equal ones.
inline void write_small_graph(const fs::path& file, uint32_t seed = 1) {
  using interop::testing::bytes_of;
  using interop::testing::npy;
  constexpr int kNodes = 120;
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
  for (int node = 0; node < kNodes; ++node) {
    labels.push_back(node % 3);
    for (int e = 0; e < 4; ++e) {
      const int any = below(kNodes);
      edges.push_back(below(4) == 0 ? any : (any / 3 * 3 + node % 3) % kNodes);
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
  for (int node = 0; node < kNodes; ++node) {
    (node < 30 ? train : node < 60 ? validation : test).push_back(node);
  }
  const auto ints = [](const std::vector<int32_t>& values) {
    return npy("<i4", "(" + std::to_string(values.size()) + ",)", bytes_of(values));
  };
  const std::vector<float> ones(features.size(), 1.0F);
  const auto bytes = interop::testing::zip(
      {{"adj_indptr.npy", ints(begins), true},
       {"adj_indices.npy", ints(edges), true},
       {"attr_shape.npy", npy("<i8", "(2,)", bytes_of<int64_t>({kNodes, kFeatures}))},
       {"attr_indptr.npy", ints(feature_begins), true},
       {"attr_indices.npy", ints(features), true},
       {"attr_data.npy", npy("<f4", "(" + std::to_string(ones.size()) + ",)", bytes_of(ones))},
       {"labels.npy", ints(labels)},
       {"train_idx.npy", ints(train)},
       {"val_idx.npy", ints(validation)},
       {"test_idx.npy", ints(test)}});
  write_bytes(file, std::string(bytes.begin(), bytes.end()));
}

/// Quiet options for that graph: levels of 20, 40 and 80 %.
inline train::TrainOptions small_graph_options(const fs::path& data, const fs::path& output,
                                               const std::string& algorithm,
                                               const std::vector<std::string>& overrides = {}) {
  train::TrainOptions options;
  options.recipe = train::parse_recipe(
      "seed = 3\nthreads = 1\n"
      "model.arch = 'gat'\n"
      "model.width = 4\nmodel.heads = 2\nmodel.dropout = 0.3\n"
      "model.keep_ends_dense = false\n"
      "data.dir = '" +
          data.string() +
          "'\n"
          "levels.weights = [20, 40, 80]\n"
          "optimizer.kind = 'adam'\noptimizer.lr = 0.02\n"
          "optimizer.schedule = 'constant'\noptimizer.epochs = 60\n"
          "algorithm.kind = '" +
          algorithm +
          "'\n"
          "algorithm.joint.update_every = 3\n"
          "algorithm.grow.dense_epochs = 20\n"
          "algorithm.grow.admm_epochs = 5\n"
          "algorithm.grow.retrain_epochs = 20\n",
      "small graph recipe", overrides);
  options.output = output;
  options.quiet = true;
  return options;
}

}  // namespace strata::testing
