// The progress line: when to draw, what to say.
#include "train/progress.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <iostream>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace strata {
namespace {

constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 5;
constexpr double kBlinkSeconds = 0.5;
constexpr int kBarColumns = 24;
constexpr int kFallbackColumns = 80;

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                         : kFallbackColumns;
}

[[gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...) {
  std::array<char, 64> text{};
  std::va_list values;
  va_start(values, format);
  std::vsnprintf(text.data(), text.size(), format, values);
  va_end(values);
  return text.data();
}

}  // namespace

ProgressMode progress_mode(bool quiet) {
  if (quiet) return ProgressMode::kSilent;
  return isatty(STDERR_FILENO) != 0 ? ProgressMode::kBar : ProgressMode::kLines;
}

std::string format_duration(double seconds) {
  constexpr double kLongest = 1e9;
  if (!std::isfinite(seconds) || seconds < 0 || seconds > kLongest) return "?";
  const long long total = std::llround(seconds);
  if (total < 60) return formatted("%llds", total);
  if (total < 3600) return formatted("%lldm%02llds", total / 60, total % 60);
  constexpr long long kMinutesPerDay = 1440;
  const long long minutes = total / 60;
  if (minutes < kMinutesPerDay) return formatted("%lldh%02lldm", minutes / 60, minutes % 60);
  const long long hours = minutes / 60;
  return formatted("%lldd%02lldh", hours / 24, hours % 24);
}

std::string format_rate(double per_second) {
  if (!std::isfinite(per_second) || per_second < 0) return "?";
  // The bounds are where rounding would add a digit.
  if (per_second < 0.995) return formatted("%.2f", per_second);
  if (per_second < 99.95) return formatted("%.1f", per_second);
  if (per_second < 999.5) return formatted("%.0f", per_second);
  if (per_second < 999.95e3) return formatted("%.1fk", per_second / 1e3);
  return formatted("%.1fM", per_second / 1e6);
}

Progress::Progress(std::string label, int64_t total, ProgressOptions options)
    : label_(std::move(label)),
      total_(std::max<int64_t>(total, 0)),
      options_(std::move(options)),
      done_(options_.first) {
  if (options_.out == nullptr) options_.out = &std::cerr;
  if (!options_.clock) options_.clock = steady_seconds;
  begin_ = options_.clock();
  last_drawn_ = begin_;
}

Progress::~Progress() {
  try {
    finish();
  } catch (...) {  // a stream that throws must not end the program while another error travels
    finished_ = true;
  }
}

void Progress::update(int64_t done, std::string_view message) {
  done_ = done;
  if (!message.empty()) message_ = message;
  if (options_.mode == ProgressMode::kSilent || finished_) return;
  const double now = options_.clock();
  const double pause = options_.mode == ProgressMode::kLines ? kLineSeconds
                       : shown_                              ? kRedrawSeconds
                                                             : kBlinkSeconds;
  if (now - last_drawn_ >= pause) draw(now);
}

void Progress::note(std::string_view line) {
  if (options_.mode == ProgressMode::kSilent) return;
  const bool over_bar = options_.mode == ProgressMode::kBar && shown_ && !finished_;
  if (over_bar) *options_.out << "\r\x1b[K";
  *options_.out << line << '\n' << std::flush;
  if (over_bar) draw(options_.clock());
}

void Progress::finish() {
  if (finished_) return;
  const double now = options_.clock();
  const bool silent = options_.mode == ProgressMode::kSilent;
  if (!silent && (shown_ || now - begin_ >= kBlinkSeconds)) {
    draw(now);
    if (options_.mode == ProgressMode::kBar) *options_.out << '\n' << std::flush;
  }
  finished_ = true;
}

void Progress::draw(double now) {
  std::ostream& out = *options_.out;
  if (options_.mode == ProgressMode::kBar) {
    out << '\r' << render(now, options_.columns > 0 ? options_.columns : terminal_columns())
        << "\x1b[K";
  } else {
    out << render(now, 0) << '\n';
  }
  out << std::flush;
  last_drawn_ = now;
  shown_ = true;
}

std::string Progress::render(double now, int columns) const {
  const double elapsed = now - begin_;
  const auto here = static_cast<double>(done_ - options_.first);
  const double rate = elapsed > 0 ? here / elapsed : 0;
  const double share =
      total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0)
                 : 0;
  std::string line = label_;
  if (columns > 0 && total_ > 0) {
    const auto filled = static_cast<size_t>(share * kBarColumns);
    line += " [" + std::string(filled, '#') + std::string(kBarColumns - filled, '.') + "]";
  }
  // Rounded down: 100 % is reached at the end, not before it.
  if (total_ > 0) line += formatted(" %3d%%", static_cast<int>(share * 100));
  if (!options_.unit.empty()) line += "  " + format_rate(rate) + " " + options_.unit + "/s";
  if (total_ > 0 && done_ < total_) {
    const double left = rate > 0 ? static_cast<double>(total_ - done_) / rate : -1;
    line += "  ETA " + format_duration(left);
  } else {
    line += "  in " + format_duration(elapsed);
  }
  if (!message_.empty()) line += "  " + message_;
  // One column stays free: a full line would make some terminals wrap.
  if (columns > 0 && line.size() >= static_cast<size_t>(columns)) {
    line.resize(static_cast<size_t>(columns) - 1);
  }
  return line;
}

}  // namespace strata
