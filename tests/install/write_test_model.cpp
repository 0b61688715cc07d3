// Writes a small random nested model for the install test: write_test_model FILE
#include <cstdio>

#include "format/writer.h"
#include "models/resnet.h"
#include "sparse/random.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  auto config = strata::models::resnet_config("resnet8");
  if (!config.ok()) return 1;
  auto model = strata::models::resnet(config.value());
  if (!model.ok()) return 1;
  const strata::sparse::LevelBudget levels[] = {{.weights = 0.1, .flops = {}},
                                                {.weights = 0.3, .flops = {}}};
  auto nested = strata::sparse::random_nested_model(model.value(), levels,
                                                    strata::sparse::AllocationMethod::kUniform, 1);
  if (!nested.ok()) return 1;
  if (!strata::sparse::fold_normalisation(nested.value()).ok()) return 1;
  const strata::Status status = strata::format::write(argv[1], nested.value());
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
