#include "runtime/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace strata::runtime {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

/// Logarithm of the sum of the exponentials.
double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  return largest + std::log(sum);
}

}  // namespace

BeamSearch::BeamSearch(const BeamOptions& options, int64_t vocabulary)
    : options_(options), vocabulary_(vocabulary) {
  const auto beam = static_cast<size_t>(options.beam);
  scores_.assign(beam, kNever);
  scores_[0] = 0;  // all rows are equal at first: one of them counts
  last_words_.assign(beam, options.begin);
  parents_.resize(beam);
  for (size_t row = 0; row < beam; ++row) parents_[row] = static_cast<int64_t>(row);
  words_.resize(beam);
}

double BeamSearch::penalty(int64_t length) const {
  return std::pow((5 + static_cast<double>(length)) / 6, options_.length_penalty);
}

/// The best 2 beam continuations, best first: even if half of them end, enough go on.
std::vector<BeamSearch::Candidate> BeamSearch::candidates(std::span<const float> logits) const {
  const auto wanted = static_cast<size_t>(2 * options_.beam);
  std::vector<Candidate> best;
  const auto better = [](const Candidate& a, const Candidate& b) { return a.score > b.score; };
  for (int64_t row = 0; row < options_.beam; ++row) {
    const double before = scores_[static_cast<size_t>(row)];
    if (before == kNever) continue;
    const std::span<const float> of_row =
        logits.subspan(static_cast<size_t>(row * vocabulary_), static_cast<size_t>(vocabulary_));
    const double shift = before - log_sum_exp(of_row);
    for (int64_t word = 0; word < vocabulary_; ++word) {
      const Candidate next{shift + static_cast<double>(of_row[static_cast<size_t>(word)]), row,
                           word};
      if (best.size() == wanted && !better(next, best.back())) continue;
      if (best.size() == wanted) best.pop_back();
      // Behind those that are as good: rows and words come in ascending order.
      best.insert(std::upper_bound(best.begin(), best.end(), next, better), next);
    }
  }
  return best;
}

void BeamSearch::advance(std::span<const float> logits) {
  if (done_) return;
  ++length_;
  const std::vector<Candidate> found = candidates(logits);
  std::vector<std::vector<int64_t>> words;
  std::vector<double> scores;
  std::vector<int64_t> parents;
  std::vector<int64_t> last;
  const auto beam = static_cast<size_t>(options_.beam);
  for (size_t i = 0; i < found.size() && words.size() < beam; ++i) {
    const Candidate& next = found[i];
    const std::vector<int64_t>& before = words_[static_cast<size_t>(next.row)];
    if (next.word == options_.end) {
      // One that ends counts only among the best: else a beam would always find its ends early.
      if (i < beam) ended_.push_back({before, next.score / penalty(length_)});
      continue;
    }
    words.push_back(before);
    words.back().push_back(next.word);
    scores.push_back(next.score);
    parents.push_back(next.row);
    last.push_back(next.word);
  }
  while (words.size() < beam) {  // a vocabulary smaller than the beam
    words.emplace_back();
    scores.push_back(kNever);
    parents.push_back(0);
    last.push_back(options_.begin);
  }
  words_ = std::move(words);
  scores_ = std::move(scores);
  parents_ = std::move(parents);
  last_words_ = std::move(last);
  // Enough have ended once none that lives is ahead of them.
  const bool ahead = scores_[0] / penalty(length_) > best_score();
  done_ =
      (ended_.size() >= beam && !ahead) || length_ >= options_.max_length || scores_[0] == kNever;
}

BeamSearch::Hypothesis BeamSearch::best_hypothesis() const {
  const auto found =
      std::max_element(ended_.begin(), ended_.end(),
                       [](const Hypothesis& a, const Hypothesis& b) { return a.score < b.score; });
  if (found != ended_.end()) return *found;
  return {words_[0], scores_[0] / penalty(length_)};
}

std::vector<int64_t> BeamSearch::best() const { return best_hypothesis().words; }
double BeamSearch::best_score() const { return best_hypothesis().score; }

}  // namespace strata::runtime
