// Constant folding in two halves: what moves elements (onnx_folding.cpp), and what computes with
// them (onnx_folding_arithmetic.cpp).
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "interop/onnx_scope.h"

namespace strata::interop {

/// What one fold works on; inputs[i] is null where input i is omitted.
struct Fold {
  Scope& scope;
  const OnnxNode& node;
  std::vector<const Constant*> inputs;

  [[nodiscard]] const Constant& input(size_t index) const { return *inputs[index]; }
  [[nodiscard]] const graph::Node& attributes() const { return node.node; }
};

using Folding = Result<Constant> (*)(const Fold&);
using Foldings = std::map<std::string_view, Folding>;

/// Of two operands that broadcast.
const Foldings& binary_foldings();
/// Of one operand, element by element.
const Foldings& unary_foldings();
/// Other arithmetic.
Result<Constant> fold_cast(const Fold& fold);
Result<Constant> fold_dequantize(const Fold& fold);
Result<Constant> fold_not(const Fold& fold);
Result<Constant> fold_reduce_product(const Fold& fold);

}  // namespace strata::interop
