#include "tools/strata/point_input.h"

#include "train/error.h"

namespace strata::cli {

bool classifies_points(const graph::Model& model) {
  const auto family = model.metadata.find("family");
  return family != model.metadata.end() && family->second == "point-classification";
}

PointInput point_input(const format::Reader& reader) {
  const graph::Model& model = reader.model();
  const graph::Graph& graph = model.graphs.front();
  const graph::Bindings sizes = value_or_throw(graph::usual_sizes(model));
  const auto points = sizes.find("points");
  const bool known = graph.inputs.size() == 1 && graph.outputs.size() == 1 &&
                     graph.inputs[0].shape.size() == 3 && graph.outputs[0].shape.size() == 2 &&
                     points != sizes.end();
  const int64_t width = known ? graph.inputs[0].shape[2].value() : 0;
  if (width != 3 && width != 6) {
    throw Error("'" + reader.path() + "' is no classifier of point clouds as strata trains them");
  }
  return {points->second, width == 6, model.metadata.contains("input.turned"),
          graph.outputs[0].shape[1].value()};
}

}  // namespace strata::cli
