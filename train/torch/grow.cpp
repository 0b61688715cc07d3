// `grow`: the published algorithm, one level after the other.
#include "train/error.h"
#include "train/torch/algorithm.h"

namespace strata::train {
std::unique_ptr<NestingAlgorithm> make_grow(const Recipe&, Network&, int64_t) {
  throw Error("algorithm.kind = \"grow\" is not in this build");
}
}  // namespace strata::train
