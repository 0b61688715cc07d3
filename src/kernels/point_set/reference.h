// The oracle: one point after the other.
#pragma once

#include "kernels/point_set/point_set.h"

namespace strata::kernels::point_set_reference {

void farthest_points(const FarthestPointsArguments& arguments);
void ball_query(const BallQueryArguments& arguments, int64_t begin, int64_t end);
void group_points(const GroupPointsArguments& arguments, int64_t begin, int64_t end);

}  // namespace strata::kernels::point_set_reference
