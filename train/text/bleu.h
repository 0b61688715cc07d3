// BLEU (Papineni et al. 2002) as sacreBLEU computes it by default (Post 2018): over a corpus,
// case-sensitive, tokeniser 13a, exponential smoothing, n-grams up to four.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace strata::text {

struct Bleu {
  double score = 0;                          ///< 0..100
  std::array<double, 4> precisions = {};     ///< percent, smoothed, of n-grams of 1..4 words
  std::array<int64_t, 4> matches = {};       ///< n-grams that a reference has too
  std::array<int64_t, 4> ngrams = {};        ///< of the hypotheses
  double brevity_penalty = 0;                ///< 0..1
  int64_t length = 0, reference_length = 0;  ///< words
};

/// `references` holds one whole set after the other, each with a sentence per hypothesis; where
/// there are several sets, an n-gram may match any of them and the nearest length counts. Throws
/// Error if the sizes differ or there is no set.
Bleu corpus_bleu(std::span<const std::string> hypotheses,
                 std::span<const std::vector<std::string>> references);

/// How the score came about, for whoever compares: "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp".
std::string bleu_signature(size_t reference_sets = 1);

}  // namespace strata::text
