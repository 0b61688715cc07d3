// What a level answers to given inputs, so that any other engine can be compared with the runtime:
//   strata_level_outputs FILE                          what goes in and comes out, as JSON
//   strata_level_outputs FILE inputs [SEED] >inputs    inputs that the graph takes, at random
//   strata_level_outputs FILE LEVEL <inputs >outputs   one inference
//   strata_level_outputs FILE truth LEVEL <inputs >outputs   the same in double precision, by
//                                                      libtorch: float64, what floats were float32
// Options, which come last: --graph NAME, --bind SYMBOL=SIZE, --data GRAPH.npz (inputs of a network
// that classifies nodes, instead of random ones). Inputs and outputs follow each other in the order
// of the graph's, raw, row-major, each of its own type. bench/onnxruntime.mjs is what uses it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "format/reader.h"
#include "tools/strata/import_options.h"
#include "tools/strata/node_inputs.h"
#include "tools/strata/session_buffers.h"
#include "train/error.h"
#ifdef STRATA_TORCH_VERSION
#include "train/torch/executor.h"
#include "train/torch/tensors.h"
#endif

namespace strata {
namespace {

using graph::DataType;

nlohmann::ordered_json describe(const std::vector<graph::ValueInfo>& values) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const graph::ValueInfo& value : values) {
    std::vector<int64_t> shape;
    for (const graph::Dim& dim : value.shape) shape.push_back(dim.value());
    all.push_back({{"name", value.name},
                   {"type", std::string(graph::to_string(value.type))},
                   {"shape", shape}});
  }
  return all;
}

size_t elements_of(const graph::ValueInfo& value) {
  size_t elements = 1;
  for (const graph::Dim& dim : value.shape) elements *= static_cast<size_t>(dim.value());
  return elements;
}

void write(const void* data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, stdout) != bytes) {
    throw Error("cannot write to standard output");
  }
}

/// What an input of integers may hold, from the first node that reads it.
struct IntegerRange {
  int64_t first = 0;
  int64_t last = 1;
  bool row_begins = false;  ///< ascending, from 0 to the count of entries, which is `last`
};

IntegerRange range_of(const graph::Graph& graph, const graph::ValueTable& shapes,
                      const std::string& input) {
  const auto size = [&](const std::string& value, size_t axis) {
    return shapes.find(value)->second.shape.at(axis).value();
  };
  for (const graph::Node& node : graph.nodes) {
    const auto place = std::find(node.inputs.begin(), node.inputs.end(), input);
    if (place == node.inputs.end()) continue;
    const auto index = place - node.inputs.begin();
    if (node.op_type == "Gather" && index == 1) {
      const auto axis = static_cast<size_t>(node.attribute_int("axis", 0));
      return {0, size(node.inputs[0], axis) - 1, false};
    }
    if ((node.op_type == "LSTM" || node.op_type == "GRU") && index == 4) {
      return {1, size(node.inputs[0], 0), false};
    }
    if (node.domain == graph::kStrataDomain && index == 0)
      return {0, size(node.inputs[1], 0), true};
    if (node.domain == graph::kStrataDomain && index == 1) {
      return {0, size(node.inputs[3], 0) - 1, false};
    }
  }
  return {};
}

/// A graph whose inputs have no open sizes, and all shapes that follow.
struct SizedGraph {
  graph::Graph graph;
  graph::ValueTable shapes;
};

/// Sizes that nobody gives are the model's usual ones, or 1, as in a session.
SizedGraph with_sizes(const graph::Model& model, const graph::Graph& graph,
                      const graph::Bindings& given) {
  SizedGraph sized{graph, {}};
  const graph::Bindings usual = value_or_throw(graph::usual_sizes(model));
  for (graph::ValueInfo& input : sized.graph.inputs) {
    for (graph::Dim& dim : input.shape) {
      if (dim.known()) continue;
      const auto named = given.find(dim.symbol());
      const auto otherwise = usual.find(dim.symbol());
      dim = named != given.end()       ? named->second
            : otherwise != usual.end() ? otherwise->second
                                       : int64_t{1};
    }
  }
  sized.graph.outputs.clear();  // their declared sizes are symbols still
  sized.shapes = value_or_throw(graph::infer_shapes(model, sized.graph));
  for (const graph::ValueInfo& output : graph.outputs) {
    sized.graph.outputs.push_back(sized.shapes.find(output.name)->second);
  }
  return sized;
}

/// Floats are uniform in -1..1.
void write_random(const SizedGraph& sized, uint32_t seed) {
  std::mt19937 random(seed);
  for (const graph::ValueInfo& input : sized.graph.inputs) {
    const size_t count = elements_of(input);
    if (input.type == DataType::kFloat32) {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(random()) / 2147483648.0F - 1.0F;
      write(values.data(), count * sizeof(float));
      continue;
    }
    const IntegerRange range = range_of(sized.graph, sized.shapes, input.name);
    std::vector<int64_t> values(count);
    for (int64_t& value : values) {
      value = range.first + static_cast<int64_t>(random()) % (range.last - range.first + 1);
    }
    if (range.row_begins) {
      std::sort(values.begin(), values.end());
      values.front() = 0;
      values.back() = range.last;
    }
    const size_t width = graph::element_size(input.type);
    for (const int64_t& value : values) write(&value, width);  // little-endian
  }
}

struct Options {
  runtime::SessionOptions session;
  std::string data;
};

