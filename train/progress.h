// One progress line for everything that takes longer than a blink: a bar with rate and ETA on a
// terminal, a plain line every few seconds in a log, nothing with --quiet.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

namespace strata {

enum class ProgressMode : uint8_t { kBar, kLines, kSilent };

/// kSilent if quiet, else kBar where stderr is a terminal, else kLines.
ProgressMode progress_mode(bool quiet);

struct ProgressOptions {
  ProgressMode mode = ProgressMode::kSilent;
  int64_t first = 0;            ///< done before this run began (a resumed run)
  std::string unit = "";        ///< of the rate: "images", "steps"; empty: no rate
  std::ostream* out = nullptr;  ///< stderr if null
  int columns = 0;              ///< width of the terminal; 0: ask it
  /// Seconds on a steady clock; the default is right but in tests.
  std::function<double()> clock;
};

/// Used from one thread. Redraws at most ten times a second, or prints a line every five seconds;
/// nothing is shown for work that ends within half a second.
class Progress {
 public:
  Progress(std::string label, int64_t total, ProgressOptions options);
  ~Progress();  ///< finishes
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of total; `message` stands at the end of the line until the next non-empty one.
  void update(int64_t done, std::string_view message = {});
  void advance(int64_t count = 1) { update(done_ + count); }

  /// A line of its own, above the bar; shown at once, unless silent.
  void note(std::string_view line);

  /// The last state stays on the screen; later updates are ignored. Idempotent.
  void finish();

 private:
  [[nodiscard]] std::string render(double now, int columns) const;
  void draw(double now);

  std::string label_;
  int64_t total_;
  ProgressOptions options_;
  int64_t done_;
  std::string message_;
  double begin_;
  double last_drawn_;
  bool shown_ = false;
  bool finished_ = false;
};

/// "0s", "59s", "3m07s", "2h05m", "4d03h"; negative or not finite: "?".
std::string format_duration(double seconds);

/// "0.52", "9.5", "340", "12.3k", "4.5M".
std::string format_rate(double per_second);

}  // namespace strata
