// Translates sentences, given as numbers of sub-words, with a model of an encoder and a decoder
// (src/models/gnmt.h says which inputs and outputs they have): the encoder once, then the decoder
// step by step under a beam search, at a level or along a route.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/status.h"
#include "format/reader.h"
#include "runtime/beam_search.h"
#include "runtime/session.h"

namespace strata::runtime {

struct TranslatorOptions {
  int threads = 1;              ///< of every step
  int64_t beam = 5;             ///< 1..64
  double length_penalty = 0.6;  ///< 0 or more, see BeamOptions
};

struct Translation {
  std::vector<int64_t> words;  ///< sub-words, without what begins and ends a sentence
  double score = 0;            ///< log-probability over its length penalty
  int64_t decoder_steps = 0;   ///< how often the decoder ran
};

/// Sub-words that a sentence may have at most.
inline constexpr int64_t kMaxSourceLength = 1023;

/// The same sentence gives the same translation, whatever was translated before and with however
/// many threads. For one caller at a time.
class Translator {
 public:
  /// Sessions are made when a sentence first needs them, for lengths up to the next power of two.
  /// `reader` is kept. Errors: options out of range, a model that is no translator.
  static Result<std::unique_ptr<Translator>> create(std::shared_ptr<const format::Reader> reader,
                                                    const TranslatorOptions& options);
  virtual ~Translator() = default;

  [[nodiscard]] virtual int level_count() const = 0;
  [[nodiscard]] virtual int64_t vocabulary() const = 0;
  /// Those of the encoder, then those of the decoder.
  [[nodiscard]] virtual const std::vector<StepInfo>& steps() const = 0;

  /// `source` are sub-words without what ends a sentence; from an empty one comes an empty
  /// translation. Errors: a level or sub-word that does not exist, more than kMaxSourceLength
  /// sub-words.
  virtual Result<Translation> translate(std::span<const int64_t> source, int level) = 0;
  /// With a level per step (steps().size() entries); every run of the decoder takes the same ones.
  virtual Result<Translation> translate_route(std::span<const int64_t> source,
                                              std::span<const uint8_t> levels) = 0;

 protected:
  Translator() = default;
};

}  // namespace strata::runtime
