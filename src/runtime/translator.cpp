#include "runtime/translator.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace strata::runtime {
namespace {

constexpr int64_t kPadding = 0;
constexpr int64_t kEnd = 3;
constexpr int64_t kLeastCapacity = 16;
constexpr int64_t kMaxBeam = 64;
constexpr float kPaddingScore = -1e9F;  // as in training: beyond every score

/// Inputs of the decoder before the states, and outputs.
constexpr size_t kStateInputs = 4;
constexpr size_t kStateOutputs = 1;

/// Sub-words of a session for sentences of `length`, with the one that ends them.
int64_t capacity_for(int64_t length) {
  int64_t capacity = kLeastCapacity;
  while (capacity < length + 1) capacity *= 2;
  return capacity;
}

Status check_names(const graph::Graph& graph, const std::vector<graph::ValueInfo>& values,
                   std::initializer_list<std::string_view> names) {
  const bool fits = values.size() >= names.size() &&
                    std::equal(names.begin(), names.end(), values.begin(),
                               [](std::string_view name, const graph::ValueInfo& value) {
                                 return value.name == name;
                               });
  if (fits) return {};
  return invalid_argument("the model is no translator: its graph '" + graph.name +
                          "' has other inputs or outputs than those of gnmt");
}

Status check_model(const graph::Model& model) {
  const graph::Graph* encoder = model.find_graph("encode");
  const graph::Graph* decoder = model.find_graph("decode");
  if (encoder == nullptr || decoder == nullptr) {
    return invalid_argument(
        "the model is no translator: it needs a graph 'encode' and a graph 'decode'");
  }
  STRATA_RETURN_IF_ERROR(check_names(*encoder, encoder->inputs, {"source", "source_lengths"}));
  STRATA_RETURN_IF_ERROR(check_names(*encoder, encoder->outputs, {"memory", "keys"}));
  STRATA_RETURN_IF_ERROR(
      check_names(*decoder, decoder->inputs, {"target", "memory", "keys", "source_mask"}));
  STRATA_RETURN_IF_ERROR(check_names(*decoder, decoder->outputs, {"logits"}));
  const graph::Shape& memory = encoder->outputs[0].shape;
  const graph::Shape& logits = decoder->outputs[0].shape;
  if (encoder->inputs.size() != 2 || encoder->outputs.size() != 2 || memory.size() != 3 ||
      !memory[2].known() || logits.size() != 2 || !logits[1].known() || logits[1].value() <= kEnd ||
      decoder->inputs.size() - kStateInputs != decoder->outputs.size() - kStateOutputs) {
    return invalid_argument("the model is no translator: its two graphs do not fit each other");
  }
  return {};
}

/// Both sessions for sentences of a greatest length, and the memory that they work on.
struct Pair {
  int64_t capacity = 0;
  std::unique_ptr<Session> encoder, decoder;
  std::vector<int64_t> source;
  std::vector<int32_t> length;
  std::vector<float> memory, keys;  ///< of the sentence, then of every row
  std::vector<float> mask, logits;
  std::vector<int64_t> words;
  std::vector<std::vector<float>> states, next_states;
  std::vector<InputView> inputs;    ///< of the decoder
  std::vector<OutputView> outputs;  ///< of the decoder
};

class PlannedTranslator final : public Translator {
 public:
  PlannedTranslator(std::shared_ptr<const format::Reader> reader, const TranslatorOptions& options)
      : reader_(std::move(reader)), options_(options) {
    const graph::Graph& decoder = *reader_->model().find_graph("decode");
    vocabulary_ = decoder.outputs[0].shape[1].value();
    width_ = decoder.inputs[1].shape[2].value();
  }

  /// Makes the sessions for short sentences, so that what is wrong with the model shows early.
  Status prepare() {
    STRATA_ASSIGN_OR_RETURN(const Pair* pair, sessions_for(1));
    for (const Session* session : {pair->encoder.get(), pair->decoder.get()}) {
      steps_.insert(steps_.end(), session->steps().begin(), session->steps().end());
    }
    route_.resize(steps_.size());
    return {};
  }

