// Writes small .strata files of every value type into the directory that it is given: what
// fuzz_format starts from.
#include <cstdio>
#include <string>

#include "format/writer.h"
#include "graph/builder.h"
#include "sparse/random.h"

namespace {

strata::Result<strata::sparse::NestedModel> small_model() {
  strata::graph::Model model;
  model.name = "seed";
  model.metadata = {{"classes", "cat\ndog"}};
  strata::graph::GraphBuilder builder(model, "main");
  std::string value = builder.input("image", {"batch", 2, 4, 4});
  value = builder.conv(
      "conv", value, {.in_channels = 2, .out_channels = 3, .kernel = 3, .stride = 1, .padding = 1});
  value = builder.batch_norm("norm", value, 3);
  value = builder.flatten("flatten", builder.global_average_pool("pool", value));
  value = builder.gemm("classifier", value, 3, 2);
  builder.output(value, "logits", {"batch", 2});
  builder.finish();
  using Levels = std::vector<strata::sparse::LevelBudget>;
  const Levels levels = {
      {.weights = 0.3, .flops = {}}, {.weights = 0.6, .flops = {}}, {.weights = 1.0, .flops = {}}};
  auto nested = strata::sparse::random_nested_model(model, levels,
                                                    strata::sparse::AllocationMethod::kUniform, 3);
  if (!nested.ok()) return nested;
  STRATA_RETURN_IF_ERROR(strata::sparse::fold_normalisation(*nested));
  return nested;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  const auto nested = small_model();
  strata::Status status = nested.status();
  using strata::format::ValueType;
  for (const ValueType type : {ValueType::kFloat32, ValueType::kFloat16, ValueType::kInt8}) {
    if (!status.ok()) break;
    const std::string name = "values" + std::to_string(static_cast<int>(type)) + ".strata";
    status = strata::format::write(std::string(argv[1]) + "/" + name, *nested, {type});
  }
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
