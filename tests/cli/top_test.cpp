// strata top on a terminal, in a pipe, and for scripts.
#include <algorithm>
#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/live_state.h"
#include "strata_process.h"

namespace strata::cli_test {
namespace {

class Top : public StrataTest {
 protected:
  void SetUp() override {
    auto writer = runtime::LiveStateWriter::create((folder() / "state").string());
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    writer_ = std::move(writer).value();
    runtime::LiveSnapshot state;
    state.process = getpid();
    state.level_count = 2;
    state.deadline_ms = 10;
    runtime::LiveSnapshot::assign(state.policy, "best-route");
    const std::array<runtime::StepRecord, 1> steps = {{{1, 0, 1e6}}};
    runtime::RunReport report;
    report.steps = steps;
    state.add(report, 7e6, false);
    writer_->publish(state);
  }

  /// Without pseudo-terminals, as in a container without /dev/pts, there is nothing to draw on.
  static bool has_terminals() {
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    const bool works = terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0 &&
                       access(ptsname(terminal), R_OK | W_OK) == 0;
    if (terminal >= 0) close(terminal);
    return works;
  }

  /// What a terminal of 100 x 40 gets to see; `keys` are typed once something is drawn.
  Outcome on_terminal(const std::vector<std::string>& arguments, const std::string& keys = "") {
    winsize window{};
    window.ws_col = 100;
    window.ws_row = 40;
    int terminal = -1;
    const pid_t child = forkpty(&terminal, nullptr, nullptr, &window);
    if (child == 0) {
      std::vector<std::string> words = {STRATA_BINARY, "top"};
      words.insert(words.end(), arguments.begin(), arguments.end());
      std::vector<char*> argv;
      argv.reserve(words.size() + 1);
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      if (chdir(folder().c_str()) != 0) _exit(126);
      execv(argv[0], argv.data());
      _exit(127);
    }
    Outcome outcome;
    bool typed = keys.empty();
    std::array<char, 4096> buffer{};
    for (ssize_t got = 0; (got = ::read(terminal, buffer.data(), buffer.size())) > 0;) {
      outcome.out.append(buffer.data(), static_cast<size_t>(got));
      if (!typed && outcome.out.find("quits") != std::string::npos) {
        typed = write(terminal, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size());
      }
    }
    int status = 0;
    waitpid(child, &status, 0);
    close(terminal);
    outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return outcome;
  }

  void end_session() { writer_.reset(); }

 private:
  std::unique_ptr<runtime::LiveStateWriter> writer_;
};

constexpr const char* kEnter = "\x1b[?1049h";
constexpr const char* kLeave = "\x1b[?1049l";
constexpr const char* kShowCursor = "\x1b[?25h";

void expect_restored(const Outcome& outcome) {
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_NE(outcome.out.find(kEnter), std::string::npos);
  EXPECT_NE(outcome.out.find("best-route"), std::string::npos);
  EXPECT_NE(outcome.out.find(kShowCursor), std::string::npos);
  EXPECT_GT(outcome.out.rfind(kLeave), outcome.out.rfind("best-route"));
}

TEST_F(Top, DrawsOnATerminalAndRestoresIt) {
  if (!has_terminals()) GTEST_SKIP() << "there are no pseudo-terminals here (/dev/pts)";
  expect_restored(on_terminal({"state", "--count", "2"}));
}

TEST_F(Top, CtrlCAndQRestoreTheTerminalToo) {
  if (!has_terminals()) GTEST_SKIP() << "there are no pseudo-terminals here (/dev/pts)";
  for (const std::string key : {"q", "\x03"}) {
    expect_restored(on_terminal({"state", "--count", "100000", "--interval", "10"}, key));
  }
}

TEST_F(Top, InAPipeItPrintsLines) {
  const Outcome outcome = strata({"top", "state", "--count", "2", "--interval", "10"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2);
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  EXPECT_NE(outcome.out.find("1 inference"), std::string::npos);
  EXPECT_NE(outcome.out.find("slack 3.00 ms"), std::string::npos);
}

TEST_F(Top, CtrlCInAPipeIsAQuietEnd) {
  RunOptions options;
  options.interrupt_after_ms = 50;
  const Outcome outcome = strata({"top", "state", "--interval", "10"}, options);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Top, JsonIsOneLook) {
  const nlohmann::json json = strata_json({"top", "state"});
  EXPECT_EQ(json["verb"], "top");
  EXPECT_EQ(json["policy"], "best-route");
  EXPECT_EQ(json["inferences"], 1);
  EXPECT_EQ(json["misses"], 0);
  EXPECT_DOUBLE_EQ(json["slack_ms"], 3);
  EXPECT_EQ(json["levels"][1]["time_share"], 1);
}

TEST_F(Top, SaysWhatIsMissing) {
  end_session();
  expect_error(strata({"top", "state"}), {"no live state", "state"});
  expect_error(strata({"top", "2147483646"}), {"2147483646", "no state"});
  write_text(folder() / "text", "hello");
  expect_error(strata({"top", "text"}), {"text", "no live state"});
  expect_error(strata({"top", "--interval", "1"}), {"--interval"}, 2);
}

}  // namespace
}  // namespace strata::cli_test
