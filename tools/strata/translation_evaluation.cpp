// Sentences with known translations through a translator: BLEU of what it says.
#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "tools/strata/evaluation.h"
#include "tools/strata/sentences.h"
#include "train/error.h"
#include "train/text/bleu.h"
#include "train/text/parallel_corpus.h"

namespace strata::cli {
namespace {

class TranslationEvaluator final : public Evaluator {
 public:
  TranslationEvaluator(const std::shared_ptr<const format::Reader>& reader,
                       const EvaluationOptions& options)
      : data_(options.data), pairs_(text::load_parallel(data_, languages_of(reader->model()))) {
    if (options.limit > 0) pairs_ = chosen(options.limit);
    for (int t = 0; t < options.threads; ++t) {
      translators_.push_back(std::make_unique<SentenceTranslator>(
          reader, runtime::TranslatorOptions{.beam = options.beam}));
    }
  }

  [[nodiscard]] const std::vector<runtime::StepInfo>& steps() const override {
    return translators_.front()->translator().steps();
  }
  [[nodiscard]] std::string data_name() const override {
    return std::filesystem::path(data_).filename().string();
  }
  [[nodiscard]] Metric metric() const override {
    return {
        .name = "bleu", .unit = "BLEU", .title = "BLEU", .field = "bleu", .shown_per_measured = 1};
  }
  [[nodiscard]] std::string signature() const override { return text::bleu_signature(); }
  [[nodiscard]] std::string sample_unit() const override { return "sentences"; }
  [[nodiscard]] int64_t sample_count(int64_t limit) const override {
    return static_cast<int64_t>(chosen(limit).size());
  }

  Figure measure(int64_t limit, std::span<const uint8_t> route, Progress& progress) override {
    const std::vector<text::SentencePair> pairs = chosen(limit);
    std::vector<std::string> translations(pairs.size());
    translate_all(pairs, route, translations, progress);
    std::vector<std::string> references;
    references.reserve(pairs.size());
    for (const text::SentencePair& pair : pairs) references.push_back(pair.target);
    return {text::corpus_bleu(translations, {&references, 1}).score, std::nullopt};
  }

 private:
  /// At most `limit` pairs, spread evenly over the text; 0: all.
  [[nodiscard]] std::vector<text::SentencePair> chosen(int64_t limit) const {
    const size_t count =
        limit == 0 ? pairs_.size() : std::min(pairs_.size(), static_cast<size_t>(limit));
    std::vector<text::SentencePair> some;
    for (size_t i = 0; i < count; ++i) some.push_back(pairs_[i * pairs_.size() / count]);
    return some;
  }

  void translate_all(const std::vector<text::SentencePair>& pairs, std::span<const uint8_t> route,
                     std::vector<std::string>& translations, Progress& progress) {
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr failure;
    std::mutex lock;
    const auto work = [&](SentenceTranslator& translator) {
      try {
        for (size_t i = next++; i < pairs.size() && !failed; i = next++) {
          stop_if_interrupted();
          translations[i] =
              translator.translate(pairs[i].source, route, "sentence " + std::to_string(i + 1))
                  .text;
          const std::lock_guard guard(lock);
          progress.advance(1);
        }
      } catch (...) {
        const std::lock_guard guard(lock);
        if (!failed.exchange(true)) failure = std::current_exception();
      }
    };
    {
      std::vector<std::jthread> threads;
      for (size_t t = 1; t < translators_.size(); ++t) {
        threads.emplace_back([&, t] { work(*translators_[t]); });
      }
      work(*translators_.front());
    }
    if (failure) std::rethrow_exception(failure);
  }

  std::string data_;
  std::vector<text::SentencePair> pairs_;
  std::vector<std::unique_ptr<SentenceTranslator>> translators_;
};

}  // namespace

std::unique_ptr<Evaluator> make_translation_evaluator(
    const std::shared_ptr<const format::Reader>& reader, const EvaluationOptions& options) {
  return std::make_unique<TranslationEvaluator>(reader, options);
}

}  // namespace strata::cli
