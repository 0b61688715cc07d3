#include "runtime/translator.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "format/layout.h"
#include "route/length_estimate.h"
#include "runtime/router.h"

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
  /// The steps of the encoder, then one run of the decoder; none: not known.
  std::optional<route::ProfileTable> times;
};

/// Whether length and time share the wanted misses: where a margin promises a number. An adaptive
/// policy corrects what it asks for by the misses that it sees, of whatever cause.
bool shares_misses(const route::PolicyOptions& policy) {
  return route::has_margin(policy.kind) && !policy.adaptive;
}

/// Of the estimate of the length; the median where nothing is promised.
double length_miss_probability(const route::PolicyOptions& policy) {
  if (!route::has_margin(policy.kind)) return 0.5;
  return shares_misses(policy) ? policy.miss_probability / 2 : policy.miss_probability;
}

/// What the router gets of the options of a translation.
RunOptions time_options(RunOptions options) {
  if (shares_misses(options.policy)) options.policy.miss_probability /= 2;
  return options;
}

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
    encoder_steps_ = pair->encoder->steps().size();
    router_.emplace(encoder_steps_ + static_cast<size_t>(longest_translation(kMaxSourceLength)));
    STRATA_ASSIGN_OR_RETURN(route::LengthEstimate length, route::LengthEstimate::create());
    length_.emplace(std::move(length));
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
    lay_source(*pair, source);
    STRATA_RETURN_IF_ERROR(pair->encoder->run_route(encoder_inputs(*pair), encoder_outputs(*pair),
                                                    levels.first(encoder_steps_)));
    spread(*pair);
    BeamSearch search = begin_search(*pair, source);
    int64_t runs = 0;
    for (; !search.done(); ++runs) {
      STRATA_RETURN_IF_ERROR(advance(*pair, search, levels.subspan(encoder_steps_)));
    }
    return translation_of(search, runs);
  }

  Result<Translation> translate(std::span<const int64_t> source,
                                const RunOptions& options) override {
    const int64_t called = options_.clock.now_ns();
    STRATA_RETURN_IF_ERROR(check_source(source));
    // An empty sentence still has its end; so the account of it is like that of any other.
    STRATA_ASSIGN_OR_RETURN(Pair * pair, sessions_for(static_cast<int64_t>(source.size())));
    const auto length = static_cast<int64_t>(source.size());
    const int64_t longest = longest_translation(length);
    const int64_t expected =
        length_->at_most(length, length_miss_probability(options.policy), longest);
    STRATA_RETURN_IF_ERROR(begin_work(*pair, options, length, expected));
    STRATA_RETURN_IF_ERROR(router_->begin(time_options(options), level_count(), called));
    if (source.empty()) {
      STRATA_RETURN_IF_ERROR(router_->finish(Router::Next::kRun, options_.clock.now_ns()));
      return Translation();
    }

    lay_source(*pair, source);
    Guide guide(*router_);
    const Status encoded =
        pair->encoder->run_guided(encoder_inputs(*pair), encoder_outputs(*pair), guide);
    if (guide.end() != Router::Next::kRun) return finish_early(guide.end());
    STRATA_RETURN_IF_ERROR(encoded);
    spread(*pair);
    BeamSearch search = begin_search(*pair, source);
    int64_t runs = 0;
    const std::span<uint8_t> levels = std::span(route_).subspan(encoder_steps_);
    for (; !search.done(); ++runs) {
      const size_t step = encoder_steps_ + static_cast<size_t>(runs);
      // As far from the end of the profile as the translation is believed to be from its own.
      const int64_t left = route::LengthEstimate::left(expected, runs, longest);
      const int64_t place = expected - std::min(left, expected);
      const Router::Next next = router_->choose(step, encoder_steps_ + static_cast<size_t>(place));
      if (next != Router::Next::kRun) return finish_early(next);
      std::fill(levels.begin(), levels.end(), static_cast<uint8_t>(router_->level()));
      STRATA_RETURN_IF_ERROR(advance(*pair, search, levels));
      router_->after_step(step, options_.clock.now_ns());
    }
    length_->record(length, runs);
    STRATA_RETURN_IF_ERROR(router_->finish(Router::Next::kRun, options_.clock.now_ns()));
    return translation_of(search, runs);
  }

  [[nodiscard]] const RunReport& last_run() const override { return router_->report(); }

  Result<MeasuredProfile> measure_profile(int64_t length,
                                          const ProfileMeasurementOptions& options) override {
    STRATA_RETURN_IF_ERROR(check_length(length));
    STRATA_ASSIGN_OR_RETURN(Pair * pair, sessions_for(length));
    // Times do not depend on the words.
    const std::vector<int64_t> source(static_cast<size_t>(pair->capacity) - 1, kEnd);
    lay_source(*pair, source);
    std::vector<uint8_t> route(steps_.size());
    const auto run = [&](int level, std::span<int64_t> step_ns) -> Status {
      std::fill(route.begin(), route.end(), static_cast<uint8_t>(level));
      const std::span<const uint8_t> levels = route;
      STRATA_RETURN_IF_ERROR(pair->encoder->run_timed(encoder_inputs(*pair), encoder_outputs(*pair),
                                                      levels.first(encoder_steps_),
                                                      step_ns.first(encoder_steps_)));
      spread(*pair);
      BeamSearch search = begin_search(*pair, source);
      // Only from the second sub-word on there are as many hypotheses as the beam is wide.
      STRATA_RETURN_IF_ERROR(advance(*pair, search, levels.subspan(encoder_steps_)));
      if (search.done()) search = begin_search(*pair, source);
      const int64_t begin = options_.clock.now_ns();
      STRATA_RETURN_IF_ERROR(advance(*pair, search, levels.subspan(encoder_steps_)));
      step_ns.back() = options_.clock.now_ns() - begin;
      return {};
    };
    return measure_profile_of(
        {static_cast<int>(encoder_steps_) + 1, level_count(), options_.threads}, run, options);
  }

  Status set_profile(int64_t length, const route::ProfileTable& table) override {
    STRATA_RETURN_IF_ERROR(check_length(length));
    STRATA_ASSIGN_OR_RETURN(Pair * pair, sessions_for(length));
    return accept(*pair, table);
  }

  Result<ProfileFingerprint> fingerprint(int64_t length) override {
    STRATA_RETURN_IF_ERROR(check_length(length));
    STRATA_ASSIGN_OR_RETURN(const Pair* pair, sessions_for(length));
    return fingerprint_of(*pair);
  }

  Status load_profiles(const std::string& path) override {
    const std::string place = path.empty() ? profile_path(reader_->path()) : path;
    STRATA_ASSIGN_OR_RETURN(stored_, read_profiles(place));
    stored_path_ = place;
    for (auto& [capacity, pair] : pairs_) take_stored_profile(pair);
    int64_t length = 1;
    for (;; length = longest_served_with(length) + 1) {
      STRATA_ASSIGN_OR_RETURN(const Pair* pair, sessions_for(length));
      if (pair->times) continue;
      if (length > 1) return {};
      return find_profile(stored_, fingerprint_of(*pair), stored_path_).status();
    }
  }

 private:
  /// Asks the router on behalf of the encoder.
  class Guide final : public StepGuide {
   public:
    explicit Guide(Router& router) : router_(router) {}
    int choose(size_t step) override {
      end_ = router_.choose(step);
      return end_ == Router::Next::kRun ? router_.level() : -1;
    }
    void after_step(size_t step, int64_t now_ns) override { router_.after_step(step, now_ns); }
    [[nodiscard]] Router::Next end() const { return end_; }

   private:
    Router& router_;
    Router::Next end_ = Router::Next::kRun;
  };

  /// A translation of `length` sub-words with `expected` runs of the decoder.
  Status begin_work(const Pair& pair, const RunOptions& options, int64_t length, int64_t expected) {
    if (pair.times) {
      STRATA_ASSIGN_OR_RETURN(route::Profile profile,
                              route::Profile::create(times_of_translation(*pair.times, expected)));
      return router_->begin_work(std::move(profile), level_count());
    }
    router_->begin_unknown_work();
    if (!options.has_deadline()) return {};
    std::string why;
    if (!stored_path_.empty()) {
      why = "; " + find_profile(stored_, fingerprint_of(pair), stored_path_).status().message();
    }
    return failed_precondition("there is no profile for sentences of " + std::to_string(length) +
                               " sub-words, which a deadline needs" + why);
  }

  Result<Translation> finish_early(Router::Next end) {
    STRATA_RETURN_IF_ERROR(router_->finish(end, options_.clock.now_ns()));
    return deadline_exceeded("deadline missed");  // finish() said so already
  }

  [[nodiscard]] static Status check_length(int64_t length) {
    if (length >= 0 && length <= kMaxSourceLength) return {};
    return out_of_range("there are no sentences of " + std::to_string(length) +
                        " sub-words; 0 to " + std::to_string(kMaxSourceLength) + " are possible");
  }

  [[nodiscard]] static ProfileFingerprint fingerprint_of(const Pair& pair) {
    ProfileFingerprint fingerprint = pair.encoder->fingerprint();
    const std::array<uint64_t, 2> both = {fingerprint.graph, pair.decoder->fingerprint().graph};
    fingerprint.graph =
        format::checksum({reinterpret_cast<const uint8_t*>(both.data()), sizeof both});
    return fingerprint;
  }

  Status accept(Pair& pair, const route::ProfileTable& table) const {
    if (table.step_count != static_cast<int>(encoder_steps_) + 1 ||
        table.level_count < level_count()) {
      return invalid_argument("the profile has " + std::to_string(table.step_count) +
                              " steps and " + std::to_string(table.level_count) +
                              " levels, a translator's has " + std::to_string(encoder_steps_ + 1) +
                              " and " + std::to_string(level_count()));
    }
    STRATA_RETURN_IF_ERROR(route::Profile::create(table).status());
    pair.times = table;
    return {};
  }

  void take_stored_profile(Pair& pair) const {
    if (stored_path_.empty()) return;
    const auto found = find_profile(stored_, fingerprint_of(pair), stored_path_);
    // What does not fit is as good as none: the next deadline says why.
    if (found.ok() && !accept(pair, (*found)->table).ok()) pair.times.reset();
  }

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
    session.clock = options_.clock;
    STRATA_ASSIGN_OR_RETURN(pair.encoder, Session::create(reader_, session));
    session.graph = "decode";
    session.bindings = {
        {"source_time", capacity}, {"sentences", options_.beam}, {"target_time", 1}};
    STRATA_ASSIGN_OR_RETURN(pair.decoder, Session::create(reader_, session));
    Pair& kept = pairs_.emplace(capacity, std::move(pair)).first->second;
    lay_out(kept);
    take_stored_profile(kept);
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

  static void lay_source(Pair& pair, std::span<const int64_t> source) {
    std::fill(pair.source.begin(), pair.source.end(), kPadding);
    std::copy(source.begin(), source.end(), pair.source.begin());
    pair.source[source.size()] = kEnd;
    pair.length[0] = static_cast<int32_t>(source.size()) + 1;
  }

  static std::array<InputView, 2> encoder_inputs(const Pair& pair) {
    return {pair.source, pair.length};
  }

  [[nodiscard]] size_t sentence_size(const Pair& pair) const {
    return static_cast<size_t>(pair.capacity * width_);
  }

  std::array<OutputView, 2> encoder_outputs(Pair& pair) const {
    return {std::span(pair.memory).first(sentence_size(pair)),
            std::span(pair.keys).first(sentence_size(pair))};
  }

  /// Gives every row of the beam what the encoder made of the sentence.
  void spread(Pair& pair) const {
    const size_t sentence = sentence_size(pair);
    for (int64_t row = 0; row < options_.beam; ++row) {
      const auto mask = pair.mask.begin() + row * pair.capacity;
      std::fill(mask, mask + pair.capacity, kPaddingScore);
      std::fill(mask, mask + pair.length[0], 0.0F);
      if (row == 0) continue;
      for (std::vector<float>* read : {&pair.memory, &pair.keys}) {
        std::copy_n(read->begin(), sentence, read->begin() + row * static_cast<int64_t>(sentence));
      }
    }
  }

  BeamSearch begin_search(Pair& pair, std::span<const int64_t> source) const {
    BeamOptions beam;
    beam.beam = options_.beam;
    beam.length_penalty = options_.length_penalty;
    beam.max_length = longest_translation(static_cast<int64_t>(source.size()));
    for (std::vector<float>& state : pair.states) std::fill(state.begin(), state.end(), 0.0F);
    return {beam, vocabulary_};
  }

  /// One run of the decoder, and what the search makes of it.
  Status advance(Pair& pair, BeamSearch& search, std::span<const uint8_t> levels) const {
    std::copy(search.last_words().begin(), search.last_words().end(), pair.words.begin());
    STRATA_RETURN_IF_ERROR(pair.decoder->run_route(pair.inputs, pair.outputs, levels));
    search.advance(pair.logits);
    for (size_t i = 0; i < pair.states.size(); ++i) {
      for (size_t row = 0; row < pair.words.size(); ++row) {
        const auto parent = search.parents()[row];
        std::copy_n(pair.next_states[i].begin() + parent * width_, width_,
                    pair.states[i].begin() + static_cast<int64_t>(row) * width_);
      }
    }
    return {};
  }

  static Translation translation_of(const BeamSearch& search, int64_t runs) {
    return {search.best(), search.best_score(), runs};
  }

  std::shared_ptr<const format::Reader> reader_;
  TranslatorOptions options_;
  int64_t vocabulary_ = 0;
  int64_t width_ = 0;
  std::map<int64_t, Pair> pairs_;  ///< by capacity
  std::vector<StepInfo> steps_;
  std::vector<uint8_t> route_;
  size_t encoder_steps_ = 0;
  std::optional<Router> router_;
  std::optional<route::LengthEstimate> length_;
  std::vector<StoredProfile> stored_;
  std::string stored_path_;  ///< empty: none were loaded
};

}  // namespace

route::ProfileTable times_of_translation(const route::ProfileTable& once, int64_t runs) {
  route::ProfileTable table = once;
  table.step_count += static_cast<int>(runs) - 1;
  const auto levels = static_cast<ptrdiff_t>(once.level_count);
  table.times.reserve(table.times.size() + static_cast<size_t>((runs - 1) * levels));
  for (int64_t run = 1; run < runs; ++run) {
    table.times.insert(table.times.end(), once.times.end() - levels, once.times.end());
  }
  return table;
}

int64_t longest_served_with(int64_t length) { return capacity_for(length) - 1; }

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
