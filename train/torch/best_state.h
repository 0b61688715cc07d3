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

  /// Keeps a copy of the network if `score` is, of all scores of this stretch so far, both the
  /// highest value and the lowest loss, or equals them (the rule of Velickovic et al. 2018).
  void consider(const NestingAlgorithm::Stretch& stretch, const Score& score);
  /// Puts the copy back if there is one of this stretch.
  void restore(const NestingAlgorithm::Stretch& stretch);
  void visit(const StateVisitor& visitor);

 private:
  Network& network_;
  at::Tensor kept_;  ///< [stretch or -1, highest value, lowest loss]
  std::vector<std::string> names_;
  std::vector<at::Tensor> copies_;  ///< in the order of Network::visit
};

}  // namespace strata::train