Options parse(const std::vector<std::string>& words, size_t at) {
  Options options;
  std::vector<std::string> bindings;
  for (; at < words.size(); at += 2) {
    if (at + 1 == words.size()) throw Error(words[at] + " needs a value");
    if (words[at] == "--graph") {
      options.session.graph = words[at + 1];
    } else if (words[at] == "--bind") {
      bindings.push_back(words[at + 1]);
    } else if (words[at] == "--data") {
      options.data = words[at + 1];
    } else {
      throw Error("'" + words[at] + "' is no option");
    }
  }
  options.session.bindings = cli::parse_bindings(bindings);
  return options;
}

void read(void* data, const graph::ValueInfo& input) {
  const size_t bytes = elements_of(input) * graph::element_size(input.type);
  if (std::fread(data, 1, bytes, stdin) != bytes) {
    throw Error("standard input is too short for '" + input.name + "'");
  }
}

void run(cli::SessionBuffers& buffers, int level) {
  runtime::Session& session = buffers.session();
  for (size_t i = 0; i < session.inputs().size(); ++i) read(buffers.input(i), session.inputs()[i]);
  buffers.run(level);
  for (size_t i = 0; i < buffers.output_count(); ++i) {
    const std::span<const float> output = buffers.output(i);
    write(output.data(), output.size_bytes());
  }
}

#ifdef STRATA_TORCH_VERSION

void run_in_double(const format::Reader& reader, const SizedGraph& sized, int level) {
  const sparse::NestedModel nested = value_or_throw(reader.read_all());
  const auto widened = [](const at::Tensor& tensor) {
    return at::isFloatingType(tensor.scalar_type()) ? tensor.to(at::kDouble) : tensor;
  };
  train::LevelTensors parameters = train::level_tensors(nested, level);
  for (at::Tensor& tensor : parameters) tensor = widened(tensor);
  std::vector<at::Tensor> inputs;
  for (const graph::ValueInfo& input : sized.graph.inputs) {
    std::vector<int64_t> shape;
    for (const graph::Dim& dim : input.shape) shape.push_back(dim.value());
    at::Tensor tensor = at::empty(shape, train::scalar_type(input.type));
    read(tensor.data_ptr(), input);
    inputs.push_back(widened(tensor));
  }
  const at::NoGradGuard no_grad;
  const train::Executor executor(nested.model, sized.graph);
  for (const at::Tensor& output :
       executor.forward(inputs, {&parameters, 1}, executor.fixed_route(0), {})) {
    if (!at::isFloatingType(output.scalar_type())) continue;
    const at::Tensor all = output.to(at::kDouble).contiguous();
    write(all.data_ptr(), static_cast<size_t>(all.numel()) * sizeof(double));
  }
}

#else

void run_in_double(const format::Reader&, const SizedGraph&, int) {
  throw Error("this build has no libtorch");
}

#endif

void run(const std::vector<std::string>& words) {
  const auto reader = value_or_throw(format::Reader::open(words.at(0)));
  const bool asked = words.size() > 1 && !words[1].starts_with("--");
  const bool seeded = asked && words.size() > 2 && !words[2].starts_with("--");
  Options options = parse(words, 1U + (asked ? 1U : 0U) + (seeded ? 1U : 0U));
  std::unique_ptr<cli::NodeInputs> nodes;
  if (!options.data.empty()) {
    nodes = std::make_unique<cli::NodeInputs>(options.data, *reader);
    options.session.bindings = nodes->bindings();
  }
  if (asked && words[1] == "inputs" && nodes) {
    for (const runtime::InputView& view : nodes->views()) {
      write(view.data, view.elements * graph::element_size(view.type));
    }
    return;
  }
  const graph::Model& model = reader->model();
  if (!asked) {
    nlohmann::ordered_json graphs = nlohmann::ordered_json::array();
    for (const graph::Graph& graph : model.graphs) {
      const SizedGraph sized = with_sizes(model, graph, options.session.bindings);
      graphs.push_back({{"name", graph.name},
                        {"inputs", describe(sized.graph.inputs)},
                        {"outputs", describe(sized.graph.outputs)}});
    }
    const nlohmann::ordered_json all = {{"levels", reader->level_count()}, {"graphs", graphs}};
    std::printf("%s\n", all.dump().c_str());
    return;
  }
  const graph::Graph* graph = options.session.graph.empty()
                                  ? &model.graphs.front()
                                  : model.find_graph(options.session.graph);
  if (graph == nullptr) throw Error("there is no graph '" + options.session.graph + "'");
  const auto sized = [&] { return with_sizes(model, *graph, options.session.bindings); };
  if (words[1] == "inputs") {
    const auto seed = static_cast<uint32_t>(seeded ? std::atoi(words[2].c_str()) : 1);
    write_random(sized(), seed);
  } else if (words[1] == "truth") {
    run_in_double(*reader, sized(), std::atoi(words.at(2).c_str()));
  } else {
    cli::SessionBuffers buffers(value_or_throw(runtime::Session::create(reader, options.session)));
    run(buffers, std::atoi(words[1].c_str()));
  }
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fprintf(
        stderr,
        "usage: strata_level_outputs FILE [LEVEL | truth LEVEL | inputs [SEED]] [OPTIONS]\n");
    return 2;
  }
  strata::run(std::vector<std::string>(argv + 1, argv + argc));
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "strata_level_outputs: %s\n", error.what());
  return 1;
}
