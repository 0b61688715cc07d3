#include "train/torch/best_state.h"

#include <algorithm>

namespace strata::train {

BestState::BestState(Network& network)
    : network_(network), kept_(at::full({3}, -1.0, at::kDouble)) {
  network.visit([this](const std::string& name, at::Tensor& tensor) {
    names_.push_back("best/" + name);
    copies_.push_back(tensor.detach().clone());
  });
}

void BestState::consider(const NestingAlgorithm::Stretch& stretch, const Score& score) {
  auto kept = kept_.accessor<double, 1>();
  if (kept[0] != stretch.index) {
    kept[0] = stretch.index;
    kept[1] = score.value;
    kept[2] = score.loss;
  } else {
    const bool best = score.value >= kept[1] && score.loss <= kept[2];
    kept[1] = std::max(kept[1], score.value);
    kept[2] = std::min(kept[2], score.loss);
    if (!best) return;
  }
  size_t i = 0;
  network_.visit(
      [&](const std::string&, at::Tensor& tensor) { copies_[i++].copy_(tensor.detach()); });
}

void BestState::restore(const NestingAlgorithm::Stretch& stretch) {
  if (kept_.accessor<double, 1>()[0] != stretch.index) return;
  const at::NoGradGuard no_grad;
  size_t i = 0;
  network_.visit([&](const std::string&, at::Tensor& tensor) { tensor.copy_(copies_[i++]); });
}

void BestState::visit(const StateVisitor& visitor) {
  visitor("best/kept", kept_);
  for (size_t i = 0; i < copies_.size(); ++i) visitor(names_[i], copies_[i]);
}

}  // namespace strata::train
