// Counter-based randomness, augmentation and batches.
#include "train/data/augment.h"

#include <algorithm>
#include <numeric>
#include <thread>

#include "train/error.h"

namespace strata::data {
namespace {

// What a number is drawn for; each has its own stream.
enum Draw : uint64_t {
  kDrawShiftX,
  kDrawShiftY,
  kDrawFlip,
  kDrawCutoutX,
  kDrawCutoutY,
  kDrawOrder
};

// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that mixes all bits.
uint64_t mix(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ULL;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebULL;
  return bits ^ (bits >> 31);
}

// One image: crop and flip decide from where each pixel comes, cutout overwrites at the end.
void augment_image(const uint8_t* pixels, const ImageShape& shape, const AugmentChoice& choice,
                   int64_t cutout, std::span<const ByteTable> tables, float* out) {
  const int64_t cut_left = choice.cutout_x - cutout / 2;
  const int64_t cut_top = choice.cutout_y - cutout / 2;
  for (const ByteTable& table : tables) {
    for (int64_t y = 0; y < shape.height; ++y) {
      const int64_t from_y = y + choice.shift_y;
      const bool row_inside = from_y >= 0 && from_y < shape.height;
      const bool row_cut = y >= cut_top && y < cut_top + cutout;
      for (int64_t x = 0; x < shape.width; ++x) {
        if (row_cut && x >= cut_left && x < cut_left + cutout) {
          *out++ = 0;  // the mean
          continue;
        }
        const int64_t from_x = (choice.flip ? shape.width - 1 - x : x) + choice.shift_x;
        const bool inside = row_inside && from_x >= 0 && from_x < shape.width;
        *out++ = table[inside ? pixels[from_y * shape.width + from_x] : 0];
      }
    }
    pixels += shape.height * shape.width;
  }
}

}  // namespace

uint64_t random_bits(const RandomKey& key, uint64_t index, uint64_t draw) {
  constexpr uint64_t kGolden = 0x9e3779b97f4a7c15ULL;  // SplitMix64's step: 2^64 / golden ratio
  uint64_t state = mix(key.seed + kGolden);
  state = mix(state ^ (key.epoch + kGolden));
  state = mix(state ^ (index + kGolden));
  return mix(state ^ (draw + kGolden));
}

int64_t random_below(const RandomKey& key, uint64_t index, uint64_t draw, int64_t bound) {
  // The high half of a 32x64-bit product maps bits to a range; the bias is below bound / 2^32.
  const uint64_t high = random_bits(key, index, draw) >> 32;
  return static_cast<int64_t>((high * static_cast<uint64_t>(bound)) >> 32);
}

AugmentChoice choose_augmentation(const Augmentation& augmentation, const RandomKey& key,
                                  int64_t sample, const ImageShape& shape) {
  const auto index = static_cast<uint64_t>(sample);
  AugmentChoice choice;
  if (const int64_t padding = augmentation.crop_padding; padding > 0) {
    choice.shift_x = random_below(key, index, kDrawShiftX, 2 * padding + 1) - padding;
    choice.shift_y = random_below(key, index, kDrawShiftY, 2 * padding + 1) - padding;
  }
  if (augmentation.flip) choice.flip = random_below(key, index, kDrawFlip, 2) == 1;
  if (augmentation.cutout > 0) {
    choice.cutout_x = random_below(key, index, kDrawCutoutX, shape.width);
    choice.cutout_y = random_below(key, index, kDrawCutoutY, shape.height);
  }
  return choice;
}

BatchPlan::BatchPlan(const RandomKey& key, int64_t count, int64_t batch_size, bool drop_last)
    : order_(static_cast<size_t>(count)),
      batch_size_(std::min(batch_size, count)),
      batch_count_(drop_last ? count / batch_size_ : (count + batch_size_ - 1) / batch_size_) {
  std::iota(order_.begin(), order_.end(), 0);
  for (int64_t i = count - 1; i > 0; --i) {
    const int64_t other = random_below(key, static_cast<uint64_t>(i), kDrawOrder, i + 1);
    std::swap(order_[static_cast<size_t>(i)], order_[static_cast<size_t>(other)]);
  }
}

std::span<const int64_t> BatchPlan::batch(int64_t index) const {
  const int64_t first = index * batch_size_;
  const int64_t size = std::min(batch_size_, static_cast<int64_t>(order_.size()) - first);
  return std::span(order_).subspan(static_cast<size_t>(first), static_cast<size_t>(size));
}

void assemble_batch(const Dataset& dataset, std::span<const int64_t> indices,
                    const Augmentation& augmentation, const Normalisation& normalisation,
                    const RandomKey& key, float* out, int threads) {
  const std::vector<ByteTable> tables = byte_tables(normalisation);
  const ImageShape shape = dataset.shape();
  if (static_cast<int64_t>(tables.size()) != shape.channels) {
    throw Error("the data set '" + dataset.name + "' has " + std::to_string(shape.channels) +
                " channels, the normalisation " + std::to_string(tables.size()));
  }
  const auto assemble = [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      const AugmentChoice choice = choose_augmentation(augmentation, key, indices[i], shape);
      augment_image(dataset.image(indices[i]), shape, choice, augmentation.cutout, tables,
                    out + static_cast<int64_t>(i) * shape.elements());
    }
  };
  const size_t parts = std::clamp<size_t>(static_cast<size_t>(std::max(1, threads)), 1,
                                          std::max<size_t>(1, indices.size()));
  std::vector<std::jthread> workers;
  for (size_t part = 1; part < parts; ++part) {
    workers.emplace_back(assemble, indices.size() * part / parts,
                         indices.size() * (part + 1) / parts);
  }
  assemble(0, indices.size() / parts);
}

}  // namespace strata::data
