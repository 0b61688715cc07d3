// Operators that work element by element.
#include "graph/inference.h"

namespace strata::graph {

std::vector<Operator> arithmetic_operators() {
  return {
      {"", "Add", 2, 2, 1, TypeRule::kEqual, {}, like_input<broadcast_shape>},
      {"", "Identity", 1, 1, 1, TypeRule::kEqual, {}, like_input<same_shape>},
      {"", "Mul", 2, 2, 1, TypeRule::kEqual, {}, like_input<broadcast_shape>},
      {"", "Relu", 1, 1, 1, TypeRule::kFloat, {}, like_input<same_shape>},
  };
}

}  // namespace strata::graph
