// Translates many sentences at a time with libtorch: beam search as the runtime does it, over the
// same graphs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/torch/network.h"
#include "train/torch/tasks/translation_batches.h"

namespace strata::train {

struct DecodingOptions {
  int64_t beam = 1;
  double length_penalty = 0.6;
  int64_t batch_size = 64;  ///< sentences at a time
};

/// Sub-words of the translation of each pair's source, in the order of `pairs`.
std::vector<std::vector<int64_t>> translate_all(const Network& network,
                                                std::span<const EncodedPair> pairs,
                                                const ModelRoute& route,
                                                const DecodingOptions& options);

}  // namespace strata::train
