// A tiny language pair whose translation a small GNMT learns in seconds, and a recipe for it.
#pragma once

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "small_training.h"

namespace strata::testing {

/// Sentences of four words with a choice at every place; the other language has its own words.
inline void write_small_translation(const fs::path& directory) {
  using Choice = std::vector<std::pair<const char*, const char*>>;
  const std::vector<Choice> places = {
      {{"big", "großer"}, {"red", "roter"}, {"old", "alter"}},
      {{"dog", "Hund"}, {"man", "Mann"}, {"bird", "Vogel"}},
      {{"sees", "sieht"}, {"likes", "mag"}},
      {{"trees", "Bäume"}, {"cats", "Katzen"}, {"houses", "Häuser"}}};
  std::mt19937 random(5);
  for (const auto& [split, count] :
       {std::pair("train", 300), std::pair("val", 20), std::pair("test", 20)}) {
    std::ofstream english(directory / (std::string(split) + ".en"));
    std::ofstream german(directory / (std::string(split) + ".de"));
    for (int i = 0; i < count; ++i) {
      for (const Choice& place : places) {
        const auto& [word, translated] = place[random() % place.size()];
        const char* gap = &place == &places.back() ? "\n" : " ";
        english << word << gap;
        german << translated << gap;
      }
    }
  }
}

/// Quiet options for that text: levels of 30, 50 and 80 %.
inline train::TrainOptions small_translation_options(
    const fs::path& data, const fs::path& output, const std::string& algorithm,
    const std::vector<std::string>& overrides = {}) {
  train::TrainOptions options;
  options.recipe = train::parse_recipe(
      "seed = 3\nthreads = 1\n"
      "model.arch = 'gnmt'\nmodel.layers = 2\nmodel.width = 32\nmodel.vocabulary = 70\n"
      "model.dropout = 0.0\nmodel.keep_ends_dense = false\n"
      "data.dir = '" +
          data.string() +
          "'\n"
          "levels.weights = [30, 50, 80]\n"
          "optimizer.kind = 'adam'\noptimizer.lr = 0.01\noptimizer.batch_size = 16\n"
          "optimizer.weight_decay = 0\noptimizer.gradient_clip = 1\n"
          "optimizer.epochs = 10\n"
          "algorithm.kind = '" +
          algorithm +
          "'\n"
          "algorithm.joint.update_every = 10\n"
          "algorithm.grow.dense_epochs = 4\n"
          "algorithm.grow.admm_epochs = 1\n"
          "algorithm.grow.retrain_epochs = 1\n"
          "eval.every_epochs = 5\n",
      "small translation recipe", overrides);
  options.output = output;
  options.quiet = true;
  return options;
}

}  // namespace strata::testing
