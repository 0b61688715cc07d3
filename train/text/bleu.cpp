#include "train/text/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <unordered_map>

#include "train/error.h"
#include "train/text/bleu_tokenizer.h"

namespace strata::text {
namespace {

constexpr size_t kMaxOrder = 4;

using Ngrams = std::array<std::unordered_map<std::string, int64_t>, kMaxOrder>;

Ngrams ngrams_of(const std::vector<std::string>& words) {
  Ngrams counts;
  for (size_t begin = 0; begin < words.size(); ++begin) {
    std::string ngram;
    for (size_t n = 0; n < kMaxOrder && begin + n < words.size(); ++n) {
      if (n > 0) ngram += ' ';
      ngram += words[begin + n];
      ++counts[n][ngram];
    }
  }
  return counts;
}

/// The nearest reference's length, the shorter of two that are equally near.
int64_t nearest_length(int64_t length, const std::vector<int64_t>& references) {
  return *std::min_element(references.begin(), references.end(), [=](int64_t a, int64_t b) {
    const int64_t distance_a = std::abs(a - length);
    const int64_t distance_b = std::abs(b - length);
    return distance_a != distance_b ? distance_a < distance_b : a < b;
  });
}

void add_sentence(const std::string& hypothesis, std::span<const std::string* const> references,
                  Bleu& bleu) {
  const std::vector<std::string> words = tokenize_13a(hypothesis);
  const Ngrams found = ngrams_of(words);
  std::vector<int64_t> lengths;
  Ngrams allowed;  // of each n-gram, as many as the reference that has most
  for (const std::string* reference : references) {
    const std::vector<std::string> reference_words = tokenize_13a(*reference);
    lengths.push_back(static_cast<int64_t>(reference_words.size()));
    const Ngrams counts = ngrams_of(reference_words);
    for (size_t n = 0; n < kMaxOrder; ++n) {
      for (const auto& [ngram, count] : counts[n]) {
        int64_t& most = allowed[n][ngram];
        most = std::max(most, count);
      }
    }
  }
  const auto length = static_cast<int64_t>(words.size());
  bleu.length += length;
  bleu.reference_length += nearest_length(length, lengths);
  for (size_t n = 0; n < kMaxOrder; ++n) {
    for (const auto& [ngram, count] : found[n]) {
      bleu.ngrams[n] += count;
      const auto match = allowed[n].find(ngram);
      if (match != allowed[n].end()) bleu.matches[n] += std::min(count, match->second);
    }
  }
}

void score(Bleu& bleu) {
  bleu.brevity_penalty = 1;
  if (bleu.length < bleu.reference_length) {
    bleu.brevity_penalty = bleu.length == 0
                               ? 0
                               : std::exp(1 - static_cast<double>(bleu.reference_length) /
                                                  static_cast<double>(bleu.length));
  }
  if (bleu.matches[0] == 0) return;
  // Chen and Cherry 2014, method 3: each order without a match counts half of the one before.
  double smoothing = 1;
  double logarithms = 0;
  for (size_t n = 0; n < kMaxOrder; ++n) {
    if (bleu.ngrams[n] == 0) return;
    double matched = static_cast<double>(bleu.matches[n]);
    if (bleu.matches[n] == 0) {
      smoothing *= 2;
      matched = 1 / smoothing;
    }
    bleu.precisions[n] = 100 * matched / static_cast<double>(bleu.ngrams[n]);
    logarithms += std::log(bleu.precisions[n]);
  }
  bleu.score = bleu.brevity_penalty * std::exp(logarithms / kMaxOrder);
}

}  // namespace

Bleu corpus_bleu(std::span<const std::string> hypotheses,
                 std::span<const std::vector<std::string>> references) {
  if (references.empty()) throw Error("BLEU needs at least one set of references");
  for (const std::vector<std::string>& set : references) {
    if (set.size() != hypotheses.size()) {
      throw Error("BLEU of " + std::to_string(hypotheses.size()) +
                  " translations needs as many references, there are " +
                  std::to_string(set.size()));
    }
  }
  Bleu bleu;
  for (size_t i = 0; i < hypotheses.size(); ++i) {
    std::vector<const std::string*> of_sentence;
    for (const std::vector<std::string>& set : references) of_sentence.push_back(&set[i]);
    add_sentence(hypotheses[i], of_sentence, bleu);
  }
  score(bleu);
  return bleu;
}

std::string bleu_signature(size_t reference_sets) {
  return "nrefs:" + std::to_string(reference_sets) + "|case:mixed|eff:no|tok:13a|smooth:exp";
}

}  // namespace strata::text
