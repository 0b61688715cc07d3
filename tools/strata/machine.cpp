#include "tools/strata/machine.h"

#include <algorithm>
#include <cstdlib>

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/cpu_name.h"
#include "strata_version.h"

namespace strata::cli {

int available_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return CPU_COUNT(&cores);
}

int online_cores() { return static_cast<int>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))); }

Json machine_json() {
  utsname system{};
  std::string os = "unknown system";
  if (uname(&system) == 0) {
    os = std::string(system.sysname) + " " + system.release + " " + system.machine;
  }
  double load = 0;
  if (getloadavg(&load, 1) != 1) load = 0;
  return {{"cpu", cpu_name()}, {"cores", available_cores()}, {"os", os}, {"load", load}};
}

Json build_json() {
  Json build = {{"strata", kVersion}, {"type", kBuildType}, {"compiler", kCompiler}};
#ifdef STRATA_TORCH_VERSION
  build["libtorch"] = STRATA_TORCH_VERSION;
#else
  build["libtorch"] = nullptr;
#endif
  return build;
}

std::vector<int> thread_counts(std::vector<int> named, int most) {
  if (named.empty()) named = {std::min(available_cores(), most)};
  std::sort(named.begin(), named.end());
  named.erase(std::unique(named.begin(), named.end()), named.end());
  return named;
}

std::string threads_text(int threads) {
  return std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

}  // namespace strata::cli
