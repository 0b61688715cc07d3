// How the elements of a weight are numbered.
#pragma once

#include <cstdint>

namespace strata::runtime {

/// Row and column of flat weight indices. A matrix may be stored by input, transposed.
struct MatrixShape {
  int64_t rows = 1;
  int64_t columns = 1;
  bool by_input = false;

  [[nodiscard]] int64_t row(uint32_t position) const {
    return by_input ? position % rows : position / columns;
  }
  [[nodiscard]] int64_t column(uint32_t position) const {
    return by_input ? position / rows : position % columns;
  }
};

}  // namespace strata::runtime
