// What a level answers to given inputs, so that any other engine can be compared with the runtime:
//   strata_level_outputs FILE                          what goes in and comes out, as JSON
//   strata_level_outputs FILE LEVEL <inputs >outputs   one inference of batch 1
// Inputs and outputs follow each other in the order of the graph's, raw, row-major, each of its own
// type. bench/onnxruntime.mjs is what uses it.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "format/reader.h"
#include "tools/strata/session_buffers.h"
#include "train/error.h"

namespace strata {
namespace {

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

size_t bytes_of(const graph::ValueInfo& value) {
  size_t bytes = graph::element_size(value.type);
  for (const graph::Dim& dim : value.shape) bytes *= static_cast<size_t>(dim.value());
  return bytes;
}

void run(const std::string& path, const char* level) {
  const auto reader = value_or_throw(format::Reader::open(path));
  cli::SessionBuffers buffers(value_or_throw(runtime::Session::create(reader, {})));
  runtime::Session& session = buffers.session();
  if (level == nullptr) {
    const nlohmann::ordered_json all = {{"levels", session.level_count()},
                                        {"inputs", describe(session.inputs())},
                                        {"outputs", describe(session.outputs())}};
    std::printf("%s\n", all.dump().c_str());
    return;
  }
  for (size_t i = 0; i < session.inputs().size(); ++i) {
    const size_t bytes = bytes_of(session.inputs()[i]);
    if (std::fread(buffers.input(i), 1, bytes, stdin) != bytes) {
      throw Error("standard input is too short for '" + session.inputs()[i].name + "'");
    }
  }
  buffers.run(std::atoi(level));
  for (size_t i = 0; i < buffers.output_count(); ++i) {
    const std::span<const float> output = buffers.output(i);
    if (std::fwrite(output.data(), sizeof(float), output.size(), stdout) != output.size()) {
      throw Error("cannot write to standard output");
    }
  }
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) try {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: strata_level_outputs FILE [LEVEL <inputs >outputs]\n");
    return 2;
  }
  strata::run(argv[1], argc == 3 ? argv[2] : nullptr);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "strata_level_outputs: %s\n", error.what());
  return 1;
}
