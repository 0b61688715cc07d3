// How far the outputs of a compressed network are from those of the original.
#pragma once

#include <vector>

#include <ATen/ATen.h>

namespace strata::train {

/// Per sample |a - b|^2 / |b|^2 over all of `a` and `b` ([batch, …]); [batch], differentiable.
at::Tensor sample_distances(const at::Tensor& a, const at::Tensor& b);

/// Mean of them over batch and outputs.
double output_distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b);

}  // namespace strata::train
