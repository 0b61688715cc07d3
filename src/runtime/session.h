// Runs one graph of a nested model. A Session owns a plan of fused steps, the packed weights, the
// activation memory and a small thread pool; nothing is allocated in run() after the first call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/status.h"
#include "format/reader.h"
#include "graph/graph.h"
#include "route/profile.h"
#include "runtime/profile_file.h"
#include "runtime/run_options.h"
#include "runtime/tuning_file.h"
#include "sparse/nested_model.h"

namespace strata::runtime {

struct SessionOptions {
  int threads = 1;         ///< 1..64; the calling thread is one of them
  std::string graph = {};  ///< which graph of the model; empty = the only one
  graph::Bindings bindings =
      {};  ///< sizes of symbolic dimensions; those not named have the model's usual sizes, or 1
  int max_level = -1;  ///< load levels 0..max_level; -1 = all that the file has
  Clock clock = {};    ///< what deadlines refer to; monotonic_ns() but in tests
  /// Density from which on a level of a layer runs with a dense kernel: 0 always, above 1 never.
  /// None: from where the dense kernel is faster, which is what to use but for measurements.
  std::optional<double> dense_from = {};
  /// Run every step over the whole batch, as is done anyway where that is faster or inputs depend
  /// on each other. For measurements.
  bool whole_batch = false;
  /// A file that 'strata tune' wrote, or "off". Empty: what the environment variable STRATA_TUNING
  /// says in the same way, or the file beside the model, if there is one and it fits.
  std::string tuning = {};
  /// One per step of a part: to be used instead of any file, as by the tuner. Empty: none.
  Tuning tuning_trial = {};
};

/// The element type of an array of T.
template <typename T>
constexpr graph::DataType data_type_of() {
  if constexpr (std::is_same_v<T, float>) return graph::DataType::kFloat32;
  if constexpr (std::is_same_v<T, int64_t>) return graph::DataType::kInt64;
  if constexpr (std::is_same_v<T, int32_t>) return graph::DataType::kInt32;
  if constexpr (std::is_same_v<T, uint8_t>) return graph::DataType::kUint8;
  if constexpr (std::is_same_v<T, int8_t>) return graph::DataType::kInt8;
  if constexpr (std::is_same_v<T, bool>) return graph::DataType::kBool;
}

/// Dense row-major data that the caller owns: from anything contiguous (a vector, a span), or from
/// a pointer and what is there.
template <typename Pointer>
struct TensorView {
  Pointer data = nullptr;
  size_t elements = 0;
  graph::DataType type = graph::DataType::kFloat32;

  TensorView() = default;
  TensorView(Pointer memory, size_t count, graph::DataType element_type)
      : data(memory), elements(count), type(element_type) {}
  template <typename Range, typename Element = decltype(std::data(std::declval<Range&>()))>
  TensorView(Range&& range)  // NOLINT(google-explicit-constructor, bugprone-forwarding-*)
      : data(std::data(range)),
        elements(std::size(range)),
        type(data_type_of<std::remove_cv_t<std::remove_pointer_t<Element>>>()) {}
};
using InputView = TensorView<const void*>;
using OutputView = TensorView<void*>;

/// What a step is, for reports and for routing.
struct StepInfo {
  std::string name;  ///< of the first node that it fuses
  std::string kind;  ///< "conv3x3", "conv1x1", "gemm", "maxpool", "avgpool", "add", ...
  int64_t dense_macs = 0;
  std::vector<int64_t> macs;  ///< [level]
  int first_dense_level =
      0;  ///< it and those above run with a dense kernel; the count if none does
};

/// How the weights of one step are packed.
struct StepPacking {
  struct Level {
    bool dense = false;       ///< a dense kernel runs it; what follows is then 0
    int64_t tile_blocks = 0;  ///< 0 of steps that are not cut into tiles, too
    int64_t slices = 0;
    int64_t lists = 0;  ///< of taps that it walks
    bool operator==(const Level&) const = default;
  };
  std::vector<Level> levels;  ///< [level]
  size_t bytes = 0;
};

/// Bytes held by a session.
struct MemoryReport {
  size_t weights = 0;      ///< packed weights and vectors of the loaded levels
  size_t activations = 0;  ///< arena and scratch
  [[nodiscard]] size_t total() const { return weights + activations; }
};

/// Leads several sessions through one deadline, see Session::run_guided().
class StepGuide {
 public:
  virtual ~StepGuide() = default;
  /// The level of step `step`, which is loaded; -1: nothing more is to run.
  virtual int choose(size_t step) = 0;
  /// The step is done; `now_ns` is a reading of the session's clock.
  virtual void after_step(size_t step, int64_t now_ns) = 0;
};

/// One session serves one caller at a time; several sessions may run in parallel.
class Session {
 public:
  /// Loads the graph and its levels. `reader` is kept for reload_levels().
  /// Errors: unknown graph, an operator or shape the runtime cannot run, unbound dimensions, a
  /// tuning that was named and cannot be read.
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const format::Reader> reader,
                                                 const SessionOptions& options);

