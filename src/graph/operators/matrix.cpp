// Matrix products.
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

/// Both operands of a product must agree on the size that is summed over.
Status check_inner(const Dim& a, const Dim& b) {
  if (!a.known() || !b.known() || a == b) return {};
  return invalid_argument("input has " + std::to_string(a.value()) +
                          " features, the weight expects " + std::to_string(b.value()));
}

Result<Shape> infer_gemm(const NodeInputs& in) {
  const Node& node = in.node;
  const Shape& a = in.shape(0);
  const Shape& b = in.shape(1);
  STRATA_RETURN_IF_ERROR(check_rank(a, 2, "input"));
  STRATA_RETURN_IF_ERROR(check_rank(b, 2, "the weight"));
  const bool trans_a = node.attribute_int("transA", 0) != 0;
  const bool trans_b = node.attribute_int("transB", 0) != 0;
  STRATA_RETURN_IF_ERROR(check_inner(a[trans_a ? 0 : 1], b[trans_b ? 1 : 0]));
  if (!std::isfinite(node.attribute_float("alpha", 1)) ||
      !std::isfinite(node.attribute_float("beta", 1))) {
    return invalid_argument("attributes 'alpha' and 'beta' must be finite");
  }
  Shape output = {a[trans_a ? 1 : 0], b[trans_b ? 0 : 1]};
  if (in.has(2)) {
    STRATA_ASSIGN_OR_RETURN(const Shape sum, broadcast(output, in.shape(2)));
    for (size_t i = 0; i < sum.size(); ++i) {
      const bool grew =
          sum.size() != 2 || (sum[i].known() && output[i].known() && sum[i] != output[i]);
      if (grew) {
        return invalid_argument("the bias of shape " + to_string(in.shape(2)) +
                                " does not broadcast to " + to_string(output));
      }
    }
  }
  return output;
}

Result<Shape> infer_matmul(const NodeInputs& in) {
  const std::span<const Dim> a = in.shape(0);
  const std::span<const Dim> b = in.shape(1);
  if (a.size() < 2 || b.size() < 2) {
    return unsupported("both inputs need at least two dimensions, they have shapes " +
                       to_string(in.shape(0)) + " and " + to_string(in.shape(1)));
  }
  STRATA_RETURN_IF_ERROR(check_inner(a.back(), b[b.size() - 2]));
  const auto batch_a = a.first(a.size() - 2);
  const auto batch_b = b.first(b.size() - 2);
  STRATA_ASSIGN_OR_RETURN(Shape output, broadcast(Shape(batch_a.begin(), batch_a.end()),
                                                  Shape(batch_b.begin(), batch_b.end())));
  output.push_back(a[a.size() - 2]);
  output.push_back(b.back());
  return output;
}

/// One element of a matrix meets every row of the other operand once.
int64_t gemm_uses(const NodeInputs& in, const TensorTypes& /*outputs*/, size_t index) {
  if (index > 1) return 0;
  const size_t other = 1 - index;
  const bool transposed = in.node.attribute_int(other == 0 ? "transA" : "transB", 0) != 0;
  return in.shape(other)[(other == 0) == transposed ? 1 : 0].value();
}

int64_t matmul_uses(const NodeInputs& in, const TensorTypes& /*outputs*/, size_t index) {
  if (index > 1) return 0;
  const Shape& other = in.shape(1 - index);
  if (index == 0) {
    return in.shape(1).size() == 2 ? other.back().value() : -1;
  }
  int64_t uses = 1;
  for (size_t axis = 0; axis + 1 < other.size(); ++axis) {
    if (!other[axis].known() || __builtin_mul_overflow(uses, other[axis].value(), &uses)) return -1;
  }
  return uses;
}

}  // namespace

std::vector<Operator> matrix_operators() {
  using Kind = AttributeKind;
  return {
      {"",
       "Gemm",
       2,
       3,
       1,
       TypeRule::kFloat,
       {{"alpha", Kind::kFloat},
        {"beta", Kind::kFloat},
        {"transA", Kind::kInt},
        {"transB", Kind::kInt}},
       like_input<infer_gemm>,
       gemm_uses},
      {"", "MatMul", 2, 2, 1, TypeRule::kFloat, {}, like_input<infer_matmul>, matmul_uses},
  };
}

}  // namespace strata::graph
