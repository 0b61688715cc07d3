// Transposes a matrix, so that lanes can run over its rows.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace strata::kernels {

/// to[column * to_stride + row] = from[row * from_stride + column] for a matrix of [rows, columns];
/// strides in floats, at least a row of the matrix that they belong to. The two must not overlap;
/// what lies between rows of `to` stays as it is.
using TransposeFunction = void (*)(const float* from, int64_t from_stride, int64_t rows,
                                   int64_t columns, float* to, int64_t to_stride);

/// The kernel for one target, which must be among supported_targets().
TransposeFunction transpose_kernel(Target target);

/// The oracle.
void transpose_reference(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                         float* to, int64_t to_stride);

}  // namespace strata::kernels