  /// The same from a model in memory (which is copied as needed); reload_levels() is then refused.
  static Result<std::unique_ptr<Session>> create(const sparse::NestedModel& nested,
                                                 const SessionOptions& options);
  virtual ~Session() = default;

  /// With every symbol bound; [i] matches the graph's inputs and outputs.
  [[nodiscard]] virtual const std::vector<graph::ValueInfo>& inputs() const = 0;
  [[nodiscard]] virtual const std::vector<graph::ValueInfo>& outputs() const = 0;
  /// In the order in which they run. Where the inputs of a batch do not depend on each other, the
  /// batch may be run in parts, one after another; the steps are then those of the first part, of
  /// the second and so on, equally many of each.
  [[nodiscard]] virtual const std::vector<StepInfo>& steps() const = 0;
  [[nodiscard]] virtual int64_t parts() const = 0;    ///< that a batch is run in; mostly 1
  [[nodiscard]] virtual int level_count() const = 0;  ///< loaded now
  [[nodiscard]] virtual int threads() const = 0;

  /// One inference at one level. Errors: a level that is not loaded, sizes or types that do not
  /// match the graph's (the message gives both), data that an operator does not allow (an index out
  /// of range). Outputs are undefined after an error.
  virtual Status run(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                     int level) = 0;

  /// One inference with a level per step (steps().size() entries).
  virtual Status run_route(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                           std::span<const uint8_t> levels) = 0;

  /// Runs as run_route() and stores the duration of each step in nanoseconds (steps().size()).
  virtual Status run_timed(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                           std::span<const uint8_t> levels, std::span<int64_t> step_ns) = 0;

  /// One inference under a deadline: before each step the policy chooses its level. OK is an answer
  /// (under kAnswerLate perhaps late, see last_run()). After any error the outputs are undefined;
  /// kDeadlineExceeded: there is no answer in time and a late one is not wanted, found out as early
  /// as the estimate allows; kCancelled: `options.cancellation` was requested before a step.
  /// Other errors: those of run(), invalid options, a deadline without a profile.
  virtual Status run(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                     const RunOptions& options) = 0;
  /// The account of the last run() with RunOptions, however it ended. Valid until the next one.
  [[nodiscard]] virtual const RunReport& last_run() const = 0;

  /// One inference whose guide is asked before each step. kCancelled: it wanted no more; outputs
  /// are undefined then.
  virtual Status run_guided(std::span<const InputView> inputs, std::span<const OutputView> outputs,
                            StepGuide& guide) = 0;

  /// The times that estimates start from (see profile_measurement.h). Forgets what was learned.
  /// Errors: a table for another number of steps, or for fewer levels than are loaded.
  virtual Status set_profile(const route::ProfileTable& table) = 0;
  /// As refreshed by the inferences since; null: none yet.
  [[nodiscard]] virtual const route::Profile* profile() const = 0;
  /// What a stored profile must have been measured with to serve this session.
  [[nodiscard]] virtual ProfileFingerprint fingerprint() const = 0;
  /// Takes the profile for this session from a file; empty: the one beside the model. Errors: no
  /// such file, damage, and, with what differs, a profile of another model, processor, build, batch
  /// or thread count. The session's profile then stays as it was.
  virtual Status load_profile(const std::string& path = {}) = 0;
  /// Adds the session's profile as it is now to a file, atomically. Errors: no profile; writing.
  [[nodiscard]] virtual Status save_profile(const std::string& path = {}) const = 0;

  /// What a stored tuning must have been found with to serve this session.
  [[nodiscard]] virtual const TuningFingerprint& tuning_fingerprint() const = 0;
  /// [step of a part], in use since the session was made; empty: everything is as the rules say.
  [[nodiscard]] virtual const Tuning& tuning() const = 0;
  /// Why the file beside the model is not used, one sentence; empty: it is, or there is none.
  [[nodiscard]] virtual const std::string& tuning_note() const = 0;
  /// [step of a part]
  [[nodiscard]] virtual std::vector<StepPacking> packing() const = 0;
  /// For the tuner: packs the weights a second time, as `tuning` (one per step of a part) says;
  /// swap_tuning() then exchanges them with those in use, without which memory() and packing() do.
  /// Errors: a session from a model in memory, another number of steps, no memory.
  virtual Status prepare_tuning(const Tuning& tuning) = 0;
  virtual void swap_tuning() = 0;

  /// Frees the weights of the levels above `level`; they can be had back from the file.
  virtual Status drop_levels_above(int level) = 0;
  virtual Status reload_levels() = 0;

  [[nodiscard]] virtual MemoryReport memory() const = 0;

 protected:
  Session() = default;
};

}  // namespace strata::runtime
