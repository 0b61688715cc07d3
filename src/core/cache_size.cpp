// See cache_size.h. What Linux says of the first processor; sysconf() counts the last level several
// times on some.
#include "core/cache_size.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace strata {
namespace {

constexpr int64_t kKibibyte = 1024;

struct CacheSizes {
  int64_t first = 48 * kKibibyte;
  int64_t last = 8 * kKibibyte * kKibibyte;
};

CacheSizes read_sizes() {
  CacheSizes sizes;
  int last_level = 0;
  for (int index = 0;; ++index) {
    const std::string folder =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    int level = 0;
    std::string type;
    int64_t kibibytes = 0;
    if (!(std::ifstream(folder + "level") >> level)) return sizes;
    if (!(std::ifstream(folder + "type") >> type)) return sizes;
    if (!(std::ifstream(folder + "size") >> kibibytes) || kibibytes <= 0) return sizes;
    if (type == "Instruction") continue;
    if (level == 1) sizes.first = std::clamp<int64_t>(kibibytes, 32, 64) * kKibibyte;
    if (level > last_level) sizes.last = kibibytes * kKibibyte;
    last_level = std::max(last_level, level);
  }
}

const CacheSizes& sizes() {
  static const CacheSizes known = read_sizes();
  return known;
}

}  // namespace

int64_t first_level_cache_bytes() { return sizes().first; }

int64_t last_level_cache_bytes() { return sizes().last; }

}  // namespace strata
