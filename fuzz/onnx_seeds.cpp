// Writes small ONNX models into the directory that it is given: what fuzz_onnx_import starts from.
#include <cstdio>
#include <string>

#include "graph/builder.h"
#include "interop/onnx_export.h"
#include "sparse/random.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  strata::graph::Model model;
  model.name = "seed";
  strata::graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("image", {"batch", 2, 4, 4});
  value = builder.pad("pad", value, {0, 0, 1, 1, 0, 0, 1, 1});
  value = builder.conv("conv", value, {.in_channels = 2, .out_channels = 3, .kernel = 3});
  value = builder.relu("relu", builder.batch_norm("norm", value, 3));
  value = builder.max_pool("pool", value, {});
  value = builder.flatten("flatten", builder.global_average_pool("mean", value));
  value = builder.gemm("classifier", value, 3, 2);
  builder.output(value, "logits", {"batch", 2});
  builder.finish();
  const std::vector<strata::sparse::LevelBudget> levels = {{.weights = 1.0, .flops = {}}};
  const auto nested = strata::sparse::random_nested_model(
      model, levels, strata::sparse::AllocationMethod::kUniform, 3);
  strata::Status status = nested.status();
  if (status.ok()) {
    status = strata::interop::write_onnx(std::string(argv[1]) + "/seed.onnx", *nested, 0);
  }
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
