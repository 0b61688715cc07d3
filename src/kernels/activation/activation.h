// Functions of one float that networks apply to whole tensors and that are too slow one by one.
#pragma once

#include <cstdint>

#include "kernels/target.h"

namespace strata::kernels {

/// Writes f(input[i]) to output[i] for i < count; both may be the same. Within 1e-6 of the true
/// value, relative to it, or 2e-38 where that is more. NaN stays NaN.
using ActivationFunction = void (*)(const float* input, float* output, int64_t count);

struct ActivationKernel {
  ActivationFunction sigmoid;
  ActivationFunction tanh;
};

/// For one target, which must be among supported_targets().
ActivationKernel activation_kernel(Target target);

/// The oracle.
ActivationKernel activation_reference();

}  // namespace strata::kernels
