// The data that a model is compressed with: images or arrays, whichever a path holds.
#pragma once

#include <memory>
#include <string>

#include "sparse/nested_model.h"
#include "tools/strata/console.h"
#include "train/data/samples.h"

namespace strata::cli {

struct SampleLoading {
  std::string path;      ///< an .npz file, or a directory of images
  bool convert = false;  ///< make images of another size or colour fit
  int64_t limit = 0;     ///< images at most; 0: all
  int threads = 1;
};

/// One split of the data for the model's only graph. Labels that are not the model's classes are
/// left away, with a note. Throws Error as data::load() and data::load_arrays(), or Interrupted.
std::unique_ptr<data::Samples> load_samples(const Console& console, const graph::Model& model,
                                            data::Split split, const SampleLoading& loading);

/// Sizes of the dimensions that the graph leaves open, as these samples have them.
graph::Bindings bindings_of(const graph::Graph& graph, const data::Samples& samples);

}  // namespace strata::cli
