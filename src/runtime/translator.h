// Translates sentences, given as numbers of sub-words, with a model of an encoder and a decoder
// (src/models/gnmt.h says which inputs and outputs they have): the encoder once, then the decoder
// step by step under a beam search, at a level, along a route, or by a deadline for the whole
// translation.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/status.h"
#include "format/reader.h"
#include "runtime/beam_search.h"
#include "runtime/profile_file.h"
#include "runtime/profile_measurement.h"
#include "runtime/run_options.h"
#include "runtime/session.h"

namespace strata::runtime {

struct TranslatorOptions {
  int threads = 1;              ///< of every step
  int64_t beam = 5;             ///< 1..64
  double length_penalty = 0.6;  ///< 0 or more, see BeamOptions
  Clock clock = {};             ///< what deadlines refer to; monotonic_ns() but in tests
};

struct Translation {
  std::vector<int64_t> words;  ///< sub-words, without what begins and ends a sentence
  double score = 0;            ///< log-probability over its length penalty
  int64_t decoder_steps = 0;   ///< how often the decoder ran
};

/// Sub-words that a sentence may have at most.
inline constexpr int64_t kMaxSourceLength = 1023;

/// The times of a translation that runs the decoder `runs` times, at least once, from those that
/// Translator::measure_profile() gave: their last step stands for each run.
route::ProfileTable times_of_translation(const route::ProfileTable& once, int64_t runs);

/// The longest sentence that the sessions for one of `length` sub-words serve: 15, 31, 63, ...
int64_t longest_served_with(int64_t length);

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

  /// Under a deadline that spans the whole translation. The policy chooses the level of every step
  /// of the encoder and of every run of the decoder; how many of these there will be is estimated
  /// from the translations before (route/length_estimate.h). Policies with a margin leave half of
  /// the wanted misses to that estimate, so that time and length together keep to what was asked.
  /// Errors: those of Session::run() with RunOptions; a deadline needs a profile for sentences of
  /// this length.
  virtual Result<Translation> translate(std::span<const int64_t> source,
                                        const RunOptions& options) = 0;
  /// The account of the last translate() with RunOptions; its steps are those of the encoder, then
  /// one for each run of the decoder.
  [[nodiscard]] virtual const RunReport& last_run() const = 0;

  /// Measures the sessions that sentences of `length` sub-words need: the steps of the encoder,
  /// then one run of the decoder with the search that follows. Does not use what it measured.
  virtual Result<MeasuredProfile> measure_profile(int64_t length,
                                                  const ProfileMeasurementOptions& options) = 0;
  /// Such a profile. Errors: a table of another model.
  virtual Status set_profile(int64_t length, const route::ProfileTable& table) = 0;
  /// What a stored profile must have been measured with to serve sentences of `length`.
  virtual Result<ProfileFingerprint> fingerprint(int64_t length) = 0;
  /// Takes profiles for all lengths from a file; empty: the one beside the model. Makes the
  /// sessions of every length that has one, so that no sentence waits for them. Errors: no such
  /// file, damage, and, with what differs, no profile that fits.
  virtual Status load_profiles(const std::string& path = {}) = 0;

 protected:
  Translator() = default;
};

}  // namespace strata::runtime
