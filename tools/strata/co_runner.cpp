#include "tools/strata/co_runner.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train/error.h"

namespace strata::cli {
namespace {

/// stress-ng starts its workers one after the other.
constexpr std::chrono::milliseconds kStartTime{400};
constexpr size_t kCacheBytes = size_t{8} << 20U;     // larger than any second-level cache
constexpr size_t kMemoryBytes = size_t{256} << 20U;  // larger than most last-level caches
constexpr size_t kLine = 64;

/// The first program of that name on the search path; empty if there is none.
std::string find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

/// "stress-ng, version 0.15.06"
std::string version_of(const std::string& program) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(
      popen(("'" + program + "' --version 2>/dev/null").c_str(), "r"), pclose);
  std::array<char, 128> line{};
  if (pipe == nullptr || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) {
    return "stress-ng";
  }
  const std::string text = line.data();
  return text.substr(0, text.find_first_of("(\n")).substr(0, text.find_last_not_of(" (\n") + 1);
}

/// In the child: its own group, dies with us, and is not disturbed by what our user types.
void detach(pid_t group, pid_t parent) {
  setpgid(0, group);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_FAILURE);  // the parent ended before prctl
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

/// Computes in registers for ever.
[[noreturn]] void spin() {
  std::atomic<uint64_t> sink{1};  // so that the loop is not optimised away
  while (true) {
    uint64_t x = sink.load(std::memory_order_relaxed);
    for (int i = 0; i < 1000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
    sink.store(x, std::memory_order_relaxed);
  }
}

/// Reads and writes every cache line of `bytes` of memory for ever.
[[noreturn]] void stream(size_t bytes) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) _exit(EXIT_FAILURE);
  auto* memory = static_cast<volatile uint8_t*>(mapped);
  while (true) {
    for (size_t i = 0; i < bytes; i += kLine) memory[i] = static_cast<uint8_t>(memory[i] + 1);
  }
}

std::vector<std::string> stress_ng_words(const CoRunnerOptions& options) {
  const std::string workers = std::to_string(options.workers);
  switch (options.kind) {
    case CoRunnerKind::kCpu:
      return {"--cpu", workers, "--cpu-method", "int64"};
    case CoRunnerKind::kCache:
      return {"--cache", workers};
    case CoRunnerKind::kMemory:
      return {"--stream", workers};
    case CoRunnerKind::kNone:
    case CoRunnerKind::kQuota:
      break;
  }
  return {};
}

}  // namespace

const char* to_string(CoRunnerKind kind) {
  switch (kind) {
    case CoRunnerKind::kNone:
      return "none";
    case CoRunnerKind::kCpu:
      return "cpu";
    case CoRunnerKind::kCache:
      return "cache";
    case CoRunnerKind::kMemory:
      return "memory";
    case CoRunnerKind::kQuota:
      return "quota";
  }
  return "none";
}

CoRunner::CoRunner(const CoRunnerOptions& options) {
  if (options.kind == CoRunnerKind::kNone) return;
  if (options.kind == CoRunnerKind::kQuota) {
    quota_ = std::make_unique<CpuQuota>(options.quota_cores);
    description_ = quota_->description();
    return;
  }
  try {
    if (options.built_in) {
      start_built_in(options);
    } else {
      start_stress_ng(options);
    }
    std::this_thread::sleep_for(kStartTime);
    check();
    pause();
  } catch (...) {
    end();
    throw;
  }
}

CoRunner::~CoRunner() { end(); }

void CoRunner::start_stress_ng(const CoRunnerOptions& options) {
  const std::string program = find_program("stress-ng");
  if (program.empty()) {
    throw Error(std::string("stress-ng is not installed, and --co-runner ") +
                to_string(options.kind) +
                " needs it; install Debian's package stress-ng, or use --built-in-co-runner");
  }
  std::vector<std::string> words = {program, "--quiet", "--temp-path", "/tmp"};
  std::string shown;
  for (std::string& word : stress_ng_words(options)) {
    shown += ' ' + word;
    words.push_back(std::move(word));
  }
  description_ = version_of(program) + ":" + shown;

  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw Error("stress-ng could not be started: no more processes are allowed");
  if (child == 0) {
    detach(0, parent);
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      dup2(nowhere, descriptor);
    }
    execv(arguments[0], arguments.data());
    _exit(EXIT_FAILURE);
  }
  setpgid(child, child);  // as the child does: whoever comes first
  group_ = child;
  children_.push_back(child);
}

void CoRunner::start_built_in(const CoRunnerOptions& options) {
  description_ = std::string("built-in loops (no stress-ng), ") + to_string(options.kind) + ", " +
                 std::to_string(options.workers) +
                 (options.workers == 1 ? " process" : " processes");
  const pid_t parent = getpid();
  for (int worker = 0; worker < options.workers; ++worker) {
    const pid_t child = fork();
    if (child < 0) throw Error("the co-runner could not be started: no more processes are allowed");
    if (child == 0) {
      detach(group_, parent);
      if (options.kind == CoRunnerKind::kCpu) spin();
      stream(options.kind == CoRunnerKind::kCache ? kCacheBytes : kMemoryBytes);
    }
    setpgid(child, group_ == 0 ? child : group_);
    if (group_ == 0) group_ = child;
    children_.push_back(child);
  }
}

void CoRunner::pause() {
  if (quota_) quota_->pause();
  if (group_ != 0) kill(-group_, SIGSTOP);
}

void CoRunner::go_on() {
  if (quota_) quota_->go_on();
  if (group_ != 0) kill(-group_, SIGCONT);
}

void CoRunner::check() {
  for (const pid_t child : children_) {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid != 0) {
      throw Error("the co-runner (" + description_ +
                  ") ended by itself; nothing loads the machine");
    }
  }
}

void CoRunner::end() {
  if (group_ == 0) return;
  // Killed while stopped is fine: SIGKILL does not wait for SIGCONT.
  kill(-group_, SIGKILL);
  for (const pid_t child : children_) {
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  children_.clear();
  group_ = 0;
}

}  // namespace strata::cli
