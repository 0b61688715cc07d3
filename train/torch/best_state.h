// The best of the states that a stretch of a run went through, by the validation split.
#pragma once

#include <optional>
#include <vector>

#include "train/torch/algorithm.h"

namespace strata::train {

class BestState {
 public:
  /// `network` must outlive it.
  explicit BestState(Network& network);

  /// Keeps a copy of the network if `score` beats what is kept of this stretch: a higher value, or
  /// the same and a lower loss.
  void consider(const NestingAlgorithm::Stretch& stretch, const Score& score);
  /// Puts the copy back if there is one of this stretch.
  void restore(const NestingAlgorithm::Stretch& stretch);
  void visit(const StateVisitor& visitor);

 private:
  Network& network_;
  at::Tensor kept_;  ///< [stretch or -1, value, loss]
  std::vector<std::string> names_;
  std::vector<at::Tensor> copies_;  ///< in the order of Network::visit
};

}  // namespace strata::train
