// How much of the machine other processes use while something is timed. The load average cannot
// tell: it looks back a minute, and counts what this user ran just before.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace strata::cli {

/// Seconds that the machine's cores were busy since it started, all cores together, time stolen by
/// a hypervisor included; from the text of /proc/stat (see proc(5)). Nothing if it says none.
std::optional<double> busy_seconds(std::string_view proc_stat, double ticks_per_second);

/// Whether `threads` threads had cores of their own on a machine with `cores` cores of which others
/// kept `others_cores` busy on average.
bool had_room(double others_cores, int threads, int cores);

/// Watches from its construction on.
class OthersLoad {
 public:
  OthersLoad();
  /// Cores that other processes kept busy on average until now; nothing where the operating system
  /// does not say.
  [[nodiscard]] std::optional<double> cores() const;

 private:
  std::optional<double> busy_before_;
  double own_before_ = 0;
  int64_t begin_ns_ = 0;
};

}  // namespace strata::cli