  [[nodiscard]] int level_count() const override { return reader_->level_count(); }
  [[nodiscard]] int64_t vocabulary() const override { return vocabulary_; }
  [[nodiscard]] const std::vector<StepInfo>& steps() const override { return steps_; }

  Result<Translation> translate(std::span<const int64_t> source, int level) override {
    if (level < 0 || level >= level_count()) {
      return out_of_range("level " + std::to_string(level) +
                          " does not exist, the model has levels 0 to " +
                          std::to_string(level_count() - 1));
    }
    std::fill(route_.begin(), route_.end(), static_cast<uint8_t>(level));
    return translate_route(source, route_);
  }

  Result<Translation> translate_route(std::span<const int64_t> source,
                                      std::span<const uint8_t> levels) override {
    STRATA_RETURN_IF_ERROR(check_source(source));
    if (levels.size() != steps_.size()) {
      return invalid_argument("the route has " + std::to_string(levels.size()) +
                              " levels, the translator has " + std::to_string(steps_.size()) +
                              " steps");
    }
    if (source.empty()) return Translation();
    STRATA_ASSIGN_OR_RETURN(Pair * pair, sessions_for(static_cast<int64_t>(source.size())));
    const size_t encoder_steps = pair->encoder->steps().size();
    STRATA_RETURN_IF_ERROR(encode(*pair, source, levels.first(encoder_steps)));
    return decode(*pair, source, levels.subspan(encoder_steps));
  }

 private:
  [[nodiscard]] Status check_source(std::span<const int64_t> source) const {
    if (static_cast<int64_t>(source.size()) > kMaxSourceLength) {
      return out_of_range("the sentence has " + std::to_string(source.size()) +
                          " sub-words, at most " + std::to_string(kMaxSourceLength) +
                          " are translated; split it");
    }
    for (const int64_t word : source) {
      if (word >= 0 && word < vocabulary_) continue;
      return out_of_range("sub-word " + std::to_string(word) + " does not exist, the model has " +
                          std::to_string(vocabulary_));
    }
    return {};
  }

  Result<Pair*> sessions_for(int64_t length) {
    const int64_t capacity = capacity_for(length);
    if (const auto found = pairs_.find(capacity); found != pairs_.end()) return &found->second;
    Pair pair;
    pair.capacity = capacity;
    SessionOptions session;
    session.threads = options_.threads;
    session.graph = "encode";
    session.bindings = {{"source_time", capacity}, {"sentences", 1}};
    STRATA_ASSIGN_OR_RETURN(pair.encoder, Session::create(reader_, session));
    session.graph = "decode";
    session.bindings = {
        {"source_time", capacity}, {"sentences", options_.beam}, {"target_time", 1}};
    STRATA_ASSIGN_OR_RETURN(pair.decoder, Session::create(reader_, session));
    Pair& kept = pairs_.emplace(capacity, std::move(pair)).first->second;
    lay_out(kept);
    return &kept;
  }

  /// Views point into vectors of `pair`, which stays where it is.
  void lay_out(Pair& pair) const {
    const auto beam = static_cast<size_t>(options_.beam);
    const auto capacity = static_cast<size_t>(pair.capacity);
    const auto width = static_cast<size_t>(width_);
    pair.source.resize(capacity);
    pair.length.resize(1);
    pair.memory.resize(beam * capacity * width);
    pair.keys.resize(pair.memory.size());
    pair.mask.resize(beam * capacity);
    pair.words.resize(beam);
    pair.logits.resize(beam * static_cast<size_t>(vocabulary_));
    const size_t states = pair.decoder->inputs().size() - kStateInputs;
    pair.states.assign(states, std::vector<float>(beam * width));
    pair.next_states = pair.states;
    pair.inputs = {pair.words, pair.memory, pair.keys, pair.mask};
    pair.outputs = {pair.logits};
    for (size_t i = 0; i < states; ++i) {
      pair.inputs.emplace_back(pair.states[i]);
      pair.outputs.emplace_back(pair.next_states[i]);
    }
  }

