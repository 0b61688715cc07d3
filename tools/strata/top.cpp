// strata top: watches a running session that publishes its state, on a terminal or line by line.
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "core/clock.h"
#include "runtime/live_state.h"
#include "tools/strata/live_view.h"
#include "tools/strata/verb.h"
#include "train/error.h"

namespace strata::cli {
namespace {

constexpr int kScreenIntervalMs = 200;
constexpr int kLineIntervalMs = 1000;

/// The alternate screen without a cursor and with single keys, until this goes out of scope.
class FullScreen {
 public:
  FullScreen() {
    if (tcgetattr(STDIN_FILENO, &before_) == 0) {
      termios single_keys = before_;
      single_keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      changed_ = tcsetattr(STDIN_FILENO, TCSANOW, &single_keys) == 0;
    }
    std::cout << "\x1b[?1049h\x1b[?25l" << std::flush;
  }
  ~FullScreen() {
    std::cout << "\x1b[0m\x1b[?25h\x1b[?1049l" << std::flush;
    if (changed_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  /// Draws over what is there, so that nothing flickers.
  static void show(const std::vector<std::string>& lines) {
    std::string frame = "\x1b[H";
    for (size_t i = 0; i < lines.size(); ++i) {
      frame += lines[i] + "\x1b[0m\x1b[K";
      if (i + 1 < lines.size()) frame += "\r\n";
    }
    std::cout << frame << "\x1b[J" << std::flush;
  }

  static ViewSize size() {
    winsize window{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0) return {};
    return {window.ws_col, window.ws_row};
  }

 private:
  termios before_{};
  bool changed_ = false;
};

/// Waits, and returns the key that was pressed meanwhile; 0: none. A signal ends the wait early.
char wait_for_key(int milliseconds, bool keys) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  if (poll(&input, keys ? 1 : 0, milliseconds) <= 0) return 0;
  char key = 0;
  return read(STDIN_FILENO, &key, 1) == 1 ? key : '\0';
}

class TopVerb : public Verb {
 public:
  TopVerb()
      : Verb("top", "Watch a running session: level, slowdown, misses, slack",
             "  strata top                    the newest session that publishes its state\n"
             "  strata top 4711               that of process 4711\n"
             "  strata top | tee log.txt      one line a second\n"
             "  strata top --json             one look, for scripts\n"
             "'strata qos' publishes its state while it runs. On a terminal, q or Ctrl-C quits.") {}

  void declare(CLI::App& app) override {
    app.add_option("SESSION", session_,
                   "Process id, or the file of a state (default: the newest one)");
    app.add_option("--interval", interval_ms_,
                   "Milliseconds between two looks (default: 200 on a terminal, else 1000)")
        ->type_name("MS")
        ->check(CLI::Range(10, 3'600'000).description(""));
    app.add_option("--count", count_, "End after N looks")
        ->type_name("N")
        ->check(CLI::Range(int64_t{1}, INT64_MAX).description(""));
    app.add_flag("--wait", wait_, "Wait for a session if none runs");
  }

  void run(const Console& console) override {
    const std::string path = find_session();
    if (path.empty()) return;  // interrupted while it waited
    const auto state = value_or_throw(runtime::read_live_state(path));
    if (console.json) {
      Json document = console.document();
      document.update(live_json(state, monotonic_ns()));
      console.result(document, "");
    } else if (isatty(STDOUT_FILENO) != 0) {
      watch_on_screen(path, state);
    } else {
      watch_in_lines(path, state);
    }
  }

 private:
  [[nodiscard]] std::string find_session() const {
    const std::string folder = runtime::live_state_folder();
    if (!session_.empty()) {
      if (session_.find_first_not_of("0123456789") != std::string::npos) return session_;
      std::string path = folder + "/" + session_;
      if (!std::filesystem::exists(path)) {
        throw Error("process " + session_ + " publishes no state (there is no '" + path + "')");
      }
      return path;
    }
    while (!interrupted()) {
      const std::vector<std::string> states = runtime::find_live_states(folder);
      if (!states.empty()) return states.back();
      if (!wait_) {
        throw Error(
            "no session publishes its state; start 'strata qos ...' first, or wait for one with "
            "--wait");
      }
      wait_for_key(kScreenIntervalMs, false);
    }
    return "";
  }

  /// The next look; nothing if the session is over.
  [[nodiscard]] static std::optional<runtime::LiveSnapshot> look(const std::string& path) {
    auto state = runtime::read_live_state(path);
    if (!state.ok() && state.status().code() == StatusCode::kNotFound) return std::nullopt;
    return value_or_throw(std::move(state));
  }

  void watch_on_screen(const std::string& path, runtime::LiveSnapshot state) const {
    const FullScreen screen;
    const int interval = interval_ms_ > 0 ? interval_ms_ : kScreenIntervalMs;
    const bool keys = isatty(STDIN_FILENO) != 0;
    for (int64_t looks = 1; !interrupted(); ++looks) {
      if (const auto next = look(path)) {
        state = *next;
      } else {
        state.finished = 1;  // its last figures stay until the user has seen them
      }
      FullScreen::show(live_screen(state, state.finished != 0 ? state.updated_ns : monotonic_ns(),
                                   FullScreen::size()));
      if (looks == count_) break;
      if (wait_for_key(interval, keys) == 'q') break;
    }
  }

  void watch_in_lines(const std::string& path, runtime::LiveSnapshot state) const {
    const int interval = interval_ms_ > 0 ? interval_ms_ : kLineIntervalMs;
    for (int64_t looks = 1; !interrupted(); ++looks) {
      std::cout << live_line(state, monotonic_ns()) << std::endl;
      if (!std::cout) throw Error("the result could not be written to standard output");
      if (looks == count_) break;
      wait_for_key(interval, false);
      const auto next = look(path);
      if (!next) break;
      state = *next;
    }
  }

  std::string session_;
  int interval_ms_ = 0;
  int64_t count_ = 0;
  bool wait_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_top_verb() { return std::make_unique<TopVerb>(); }

}  // namespace strata::cli
