// What a running session shows to others, `strata top` for one: a small shared file that one writer
// keeps up to date without locks or system calls, and that any process may read at any time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/status.h"
#include "runtime/run_options.h"

namespace strata::runtime {

/// One inference of the recent past.
struct LiveInference {
  float latency_ms = 0;  ///< from the request to the answer, waiting included
  float slowdown = 1;    ///< believed afterwards
  uint8_t first_level = 0;
  uint8_t last_level = 0;
  uint8_t missed = 0;
  uint8_t reserved = 0;
};

/// Everything that is shown. Plain data of a fixed size: it is copied word by word.
struct LiveSnapshot {
  static constexpr int kLevels = route::kMaxLevels;
  static constexpr int kHistory = 256;

  int64_t process = 0;     ///< of the writer
  int64_t started_ns = 0;  ///< monotonic_ns() when the writer began
  int64_t updated_ns = 0;  ///< and when it wrote last
  int64_t inferences = 0;
  int64_t misses = 0;  ///< answered late or given up
  int64_t reroutes = 0;
  double deadline_ms = 0;      ///< +infinity: none
  double slack_ms = 0;         ///< deadline - latency of the last inference; negative: missed
  double slowdown = 1;         ///< of the last inference
  double metric = 0;           ///< mean over the inferences, if the writer knows it
  double sparsest_metric = 0;  ///< of level 0, to compare with; equal ones: unknown
  double densest_metric = 0;   ///< of the highest level
  int32_t level_count = 0;
  int32_t threads = 0;
  int32_t batch = 0;
  int32_t finished = 0;                           ///< the writer is done
  std::array<double, kLevels> level_ns{};         ///< computing time spent at each level
  std::array<LiveInference, kHistory> history{};  ///< inference i is at i % kHistory
  std::array<char, 64> model{};                   ///< texts are cut to fit and end with a zero
  std::array<char, 32> policy{};
  std::array<char, 64> load{};  ///< what runs beside it

  /// The text in one of the arrays.
  template <size_t N>
  [[nodiscard]] static std::string text(const std::array<char, N>& from) {
    return {from.data(), strnlen_of(from)};
  }
  /// Puts a text into one of the arrays.
  template <size_t N>
  static void assign(std::array<char, N>& to, std::string_view text) {
    to.fill(0);
    for (size_t i = 0; i < text.size() && i + 1 < N; ++i) to[i] = text[i];
  }

  /// Adds one inference that ran with a report; `latency_ns` is counted from the request.
  void add(const RunReport& report, double latency_ns, bool missed);

 private:
  template <size_t N>
  static size_t strnlen_of(const std::array<char, N>& from) {
    size_t length = 0;
    while (length < N && from[length] != 0) ++length;
    return length;
  }
};
static_assert(std::is_trivially_copyable_v<LiveSnapshot>);
static_assert(sizeof(LiveSnapshot) % sizeof(uint64_t) == 0);

/// "/dev/shm/strata-UID": where live states lie by default. One file per writer, named after its
/// process id, and PROCESS.1, PROCESS.2, ... for further writers of the same process.
[[nodiscard]] std::string live_state_folder();

/// The writing side. One thread.
class LiveStateWriter {
 public:
  /// Makes the file; an empty path: one of its own in live_state_folder(), which is made too.
  /// Errors: the operating system refuses, or the folder belongs to somebody else.
  static Result<std::unique_ptr<LiveStateWriter>> create(const std::string& path = {});
  /// Removes the file.
  ~LiveStateWriter();
  LiveStateWriter(const LiveStateWriter&) = delete;
  LiveStateWriter& operator=(const LiveStateWriter&) = delete;

  /// No lock, no system call, no allocation; readers never make it wait.
  void publish(const LiveSnapshot& snapshot);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  LiveStateWriter() = default;
  std::string path_;
  [[maybe_unused]] void* memory_ = nullptr;  ///< unused where there are no live states
};

/// The reading side: one look at a file that somebody may be writing.
/// Errors: no such file, not a live state, or of another version; a writer that never stands still.
[[nodiscard]] Result<LiveSnapshot> read_live_state(const std::string& path);

/// Paths of the live states in a folder whose writers still run, oldest first. The files of writers
/// that were killed are removed.
[[nodiscard]] std::vector<std::string> find_live_states(const std::string& folder);

}  // namespace strata::runtime
