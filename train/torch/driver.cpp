// Trains a recipe: train_driver RECIPE OUT [KEY=VALUE...] [--resume].
#include <cstdio>
#include <string>
#include <vector>

#include "train/error.h"
#include "train/torch/train.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: train_driver RECIPE OUT [KEY=VALUE...] [--resume]\n");
    return 2;
  }
  try {
    strata::train::TrainOptions options;
    options.output = argv[2];
    std::vector<std::string> overrides;
    for (int i = 3; i < argc; ++i) {
      if (std::string(argv[i]) == "--resume") {
        options.resume = true;
      } else {
        overrides.emplace_back(argv[i]);
      }
    }
    options.recipe = strata::train::load_recipe(argv[1], overrides);
    const strata::train::TrainResult result = strata::train::train(options);
    for (const auto& level : result.levels) {
      std::printf("level %d  accuracy %.2f %%  weights %.2f %%  prunable %.2f %%  flops %.2f %%\n",
                  level.level, 100 * level.accuracy, level.weights_pct, level.weights_pct_prunable,
                  level.flops_pct);
    }
    std::printf("%.1f s, %.2f epochs\n", result.seconds, result.epochs);
    return 0;
  } catch (const strata::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
