#include "core/cpu_name.h"

#include <fstream>

namespace strata {
namespace {

/// The text after the colon of a line of /proc/cpuinfo.
std::string value_of(const std::string& line) {
  const size_t colon = line.find(':');
  return colon == std::string::npos || colon + 2 > line.size() ? "" : line.substr(colon + 2);
}

}  // namespace

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  std::string implementer;
  std::string part;
  while (std::getline(info, line)) {
    if (line.starts_with("model name") && !value_of(line).empty()) return value_of(line);
    if (line.starts_with("CPU implementer")) implementer = value_of(line);
    if (line.starts_with("CPU part")) part = value_of(line);
  }
  if (implementer.empty() && part.empty()) return "unknown processor";
  return "implementer " + implementer + " part " + part;
}

}  // namespace strata
