#include "train/torch/output_distance.h"

namespace strata::train {

at::Tensor sample_distances(const at::Tensor& a, const at::Tensor& b) {
  constexpr double kLeastEnergy = 1e-20;  // of an output that is all zero
  const at::Tensor reference = b.to(at::kFloat).reshape({b.size(0), -1});
  const at::Tensor difference = a.to(at::kFloat).reshape({b.size(0), -1}) - reference;
  return difference.square().sum(1) / reference.square().sum(1).clamp_min(kLeastEnergy);
}

double output_distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += sample_distances(a[i], b[i]).mean().item<double>();
  return sum / static_cast<double>(a.size());
}

}  // namespace strata::train
