// Beam search over the sub-words of a translation, normalised by length (Wu et al. 2016, section
// 7): a pure bookkeeping of hypotheses, which knows no network. Whoever owns one runs its decoder
// on last_words() and gives the logits to advance().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strata::runtime {

struct BeamOptions {
  int64_t beam = 5;  ///< hypotheses that live at a time; 1 is greedy
  double length_penalty =
      0.6;                     ///< alpha: log-probabilities are divided by ((5 + length) / 6)^alpha
  int64_t max_length = 0;      ///< sub-words of a translation at most, 1 or more
  int64_t begin = 2, end = 3;  ///< what precedes the first sub-word, and what ends a translation
};

/// How long a translation of `source_length` sub-words may become.
constexpr int64_t longest_translation(int64_t source_length) { return 2 * source_length + 10; }

/// The same logits give the same translation: of equal scores the hypothesis with the lower row
/// wins, then the lower sub-word.
class BeamSearch {
 public:
  /// `vocabulary`: sub-words that there are. Preconditions: beam, max_length, vocabulary >= 1.
  BeamSearch(const BeamOptions& options, int64_t vocabulary);

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] int64_t beam() const { return options_.beam; }
  /// [beam] what each row says last.
  [[nodiscard]] std::span<const int64_t> last_words() const { return last_words_; }
  /// [beam] after advance(): which row each row goes on from; states must be reordered so.
  [[nodiscard]] std::span<const int64_t> parents() const { return parents_; }

  /// `logits`: [beam, vocabulary] of what follows each row. Nothing happens once done().
  void advance(std::span<const float> logits);

  /// The best hypothesis so far, without begin and end; those that ended go first.
  [[nodiscard]] std::vector<int64_t> best() const;
  /// Its log-probability over its length penalty; 0 before the first advance().
  [[nodiscard]] double best_score() const;

 private:
  struct Candidate {
    double score;  ///< log-probability
    int64_t row, word;
  };
  struct Hypothesis {
    std::vector<int64_t> words;
    double score = 0;  ///< normalised
  };

  [[nodiscard]] double penalty(int64_t length) const;
  [[nodiscard]] std::vector<Candidate> candidates(std::span<const float> logits) const;
  [[nodiscard]] Hypothesis best_hypothesis() const;

  BeamOptions options_;
  int64_t vocabulary_;
  bool done_ = false;
  int64_t length_ = 0;          ///< of every live hypothesis
  std::vector<double> scores_;  ///< [beam] log-probabilities; -infinity: no hypothesis
  std::vector<int64_t> last_words_, parents_;
  std::vector<std::vector<int64_t>> words_;  ///< [beam]
  std::vector<Hypothesis> ended_;
};

}  // namespace strata::runtime
