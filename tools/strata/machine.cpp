#include "tools/strata/machine.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "strata_version.h"

namespace strata::cli {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(':');
    if (colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
  }
  return "unknown processor";
}

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
  return {{"cpu", cpu_model()}, {"cores", available_cores()}, {"os", os}, {"load", load}};
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

}  // namespace strata::cli
