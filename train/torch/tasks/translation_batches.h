// Sentence pairs as tensors: pairs of similar length share a batch, so that little of it is
// padding.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "train/data/augment.h"
#include "train/text/parallel_corpus.h"
#include "train/text/subwords.h"
#include "train/torch/task.h"

namespace strata::train {

/// The sub-words of a pair, without what begins and ends a sentence.
struct EncodedPair {
  std::vector<int64_t> source, target;
};

/// Pairs with more than `max_length` sub-words on a side are left out; 0: none is.
std::vector<EncodedPair> encode_pairs(const text::Subwords& subwords,
                                      std::span<const text::SentencePair> pairs,
                                      int64_t max_length);

/// Which pairs each step of one epoch sees: every pair once, batches of similar length in random
/// order. A pure function of its arguments.
std::vector<std::vector<int64_t>> plan_epoch(const data::RandomKey& key,
                                             std::span<const EncodedPair> pairs,
                                             int64_t batch_size);

/// What the encoder reads: source int64 [time, sentences], which ends with kEnd, and lengths int32
/// [sentences]; and which of it is padding, [sentences, time], 0 or a large negative number.
struct SourceTensors {
  at::Tensor words, lengths, mask;
};
SourceTensors source_tensors(std::span<const EncodedPair> pairs, std::span<const int64_t> chosen);

/// Inputs: the three of source_tensors(), and what the decoder reads, int64 [time, sentences].
/// Targets: the next sub-words, [time * sentences], kNoTarget beyond the end.
Batch training_batch(std::span<const EncodedPair> pairs, std::span<const int64_t> chosen);

}  // namespace strata::train
