// How many threads libtorch may use, the linear algebra under it included. Shows nothing of
// libtorch.
#pragma once

namespace strata::train {

/// For the whole process. libtorch passes its number on to OpenMP, not to OpenBLAS, which otherwise
/// takes all cores and lets most of them spin.
void set_tensor_threads(int threads);

/// Of OpenBLAS alone; false if libtorch does not use it here.
bool set_blas_threads(int threads);

}  // namespace strata::train
