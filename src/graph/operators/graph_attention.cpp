// Our operators over sparse matrices in compressed rows: attention over the edges of a graph, and
// sparse features times a weight. docs/graph-attention.md has their semantics.
#include <cmath>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

/// Row i of a matrix in compressed rows lies from begins[i] to begins[i + 1], so there is one begin
/// more than there are rows; a symbol says so by its name, "nodes+1".
Dim rows_of(const Dim& begins) {
  if (begins.known()) return begins.value() > 0 ? Dim(begins.value() - 1) : Dim();
  constexpr std::string_view kOneMore = "+1";
  const std::string& symbol = begins.symbol();
  if (!symbol.ends_with(kOneMore)) return {};
  return symbol.substr(0, symbol.size() - kOneMore.size());
}

/// Inputs 0 and 1 of most: where rows begin, and the column of each entry.
Status check_compressed_rows(const NodeInputs& in) {
  for (const size_t i : {size_t{0}, size_t{1}}) {
    if (in.type(i) != DataType::kInt32) {
      return invalid_argument("input " + std::to_string(i) + " must be of type int32");
    }
  }
  STRATA_RETURN_IF_ERROR(check_rank(in.shape(0), 1, "the list of row begins"));
  STRATA_RETURN_IF_ERROR(check_rank(in.shape(1), 1, "the list of columns"));
  if (in.shape(0)[0].known() && in.shape(0)[0].value() < 1) {
    return invalid_argument("the list of row begins is empty");
  }
  return {};
}

Status check_float(const NodeInputs& in, size_t index, size_t rank, std::string_view what) {
  if (in.type(index) != DataType::kFloat32) {
    return invalid_argument(std::string(what) + " must be of type float32");
  }
  return check_rank(in.shape(index), rank, what);
}

Status check_equal(const Dim& a, const Dim& b, const std::string& what) {
  if (!a.known() || !b.known() || a == b) return {};
  return invalid_argument(what + " differ: " + std::to_string(a.value()) + " and " +
                          std::to_string(b.value()));
}

Result<TensorTypes> infer_sparse_product(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_compressed_rows(in));
  STRATA_RETURN_IF_ERROR(check_float(in, 2, 1, "the list of values"));
  STRATA_RETURN_IF_ERROR(check_float(in, 3, 2, "the weight"));
  STRATA_RETURN_IF_ERROR(
      check_equal(in.shape(1)[0], in.shape(2)[0], "the counts of columns and of values"));
  return TensorTypes{{DataType::kFloat32, {rows_of(in.shape(0)[0]), in.shape(3)[1]}}};
}

/// An entry multiplies one row of the weight; how often a row is met depends on the data, so it is
/// the mean over the rows.
int64_t sparse_product_uses(const NodeInputs& in, const TensorTypes& /*outputs*/, size_t index) {
  if (index != 3) return 0;
  const Dim& entries = in.shape(1)[0];
  const Dim& features = in.shape(3)[0];
  if (!entries.known() || !features.known() || features.value() == 0) return -1;
  return (entries.value() + features.value() / 2) / features.value();
}

Result<TensorTypes> infer_head_scores(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_float(in, 0, 2, "input"));
  STRATA_RETURN_IF_ERROR(check_float(in, 1, 2, "the weight"));
  const Dim& width = in.shape(0)[1];
  const Shape& weight = in.shape(1);
  if (width.known() && weight[0].known() && weight[1].known() &&
      width.value() != weight[0].value() * weight[1].value()) {
    return invalid_argument("input has " + std::to_string(width.value()) +
                            " features, the weight of shape " + to_string(weight) + " expects " +
                            std::to_string(weight[0].value() * weight[1].value()));
  }
  return TensorTypes{{DataType::kFloat32, {in.shape(0)[0], weight[0]}}};
}

int64_t head_scores_uses(const NodeInputs& in, const TensorTypes& /*outputs*/, size_t index) {
  return index == 1 ? in.shape(0)[0].value() : 0;
}

Result<TensorTypes> infer_edge_softmax(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_compressed_rows(in));
  STRATA_RETURN_IF_ERROR(check_float(in, 2, 2, "the scores of targets"));
  STRATA_RETURN_IF_ERROR(check_float(in, 3, 2, "the scores of sources"));
  STRATA_RETURN_IF_ERROR(
      check_equal(in.shape(2)[1], in.shape(3)[1], "the heads of targets and of sources"));
  STRATA_RETURN_IF_ERROR(
      check_equal(rows_of(in.shape(0)[0]), in.shape(2)[0], "the rows and the scored targets"));
  const float slope = in.node.attribute_float("negative_slope", 0.2F);
  if (!(slope >= 0 && slope <= 1)) {
    return invalid_argument("attribute 'negative_slope' must be a number from 0 to 1");
  }
  return TensorTypes{{DataType::kFloat32, {in.shape(1)[0], in.shape(2)[1]}}};
}

Result<TensorTypes> infer_edge_sum(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_compressed_rows(in));
  STRATA_RETURN_IF_ERROR(check_float(in, 2, 2, "the list of coefficients"));
  STRATA_RETURN_IF_ERROR(check_float(in, 3, 2, "input"));
  STRATA_RETURN_IF_ERROR(
      check_equal(in.shape(1)[0], in.shape(2)[0], "the counts of columns and of coefficients"));
  const Dim& heads = in.shape(2)[1];
  Dim width = in.shape(3)[1];
  const bool mean = in.node.attribute_int("mean_of_heads", 0) != 0;
  if (heads.known() && width.known()) {
    if (heads.value() == 0 || width.value() % heads.value() != 0) {
      return invalid_argument("input has " + std::to_string(width.value()) +
                              " features, which do not divide among " +
                              std::to_string(heads.value()) + " heads");
    }
    if (mean) width = Dim(width.value() / heads.value());
  } else if (mean) {
    width = Dim();
  }
  return TensorTypes{{DataType::kFloat32, {rows_of(in.shape(0)[0]), std::move(width)}}};
}

Result<Shape> infer_dropout(const NodeInputs& in) {
  const float ratio = in.node.attribute_float("ratio", 0.5F);
  if (!(ratio >= 0 && ratio < 1)) {
    return invalid_argument("attribute 'ratio' must be at least 0 and below 1");
  }
  return in.shape(0);
}

}  // namespace

std::vector<Operator> graph_attention_operators() {
  using Kind = AttributeKind;
  return {
      // As in opsets 7 to 11, where the ratio is an attribute; identity at inference.
      {"",
       "Dropout",
       1,
       1,
       1,
       TypeRule::kFloat,
       {{"ratio", Kind::kFloat}},
       like_input<infer_dropout>},
      {kStrataDomain,
       "EdgeSoftmax",
       4,
       4,
       1,
       TypeRule::kAny,
       {{"negative_slope", Kind::kFloat}},
       infer_edge_softmax},
      {kStrataDomain,
       "EdgeSum",
       4,
       4,
       1,
       TypeRule::kAny,
       {{"mean_of_heads", Kind::kInt}},
       infer_edge_sum},
      {kStrataDomain,
       "HeadScores",
       2,
       2,
       1,
       TypeRule::kAny,
       {},
       infer_head_scores,
       head_scores_uses},
      {kStrataDomain,
       "SparseProduct",
       4,
       4,
       1,
       TypeRule::kAny,
       {},
       infer_sparse_product,
       sparse_product_uses},
  };
}

}  // namespace strata::graph
