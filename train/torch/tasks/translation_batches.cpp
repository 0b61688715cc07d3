#include "train/torch/tasks/translation_batches.h"

#include <algorithm>
#include <tuple>

namespace strata::train {
namespace {

/// Batches that are sorted together by length: many, so that they are even, and few enough that
/// different pairs meet in every epoch.
constexpr int64_t kBatchesPerPool = 64;

/// Sets the order of batches apart from that of pairs.
constexpr uint64_t kOrderSalt = 0x6f72646572ULL;

/// Beyond every score, yet finite, so that even a row of padding has shares.
constexpr float kPaddingScore = -1e9F;

int64_t longest(std::span<const EncodedPair> pairs, std::span<const int64_t> chosen,
                std::vector<int64_t> EncodedPair::*side) {
  size_t length = 0;
  for (const int64_t i : chosen) {
    length = std::max(length, (pairs[static_cast<size_t>(i)].*side).size());
  }
  return static_cast<int64_t>(length);
}

}  // namespace

std::vector<EncodedPair> encode_pairs(const text::Subwords& subwords,
                                      std::span<const text::SentencePair> pairs,
                                      int64_t max_length) {
  std::vector<EncodedPair> encoded;
  for (const text::SentencePair& pair : pairs) {
    EncodedPair next{subwords.encode(pair.source), subwords.encode(pair.target)};
    const auto length = static_cast<int64_t>(std::max(next.source.size(), next.target.size()));
    if (max_length == 0 || length <= max_length) encoded.push_back(std::move(next));
  }
  return encoded;
}

std::vector<std::vector<int64_t>> plan_epoch(const data::RandomKey& key,
                                             std::span<const EncodedPair> pairs,
                                             int64_t batch_size) {
  const data::BatchPlan pools(key, static_cast<int64_t>(pairs.size()),
                              batch_size * kBatchesPerPool);
  std::vector<std::vector<int64_t>> batches;
  for (int64_t p = 0; p < pools.batch_count(); ++p) {
    const std::span<const int64_t> drawn = pools.batch(p);
    std::vector<int64_t> pool(drawn.begin(), drawn.end());
    std::stable_sort(pool.begin(), pool.end(), [&](int64_t a, int64_t b) {
      const EncodedPair& first = pairs[static_cast<size_t>(a)];
      const EncodedPair& second = pairs[static_cast<size_t>(b)];
      return std::tuple(first.target.size(), first.source.size()) <
             std::tuple(second.target.size(), second.source.size());
    });
    for (size_t begin = 0; begin < pool.size(); begin += static_cast<size_t>(batch_size)) {
      const size_t end = std::min(pool.size(), begin + static_cast<size_t>(batch_size));
      batches.emplace_back(pool.begin() + static_cast<std::ptrdiff_t>(begin),
                           pool.begin() + static_cast<std::ptrdiff_t>(end));
    }
  }
  const data::BatchPlan order({key.seed ^ kOrderSalt, key.epoch},
                              static_cast<int64_t>(batches.size()), 1);
  std::vector<std::vector<int64_t>> ordered;
  for (int64_t i = 0; i < order.batch_count(); ++i) {
    ordered.push_back(std::move(batches[static_cast<size_t>(order.batch(i)[0])]));
  }
  return ordered;
}

SourceTensors source_tensors(std::span<const EncodedPair> pairs, std::span<const int64_t> chosen) {
  const auto sentences = static_cast<int64_t>(chosen.size());
  const int64_t time = longest(pairs, chosen, &EncodedPair::source) + 1;
  SourceTensors source{at::full({time, sentences}, text::kPadding, at::kLong),
                       at::empty({sentences}, at::kInt),
                       at::full({sentences, time}, kPaddingScore, at::kFloat)};
  auto words = source.words.accessor<int64_t, 2>();
  auto mask = source.mask.accessor<float, 2>();
  for (int64_t s = 0; s < sentences; ++s) {
    const auto& sentence = pairs[static_cast<size_t>(chosen[static_cast<size_t>(s)])].source;
    const auto length = static_cast<int64_t>(sentence.size());
    source.lengths.data_ptr<int32_t>()[s] = static_cast<int32_t>(length + 1);
    for (int64_t t = 0; t <= length; ++t) {
      words[t][s] = t < length ? sentence[static_cast<size_t>(t)] : text::kEnd;
      mask[s][t] = 0;
    }
  }
  return source;
}

Batch training_batch(std::span<const EncodedPair> pairs, std::span<const int64_t> chosen) {
  const auto sentences = static_cast<int64_t>(chosen.size());
  const int64_t time = longest(pairs, chosen, &EncodedPair::target) + 1;
  const at::Tensor before = at::full({time, sentences}, text::kPadding, at::kLong);
  const at::Tensor next = at::full({time, sentences}, kNoTarget, at::kLong);
  auto read = before.accessor<int64_t, 2>();
  auto wanted = next.accessor<int64_t, 2>();
  for (int64_t s = 0; s < sentences; ++s) {
    const auto& sentence = pairs[static_cast<size_t>(chosen[static_cast<size_t>(s)])].target;
    const auto length = static_cast<int64_t>(sentence.size());
    for (int64_t t = 0; t <= length; ++t) {
      read[t][s] = t == 0 ? text::kBegin : sentence[static_cast<size_t>(t - 1)];
      wanted[t][s] = t < length ? sentence[static_cast<size_t>(t)] : text::kEnd;
    }
  }
  const SourceTensors source = source_tensors(pairs, chosen);
  return {{source.words, source.lengths, source.mask, before}, {next.flatten()}};
}

}  // namespace strata::train
