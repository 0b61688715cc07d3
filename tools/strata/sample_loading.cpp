#include "tools/strata/sample_loading.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "tools/strata/image_loading.h"
#include "train/error.h"

namespace strata::cli {
namespace {

/// How many classes the graph tells apart: the columns of its first output; 0: it does not.
int64_t class_count(const graph::Graph& graph) {
  const graph::Shape& shape = graph.outputs.at(0).shape;
  return shape.size() == 2 && shape[1].known() ? shape[1].value() : 0;
}

std::unique_ptr<data::Samples> load_image_samples(const Console& console, const graph::Model& model,
                                                  data::Split split, const SampleLoading& loading) {
  const graph::ValueInfo& input = model.graphs[0].inputs.at(0);
  const graph::Shape& shape = input.shape;
  const bool images = model.graphs[0].inputs.size() == 1 && shape.size() == 4 &&
                      input.type == graph::DataType::kFloat32 && shape[1].known() &&
                      shape[2].known() && shape[3].known();
  if (!images) {
    throw Error("the model takes no images ([batch,C,H,W] with known sizes) but '" + input.name +
                "' " + graph::to_string(shape) + ", so the directory '" + loading.path +
                "' cannot feed it; give its inputs as arrays (.npz), or see --bind if only sizes "
                "are open");
  }
  data::LoadOptions options;
  options.shape = data::ImageShape{shape[1].value(), shape[2].value(), shape[3].value()};
  options.convert = loading.convert;
  options.limit = loading.limit;
  options.threads = loading.threads;
  data::Dataset dataset = load_images(console, loading.path, split, options);
  if (dataset.count == 0) {
    throw Error("'" + loading.path + "' has no images to " +
                (split == data::Split::kTest ? "test with" : "learn from"));
  }
  auto normalisation = data::read_normalisation(model.metadata, shape[1].value());
  const auto classes = static_cast<int64_t>(dataset.classes.size());
  auto samples = data::image_samples(std::move(dataset), std::move(normalisation), input.name);
  if (classes != class_count(model.graphs[0])) {
    if (split == data::Split::kTest) {
      console.note("note: the folders of '" + loading.path + "' are " + std::to_string(classes) +
                   " classes, but the network tells " +
                   std::to_string(class_count(model.graphs[0])) +
                   " apart, so they are no labels for it");
    }
    samples->forget_labels();
  }
  return samples;
}

}  // namespace

std::unique_ptr<data::Samples> load_samples(const Console& console, const graph::Model& model,
                                            data::Split split, const SampleLoading& loading) {
  if (model.graphs.size() != 1) {
    throw Error("model '" + model.name + "' has several graphs, which samples cannot feed");
  }
  if (std::filesystem::path(loading.path).extension() != ".npz") {
    return load_image_samples(console, model, split, loading);
  }
  const graph::Graph& graph = model.graphs[0];
  auto samples = data::load_arrays(loading.path, graph.inputs, split);
  const std::vector<int64_t>& labels = samples->labels();
  if (!labels.empty() && *std::max_element(labels.begin(), labels.end()) >= class_count(graph)) {
    throw Error("the labels of '" + loading.path + "' go up to " +
                std::to_string(*std::max_element(labels.begin(), labels.end())) +
                ", but the network's output is " + graph::to_string(graph.outputs.at(0).shape));
  }
  return samples;
}

graph::Bindings bindings_of(const graph::Graph& graph, const data::Samples& samples) {
  graph::Bindings bindings;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    for (size_t axis = 1; axis < graph.inputs[i].shape.size(); ++axis) {
      const graph::Dim& dim = graph.inputs[i].shape[axis];
      if (!dim.known()) bindings[dim.symbol()] = samples.inputs()[i].shape[axis - 1];
    }
  }
  return bindings;
}

}  // namespace strata::cli
