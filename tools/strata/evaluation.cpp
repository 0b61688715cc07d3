#include "tools/strata/evaluation.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "tools/strata/node_inputs.h"
#include "tools/strata/point_input.h"
#include "tools/strata/sentences.h"

namespace strata::cli {

std::unique_ptr<Evaluator> make_evaluator(const Console& console,
                                          const std::shared_ptr<const format::Reader>& reader,
                                          const EvaluationOptions& options) {
  if (classifies_points(reader->model())) return make_point_evaluator(reader, options);
  if (options.votes > 1) {
    throw UsageError("--votes is for point clouds; '" + reader->path() + "' takes none");
  }
  if (classifies_nodes(reader->model())) return make_node_evaluator(reader, options);
  if (translates(reader->model())) return make_translation_evaluator(reader, options);
  if (std::filesystem::path(options.data).extension() == ".npz") {
    return make_array_evaluator(console, reader, options);
  }
  return std::move(make_image_evaluators(console, {&reader, 1}, options).front());
}

std::vector<SwitchPoint> switch_points(int levels, size_t steps) {
  std::vector<SwitchPoint> points;
  for (int from = levels - 1; from > 0; --from) {
    for (int to = from - 1; to >= 0; --to) {
      for (size_t step = 1; step < steps; ++step) points.push_back({step, from, to});
    }
  }
  return points;
}

std::vector<uint8_t> route_of(const SwitchPoint& point, size_t steps) {
  std::vector<uint8_t> route(steps, static_cast<uint8_t>(point.to));
  std::fill(route.begin(), route.begin() + static_cast<std::ptrdiff_t>(point.step),
            static_cast<uint8_t>(point.from));
  return route;
}

}  // namespace strata::cli
