#include <cmath>

#include "kernels/activation/activation.h"

namespace strata::kernels {
namespace {

void sigmoid(const float* input, float* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) output[i] = 1 / (1 + std::exp(-input[i]));
}

void hyperbolic_tangent(const float* input, float* output, int64_t count) {
  for (int64_t i = 0; i < count; ++i) output[i] = std::tanh(input[i]);
}

}  // namespace

ActivationKernel activation_reference() { return {sigmoid, hyperbolic_tangent}; }

}  // namespace strata::kernels