  Status encode(Pair& pair, std::span<const int64_t> source, std::span<const uint8_t> levels) {
    std::fill(pair.source.begin(), pair.source.end(), kPadding);
    std::copy(source.begin(), source.end(), pair.source.begin());
    pair.source[source.size()] = kEnd;
    pair.length[0] = static_cast<int32_t>(source.size()) + 1;
    const auto sentence = static_cast<size_t>(pair.capacity * width_);
    const std::vector<InputView> inputs = {pair.source, pair.length};
    const std::vector<OutputView> outputs = {std::span(pair.memory).first(sentence),
                                             std::span(pair.keys).first(sentence)};
    STRATA_RETURN_IF_ERROR(pair.encoder->run_route(inputs, outputs, levels));
    for (int64_t row = 0; row < options_.beam; ++row) {
      const auto mask = pair.mask.begin() + row * pair.capacity;
      std::fill(mask, mask + pair.capacity, kPaddingScore);
      std::fill(mask, mask + pair.length[0], 0.0F);
      if (row == 0) continue;
      for (std::vector<float>* read : {&pair.memory, &pair.keys}) {
        std::copy_n(read->begin(), sentence, read->begin() + row * static_cast<int64_t>(sentence));
      }
    }
    return {};
  }

  Result<Translation> decode(Pair& pair, std::span<const int64_t> source,
                             std::span<const uint8_t> levels) {
    BeamOptions beam;
    beam.beam = options_.beam;
    beam.length_penalty = options_.length_penalty;
    beam.max_length = longest_translation(static_cast<int64_t>(source.size()));
    BeamSearch search(beam, vocabulary_);
    for (std::vector<float>& state : pair.states) std::fill(state.begin(), state.end(), 0.0F);
    Translation translation;
    while (!search.done()) {
      std::copy(search.last_words().begin(), search.last_words().end(), pair.words.begin());
      STRATA_RETURN_IF_ERROR(pair.decoder->run_route(pair.inputs, pair.outputs, levels));
      ++translation.decoder_steps;
      search.advance(pair.logits);
      for (size_t i = 0; i < pair.states.size(); ++i) {
        for (size_t row = 0; row < pair.words.size(); ++row) {
          const auto parent = search.parents()[row];
          std::copy_n(pair.next_states[i].begin() + parent * width_, width_,
                      pair.states[i].begin() + static_cast<int64_t>(row) * width_);
        }
      }
    }
    translation.words = search.best();
    translation.score = search.best_score();
    return translation;
  }

  std::shared_ptr<const format::Reader> reader_;
  TranslatorOptions options_;
  int64_t vocabulary_ = 0;
  int64_t width_ = 0;
  std::map<int64_t, Pair> pairs_;  ///< by capacity
  std::vector<StepInfo> steps_;
  std::vector<uint8_t> route_;
};

}  // namespace

Result<std::unique_ptr<Translator>> Translator::create(std::shared_ptr<const format::Reader> reader,
                                                       const TranslatorOptions& options) {
  if (options.beam < 1 || options.beam > kMaxBeam) {
    return invalid_argument("a beam of " + std::to_string(options.beam) +
                            " hypotheses is not possible; 1 to " + std::to_string(kMaxBeam) +
                            " are");
  }
  if (!(options.length_penalty >= 0 && options.length_penalty <= 10)) {
    return invalid_argument("the length penalty must be 0 to 10");
  }
  STRATA_RETURN_IF_ERROR(check_model(reader->model()));
  auto translator = std::make_unique<PlannedTranslator>(std::move(reader), options);
  STRATA_RETURN_IF_ERROR(translator->prepare());
  return std::unique_ptr<Translator>(std::move(translator));
}

}  // namespace strata::runtime
