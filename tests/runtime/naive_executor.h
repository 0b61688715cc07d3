// Executes a graph straight from the ONNX operator definitions, with dense loops in double
// precision: the independent truth that Session is compared with.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "sparse/nested_model.h"

namespace strata::testing {

struct NaiveTensor {
  std::vector<int64_t> shape;
  std::vector<double> data;
};

/// Level at which a node's parameters are taken.
using LevelOfNode = std::function<int(const graph::Node&)>;

/// Runs `graph` on `inputs` (by name) and returns every value by name. Aborts on what it does not
/// know, as a test's mistake.
std::map<std::string, NaiveTensor> run_naively(const sparse::NestedModel& nested,
                                               const graph::Graph& graph,
                                               std::map<std::string, NaiveTensor> inputs,
                                               const LevelOfNode& level_of_node);

}  // namespace strata::testing
