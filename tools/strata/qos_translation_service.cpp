#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "core/clock.h"
#include "runtime/translator.h"
#include "tools/strata/late_progress.h"
#include "tools/strata/qos_outcome.h"
#include "tools/strata/qos_service.h"
#include "tools/strata/sentences.h"
#include "train/error.h"
#include "train/text/parallel_corpus.h"

namespace strata::cli {
namespace {

constexpr size_t kMostSentences = 200;  // enough for BLEU, and translated soon at every level
constexpr double kProfileSeconds = 1;   // of each length

/// What all services of an experiment share.
struct Sentences {
  explicit Sentences(text::Subwords vocabulary) : subwords(std::move(vocabulary)) {}

  text::Subwords subwords;
  std::vector<std::vector<int64_t>> sources;
};

class TranslationService final : public QosService {
 public:
  TranslationService(std::shared_ptr<const Sentences> sentences,
                     const std::shared_ptr<const format::Reader>& reader, int threads)
      : sentences_(std::move(sentences)),
        translator_(value_or_throw(runtime::Translator::create(reader, {.threads = threads}))) {}

  [[nodiscard]] runtime::Translator& translator() { return *translator_; }

  void warm_up() override {
    translation_ = value_or_throw(translator_->translate(sentences_->sources.front(), 0));
  }
  Status answer(size_t number, const runtime::RunOptions& options) override {
    answered_ = number;
    auto translation = translator_->translate(sentences_->sources[sentence_of(number)], options);
    translation_ = translation.ok() ? std::move(translation).value() : runtime::Translation();
    return translation.status();
  }
  [[nodiscard]] const runtime::RunReport& last_run() const override {
    return translator_->last_run();
  }
  void describe(size_t number, RecordedInference& inference) const override {
    inference.sentence = static_cast<int>(sentence_of(number));
    if (number == answered_) inference.answer = sentences_->subwords.decode(translation_.words);
  }

 private:
  [[nodiscard]] size_t sentence_of(size_t number) const {
    return number % sentences_->sources.size();
  }

  std::shared_ptr<const Sentences> sentences_;
  std::unique_ptr<runtime::Translator> translator_;
  size_t answered_ = 0;  ///< the request
  runtime::Translation translation_;
};

using Services = std::vector<std::unique_ptr<TranslationService>>;

/// The middle one of sentences by length: what a deadline is a multiple of.
size_t typical_sentence(const Sentences& sentences) {
  std::vector<size_t> order(sentences.sources.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return sentences.sources[a].size() < sentences.sources[b].size();
  });
  return order[order.size() / 2];
}

/// One profile for each length that has sessions of its own, given to all services.
std::map<int64_t, route::ProfileTable> measure_lengths(const Console& console,
                                                       const Sentences& sentences,
                                                       const Services& services) {
  std::map<int64_t, route::ProfileTable> profiles;
  for (const auto& source : sentences.sources) {
    profiles[runtime::longest_served_with(static_cast<int64_t>(source.size()))];
  }
  LateProgress progress("profile", "lengths", console);
  int64_t done = 0;
  for (auto& [length, table] : profiles) {
    progress.update(done++, static_cast<int64_t>(profiles.size()));
    runtime::ProfileMeasurementOptions options;
    options.seconds = kProfileSeconds;
    options.progress = [](int64_t, int64_t) { return !interrupted(); };
    auto measured = services.front()->translator().measure_profile(length, options);
    stop_if_interrupted();
    table = value_or_throw(std::move(measured)).table;
    for (const auto& service : services) {
      throw_if_error(service->translator().set_profile(length, table));
    }
  }
  return profiles;
}

}  // namespace

std::vector<std::unique_ptr<QosService>> make_translation_services(
    const Console& console, const std::shared_ptr<const format::Reader>& reader,
    const QosServiceOptions& options, QosRecording& recording) {
  const auto sentences = std::make_shared<Sentences>(text::Subwords::of(reader->model()));
  const std::vector<text::SentencePair> pairs =
      text::load_parallel(options.data, languages_of(reader->model()));
  const size_t count = std::min(pairs.size(), kMostSentences);
  for (size_t i = 0; i < count; ++i) {
    const text::SentencePair& pair = pairs[i * pairs.size() / count];
    sentences->sources.push_back(sentences->subwords.encode(pair.source));
    recording.sentences.push_back({pair.target, {}});
  }

  Services services;
  for (size_t i = 0; i < options.count; ++i) {
    services.push_back(std::make_unique<TranslationService>(sentences, reader, options.threads));
  }
  const auto profiles = measure_lengths(console, *sentences, services);

  const int levels = reader->level_count();
  const size_t typical = typical_sentence(*sentences);
  const size_t encoder_steps = static_cast<size_t>(profiles.begin()->second.step_count) - 1;
  int64_t typical_runs = 1;
  LateProgress progress("levels", "sentences", console);
  for (size_t i = 0; i < count; ++i) {
    stop_if_interrupted();
    progress.update(static_cast<int64_t>(i), static_cast<int64_t>(count));
    const std::vector<int64_t>& source = sentences->sources[i];
    for (int level = 0; level < levels; ++level) {
      const auto translation =
          value_or_throw(services.front()->translator().translate(source, level));
      recording.sentences[i].level_answers.push_back(sentences->subwords.decode(translation.words));
      if (i == typical && level == levels - 1)
        typical_runs = std::max<int64_t>(1, translation.decoder_steps);
    }
    const int64_t longest = runtime::longest_translation(static_cast<int64_t>(source.size()));
    recording.most_steps =
        std::max(recording.most_steps, encoder_steps + static_cast<size_t>(longest));
  }
  const auto length = static_cast<int64_t>(sentences->sources[typical].size());
  recording.profile = runtime::times_of_translation(
      profiles.at(runtime::longest_served_with(length)), typical_runs);
  for (int level = 0; level < levels; ++level) {
    recording.profile.accuracy.levels.push_back(level_bleu(recording, level));
  }
  return {std::make_move_iterator(services.begin()), std::make_move_iterator(services.end())};
}

}  // namespace strata::cli
