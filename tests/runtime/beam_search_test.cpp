// Beam search over networks that are tables: what is likeliest is found by trying everything.
#include "runtime/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace strata::runtime {
namespace {

using ::testing::ElementsAre;
using Words = std::vector<int64_t>;

constexpr int64_t kEnd = 3;

/// Runs a search whose logits are a function of the words so far.
template <typename Logits>
BeamSearch search(const BeamOptions& options, int64_t vocabulary, Logits logits) {
  BeamSearch search(options, vocabulary);
  std::vector<Words> rows(static_cast<size_t>(options.beam));
  while (!search.done()) {
    std::vector<float> all;
    for (const Words& row : rows) {
      const std::vector<float> next = logits(row);
      all.insert(all.end(), next.begin(), next.end());
    }
    search.advance(all);
    std::vector<Words> grown;
    for (size_t row = 0; row < rows.size(); ++row) {
      grown.push_back(rows[static_cast<size_t>(search.parents()[row])]);
      grown.back().push_back(search.last_words()[row]);
    }
    rows = std::move(grown);
  }
  return search;
}

/// Two steps in which the greedy choice (4) is a trap.
std::vector<float> trap(const Words& so_far) {
  const auto of = [](const std::map<int64_t, double>& shares) {
    std::vector<float> logits(6, -30);
    for (const auto& [word, share] : shares) {
      logits[static_cast<size_t>(word)] = static_cast<float>(std::log(share));
    }
    return logits;
  };
  if (so_far.empty()) return of({{4, 0.6}, {5, 0.4}});
  if (so_far.size() == 1 && so_far[0] == 4) return of({{4, 0.5}, {5, 0.5}});
  if (so_far.size() == 1) return of({{5, 1.0}});
  return of({{kEnd, 1.0}});
}

TEST(BeamSearch, FindsWhatGreedySearchMisses) {
  BeamOptions options{.beam = 1, .max_length = 10};
  EXPECT_THAT(search(options, 6, trap).best(), ElementsAre(4, 4));
  options.beam = 3;
  const BeamSearch found = search(options, 6, trap);
  EXPECT_THAT(found.best(), ElementsAre(5, 5));
  // Wu et al. 2016, equation 14: the ending counts as a word.
  EXPECT_NEAR(found.best_score(), std::log(0.4) / std::pow(8.0 / 6.0, 0.6), 1e-6);
}

TEST(BeamSearch, PrefersLongTranslationsBecauseOfThePenalty) {
  const auto logits = [](const Words& so_far) {
    std::vector<float> shares(6, -30);
    shares[kEnd] = so_far.size() >= 4 ? 0.0F : std::log(0.3F);
    if (so_far.size() < 4) shares[4] = std::log(0.7F);
    return shares;
  };
  BeamOptions options{.beam = 2, .length_penalty = 0, .max_length = 20};
  EXPECT_THAT(search(options, 6, logits).best(), ElementsAre());
  options.length_penalty = 1;
  EXPECT_THAT(search(options, 6, logits).best(), ElementsAre(4, 4, 4, 4));
}

TEST(BeamSearch, StopsAtTheGreatestLength) {
  const auto never_ends = [](const Words&) { return std::vector<float>{0, 0, 0, -50, 2, 1}; };
  const BeamOptions options{.beam = 4, .max_length = 7};
  EXPECT_THAT(search(options, 6, never_ends).best(), ElementsAre(4, 4, 4, 4, 4, 4, 4));
}

TEST(BeamSearch, TakesTheLowerOfEqualWords) {
  const auto equal = [](const Words& so_far) {
    std::vector<float> logits(6, 0);
    if (so_far.size() == 2) logits[kEnd] = 9;
    return logits;
  };
  const BeamOptions options{.beam = 2, .length_penalty = 0, .max_length = 9};
  EXPECT_THAT(search(options, 6, equal).best(), ElementsAre(0, 0));
}

TEST(BeamSearch, LivesWithAVocabularySmallerThanTheBeam) {
  const auto only = [](const Words&) { return std::vector<float>{1, 2}; };
  const BeamOptions options{.beam = 8, .max_length = 3, .begin = 0, .end = 1};
  EXPECT_THAT(search(options, 2, only).best(), ElementsAre());
}

/// A beam as wide as there are hypotheses finds the best of all.
TEST(BeamSearch, WithEveryHypothesisIsExhaustive) {
  EXPECT_TRUE(rc::check("finds the best hypothesis", [] {
    constexpr int64_t kVocabulary = 5;
    constexpr size_t kLength = 3;
    const auto table = *rc::gen::container<std::vector<int>>(40, rc::gen::inRange(-300, 300));
    const auto logits = [&](const Words& so_far) {
      size_t state = so_far.size();
      for (const int64_t word : so_far) state = state * 7 + static_cast<size_t>(word);
      std::vector<float> all;
      for (size_t word = 0; word < kVocabulary; ++word) {
        all.push_back(static_cast<float>(table[(state * 5 + word) % 40]) / 100 +
                      static_cast<float>(word) * 1e-3F);
      }
      if (so_far.size() + 1 == kLength) {  // everything ends here
        all.assign(kVocabulary, -90);
        all[kEnd] = 0;
      }
      return all;
    };
    double best = -std::numeric_limits<double>::infinity();
    const auto visit = [&](const auto& self, const Words& so_far, double score) -> void {
      const std::vector<float> all = logits(so_far);
      double sum = 0;
      for (const float logit : all) sum += std::exp(static_cast<double>(logit));
      for (int64_t word = 0; word < kVocabulary; ++word) {
        const double next = score + all[static_cast<size_t>(word)] - std::log(sum);
        if (word == kEnd) {
          const double length = static_cast<double>(so_far.size()) + 1;
          best = std::max(best, next / std::pow((5 + length) / 6, 0.6));
        } else if (so_far.size() + 1 < kLength) {
          Words grown = so_far;
          grown.push_back(word);
          self(self, grown, next);
        }
      }
    };
    visit(visit, {}, 0);
    const BeamOptions options{.beam = 64, .max_length = kLength};
    RC_ASSERT(std::abs(search(options, kVocabulary, logits).best_score() - best) < 1e-5);
  }));
}

}  // namespace
}  // namespace strata::runtime
