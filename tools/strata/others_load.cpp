#include "tools/strata/others_load.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <unistd.h>

#include "core/clock.h"

namespace strata::cli {
namespace {

/// What the system itself does now and then is no reason to measure again.
constexpr double kNegligibleCores = 0.25;

std::optional<double> machine_busy_seconds() {
  std::ifstream file("/proc/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return busy_seconds(text, static_cast<double>(sysconf(_SC_CLK_TCK)));
}

double own_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

std::optional<double> busy_seconds(std::string_view proc_stat, double ticks_per_second) {
  std::istringstream line{std::string(proc_stat.substr(0, proc_stat.find('\n')))};
  std::string name;
  // user, nice, system, idle, iowait, irq, softirq, steal; guest time is part of user time.
  std::array<double, 8> ticks{};
  line >> name;
  for (double& count : ticks) line >> count;
  if (!line || name != "cpu") return std::nullopt;
  const auto [user, nice, system, idle, iowait, irq, softirq, steal] = ticks;
  return (user + nice + system + irq + softirq + steal) / ticks_per_second;
}

bool had_room(double others_cores, int threads, int cores) {
  return others_cores <= cores - std::min(threads, cores) + kNegligibleCores;
}

OthersLoad::OthersLoad()
    : busy_before_(machine_busy_seconds()), own_before_(own_seconds()), begin_ns_(monotonic_ns()) {}

std::optional<double> OthersLoad::cores() const {
  const std::optional<double> busy = machine_busy_seconds();
  const double elapsed = static_cast<double>(monotonic_ns() - begin_ns_) * 1e-9;
  if (!busy || !busy_before_ || elapsed <= 0) return std::nullopt;
  const double others = (*busy - *busy_before_) - (own_seconds() - own_before_);
  return std::max(0.0, others / elapsed);
}

}  // namespace strata::cli
