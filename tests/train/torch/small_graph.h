// A recipe for a graph attention network on the small graph of the tests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "small_graph_bytes.h"
#include "small_training.h"

namespace strata::testing {

inline void write_small_graph(const fs::path& file, uint32_t seed = 1, int nodes = 120) {
  const interop::testing::Blob bytes = interop::testing::small_graph(seed, nodes);
  write_bytes(file, std::string(bytes.begin(), bytes.end()));
}

/// Seven graphs of different sizes: three to learn from, two to validate and two to test with.
inline void write_small_graphs(const fs::path& folder) {
  uint32_t seed = 1;
  for (const char* name : {"train/a", "train/b", "train/c", "val/a", "val/b", "test/a", "test/b"}) {
    const fs::path file = folder / (std::string(name) + ".npz");
    fs::create_directories(file.parent_path());
    write_small_graph(file, seed, static_cast<int>(60 + 15 * seed));
    ++seed;
  }
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
