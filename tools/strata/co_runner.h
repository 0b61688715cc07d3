// Real interference: other processes that load the processor, its caches or the memory while a
// network runs, or a limit on its own processor time. It can be paused and go on, and never
// outlives this program.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tools/strata/cpu_quota.h"

namespace strata::cli {

enum class CoRunnerKind : uint8_t {
  kNone,    ///< nothing runs beside the network
  kCpu,     ///< computes in registers: competes for processor time alone
  kCache,   ///< also throws what others need out of the shared caches
  kMemory,  ///< also uses the memory bandwidth up
  kQuota,   ///< no other process: this one may use so much processor time only
};

/// "none", "cpu", "cache", "memory", "quota".
[[nodiscard]] const char* to_string(CoRunnerKind kind);

struct CoRunnerOptions {
  CoRunnerKind kind = CoRunnerKind::kNone;
  int workers = 1;         ///< processes
  double quota_cores = 1;  ///< of kQuota: processor seconds per second
  bool built_in = false;   ///< our own loops instead of stress-ng
};

/// A group of processes, paused when made. Make it and let it go on the thread that lives longest:
/// the kernel ends the processes when the thread that started them ends.
class CoRunner {
 public:
  /// Throws Error: stress-ng is not installed, or ends at once; no control group can be made.
  explicit CoRunner(const CoRunnerOptions& options);
  ~CoRunner();
  CoRunner(const CoRunner&) = delete;
  CoRunner& operator=(const CoRunner&) = delete;

  /// Any thread may call these; both are idempotent.
  void pause();
  void go_on();

  /// Throws Error if the processes have ended by themselves: what was measured since is worthless.
  void check();

  /// What gets in the way, for people: "stress-ng, version 0.15.06: --stream 2", "none".
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  void start_stress_ng(const CoRunnerOptions& options);
  void start_built_in(const CoRunnerOptions& options);
  void end();

  std::string description_ = "none";
  pid_t group_ = 0;              ///< 0: nothing runs
  std::vector<pid_t> children_;  ///< direct ones, to be waited for
  std::unique_ptr<CpuQuota> quota_;
};

}  // namespace strata::cli
