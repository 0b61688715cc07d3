// Our operators over sets of points in space: which points stand for all (farthest-point sampling),
// which lie near them (ball query), and what is known of those, relative to the centre.
// docs/point-clouds.md has their semantics.
#include <cmath>
#include <string>
#include <utility>

#include "graph/inference.h"

namespace strata::graph {
namespace {

constexpr int64_t kCoordinates = 3;

Status check_numbers(const NodeInputs& in, size_t index, DataType type, size_t rank,
                     std::string_view what) {
  if (in.type(index) != type) {
    return invalid_argument(std::string(what) + " must be of type " + std::string(to_string(type)));
  }
  return check_rank(in.shape(index), rank, what);
}

/// [batch, points, 3].
Status check_positions(const NodeInputs& in, size_t index, std::string_view what) {
  STRATA_RETURN_IF_ERROR(check_numbers(in, index, DataType::kFloat32, 3, what));
  const Dim& width = in.shape(index)[2];
  if (!width.known() || width.value() == kCoordinates) return {};
  return invalid_argument(std::string(what) + " have " + std::to_string(width.value()) +
                          " coordinates, expected 3");
}

Status check_same(const Dim& a, const Dim& b, const std::string& what) {
  if (!a.known() || !b.known() || a == b) return {};
  return invalid_argument(what + " differ: " + std::to_string(a.value()) + " and " +
                          std::to_string(b.value()));
}

Status check_same_batch(const NodeInputs& in, size_t a, size_t b) {
  return check_same(in.shape(a)[0], in.shape(b)[0],
                    "the batches of inputs " + std::to_string(a) + " and " + std::to_string(b));
}

Result<int64_t> count_attribute(const NodeInputs& in) {
  const int64_t count = in.node.attribute_int("count", 0);
  if (count >= 1 && count <= kMaxDimension) return count;
  return invalid_argument("attribute 'count' must be given and at least 1");
}

Result<TensorTypes> infer_farthest_point_sampling(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_positions(in, 0, "the points"));
  STRATA_ASSIGN_OR_RETURN(const int64_t count, count_attribute(in));
  const Dim& points = in.shape(0)[1];
  if (points.known() && points.value() < count) {
    return invalid_argument("a cloud has " + std::to_string(points.value()) + " points, but " +
                            std::to_string(count) + " are to be chosen of it");
  }
  return TensorTypes{{DataType::kInt32, {in.shape(0)[0], Dim(count)}}};
}

Result<TensorTypes> infer_gather_points(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_numbers(in, 0, DataType::kFloat32, 3, "the list of points"));
  STRATA_RETURN_IF_ERROR(check_numbers(in, 1, DataType::kInt32, 2, "the list of indices"));
  STRATA_RETURN_IF_ERROR(check_same_batch(in, 0, 1));
  return TensorTypes{{DataType::kFloat32, {in.shape(0)[0], in.shape(1)[1], in.shape(0)[2]}}};
}

Result<TensorTypes> infer_ball_query(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_positions(in, 0, "the centres"));
  STRATA_RETURN_IF_ERROR(check_positions(in, 1, "the points"));
  STRATA_RETURN_IF_ERROR(check_same_batch(in, 0, 1));
  STRATA_ASSIGN_OR_RETURN(const int64_t count, count_attribute(in));
  const float radius = in.node.attribute_float("radius", 0);
  if (!(radius > 0) || !std::isfinite(radius)) {
    return invalid_argument("attribute 'radius' must be given and a number above 0");
  }
  if (in.shape(1)[1].known() && in.shape(1)[1].value() == 0) {
    return invalid_argument("the cloud is empty");
  }
  return TensorTypes{{DataType::kInt32, {in.shape(0)[0], in.shape(0)[1], Dim(count)}}};
}

Result<TensorTypes> infer_group_points(const NodeInputs& in) {
  STRATA_RETURN_IF_ERROR(check_positions(in, 0, "the centres"));
  STRATA_RETURN_IF_ERROR(check_positions(in, 1, "the points"));
  STRATA_RETURN_IF_ERROR(check_numbers(in, 2, DataType::kInt32, 3, "the list of neighbours"));
  STRATA_RETURN_IF_ERROR(check_same_batch(in, 0, 1));
  STRATA_RETURN_IF_ERROR(check_same_batch(in, 0, 2));
  STRATA_RETURN_IF_ERROR(
      check_same(in.shape(0)[1], in.shape(2)[1], "the counts of centres and of their neighbours"));
  Dim channels(kCoordinates);
  if (in.has(3)) {
    if (in.type(3) != DataType::kFloat32) {
      return invalid_argument("the features must be of type float32");
    }
    const Shape& features = in.shape(3);
    const bool plane = features.size() == 4 && (!features[2].known() || features[2].value() == 1);
    if (!plane && features.size() != 3) {
      return invalid_argument("the features have shape " + to_string(features) +
                              ", expected [batch,channels,points] or [batch,channels,1,points]");
    }
    STRATA_RETURN_IF_ERROR(check_same_batch(in, 0, 3));
    STRATA_RETURN_IF_ERROR(
        check_same(in.shape(1)[1], features.back(), "the counts of points and of their features"));
    channels = features[1].known() ? Dim(kCoordinates + features[1].value()) : Dim();
  }
  return TensorTypes{
      {DataType::kFloat32, {in.shape(0)[0], std::move(channels), in.shape(2)[2], in.shape(2)[1]}}};
}

}  // namespace

std::vector<Operator> point_set_operators() {
  using Kind = AttributeKind;
  return {
      {kStrataDomain,
       "BallQuery",
       2,
       2,
       1,
       TypeRule::kAny,
       {{"count", Kind::kInt}, {"radius", Kind::kFloat}},
       infer_ball_query},
      {kStrataDomain,
       "FarthestPointSampling",
       1,
       1,
       1,
       TypeRule::kAny,
       {{"count", Kind::kInt}},
       infer_farthest_point_sampling},
      {kStrataDomain, "GatherPoints", 2, 2, 1, TypeRule::kAny, {}, infer_gather_points},
      {kStrataDomain, "GroupPoints", 3, 4, 1, TypeRule::kAny, {}, infer_group_points},
  };
}

}  // namespace strata::graph
