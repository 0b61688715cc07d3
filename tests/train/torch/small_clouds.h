// A recipe for a tiny PointNet++ on the small clouds of the tests.
#pragma once

#include <string>
#include <vector>

#include "small_training.h"

namespace strata::testing {

/// Quiet options for clouds that data::testing::write_small_cloud_set() wrote: levels of 20, 40 and
/// 80 %.
inline train::TrainOptions small_cloud_options(const fs::path& data, const fs::path& output,
                                               const std::string& algorithm,
                                               const std::vector<std::string>& overrides = {}) {
  train::TrainOptions options;
  options.recipe = train::parse_recipe(
      "seed = 3\nthreads = 1\n"
      "model.arch = 'pointnet2-ssg-small'\n"
      "model.width = 4\nmodel.normals = true\nmodel.dropout = 0.2\n"
      "model.keep_ends_dense = false\n"
      "data.points = 128\n"
      "data.augment = {scale = 0.2, shift = 0.1, jitter = 0.01, point_dropout = 0.3}\n"
      "data.dir = '" +
          data.string() +
          "'\n"
          "levels.weights = [20, 40, 80]\n"
          "optimizer = {kind = 'adam', lr = 0.01, epochs = 4, batch_size = 16}\n"
          "algorithm.kind = '" +
          algorithm +
          "'\n"
          "algorithm.joint.update_every = 3\n"
          "algorithm.grow = {dense_epochs = 2, admm_epochs = 1, retrain_epochs = 2}\n",
      "small cloud recipe", overrides);
  options.output = output;
  options.quiet = true;
  return options;
}

}  // namespace strata::testing
