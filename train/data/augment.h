// Augmentation and shuffling without hidden state: every choice is a pure function of (seed, epoch,
// sample), so a resumed run continues bit for bit, whatever the number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/data/dataset.h"
#include "train/data/normalisation.h"

namespace strata::data {

/// What may happen to a training image, in this order. Zero and false: nothing.
struct Augmentation {
  int64_t crop_padding = 0;  ///< pad with black on every side, crop back at a random place
  bool flip = false;         ///< mirror left and right, every second time
  int64_t cutout = 0;        ///< side of a square, centred at random, set to the mean
};

/// The run's seed and the epoch: what randomness depends on besides the sample.
struct RandomKey {
  uint64_t seed = 0;
  uint64_t epoch = 0;
};

/// A counter-based generator: well-mixed bits for any (key, index, draw), in any order.
uint64_t random_bits(const RandomKey& key, uint64_t index, uint64_t draw);
/// Uniform in 0..bound-1. Precondition: bound > 0.
int64_t random_below(const RandomKey& key, uint64_t index, uint64_t draw, int64_t bound);

/// What happens to one image.
struct AugmentChoice {
  int64_t shift_x = 0;  ///< -crop_padding..crop_padding
  int64_t shift_y = 0;
  bool flip = false;
  int64_t cutout_x = 0;  ///< centre
  int64_t cutout_y = 0;
  bool operator==(const AugmentChoice&) const = default;
};
AugmentChoice choose_augmentation(const Augmentation& augmentation, const RandomKey& key,
                                  int64_t sample, const ImageShape& shape);

/// One epoch's batches: a random permutation of 0..count-1, cut into batches.
class BatchPlan {
 public:
  /// Every sample is in exactly one batch; the last batch is smaller if it does not divide, and
  /// left out if `drop_last` (unless it is the only one). Preconditions: count, batch_size > 0.
  BatchPlan(const RandomKey& key, int64_t count, int64_t batch_size, bool drop_last = false);

  [[nodiscard]] int64_t batch_count() const { return batch_count_; }
  /// Sample indices of batch i, 0 <= i < batch_count().
  [[nodiscard]] std::span<const int64_t> batch(int64_t index) const;

 private:
  std::vector<int64_t> order_;
  int64_t batch_size_;
  int64_t batch_count_;
};

/// Samples `indices`, augmented and normalised, into out[indices.size(), C, H, W].
void assemble_batch(const Dataset& dataset, std::span<const int64_t> indices,
                    const Augmentation& augmentation, const Normalisation& normalisation,
                    const RandomKey& key, float* out, int threads = 1);

}  // namespace strata::data
