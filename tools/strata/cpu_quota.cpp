#include "tools/strata/cpu_quota.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include "tools/strata/console.h"
#include "train/error.h"

namespace strata::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kPeriodUs = 100'000;
constexpr mode_t kFolderMode = 0755;

/// Where the process stands in a hierarchy of control groups.
struct Place {
  std::string mount;
  std::string group;  ///< "/", "/user.slice/..."
};

/// The hierarchy of that type ("cgroup", "cgroup2") and, for the first version, controller.
std::optional<std::string> mount_of(const std::string& type, const std::string& controller) {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, folder, kind, options;
    words >> device >> folder >> kind >> options;
    if (kind != type) continue;
    if (controller.empty() ||
        ("," + options + ",").find("," + controller + ",") != std::string::npos) {
      return folder;
    }
  }
  return std::nullopt;
}

/// The group of this process, from lines "ID:CONTROLLERS:GROUP"; the second version has no
/// controllers in it.
std::optional<std::string> group_of(const std::string& controller) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool same = controller.empty() ? controllers.empty()
                                         : ("," + controllers + ",").find("," + controller + ",") !=
                                               std::string::npos;
    if (same) return line.substr(second + 1);
  }
  return std::nullopt;
}

/// False, with errno, if the file does not take it.
bool write_line(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << '\n' << std::flush;
  return file.good();
}

std::string joined(const std::string& mount, const std::string& group) {
  return group == "/" ? mount : mount + group;
}

}  // namespace

CpuQuota::CpuQuota(double cores) : cores_(cores) {
  const std::string name = "/strata-" + std::to_string(getpid());
  if (const auto mount = mount_of("cgroup", "cpu"), group = group_of("cpu"); mount && group) {
    home_ = joined(*mount, *group);
    folder_ = home_ + name;
  } else if (const auto unified = mount_of("cgroup2", ""), own = group_of(""); unified && own) {
    // A group with processes cannot have limited children, so the new one stands beside ours.
    second_version_ = true;
    home_ = joined(*unified, *own);
    folder_ = (*own == "/" ? home_ : fs::path(home_).parent_path().string()) + name;
  } else {
    throw Error(
        "a quota needs control groups (cgroup) for the processor, and this system has none");
  }
  const std::string limit_file = folder_ + (second_version_ ? "/cpu.max" : "/cpu.cfs_quota_us");
  std::string cause;
  if (mkdir(folder_.c_str(), kFolderMode) != 0 && errno != EEXIST) {
    cause = std::strerror(errno);
  } else if (!fs::exists(limit_file)) {
    cause = "it has no file " + fs::path(limit_file).filename().string();
  } else if (!write_line(folder_ + "/cgroup.procs", std::to_string(getpid()))) {
    cause = "this process cannot be moved into it";
  }
  if (!cause.empty()) {
    rmdir(folder_.c_str());
    throw Error("cannot use the control group '" + folder_ + "': " + cause +
                "; run as root where that is allowed, or load the machine by another --co-runner");
  }
  std::ostringstream text;
  text << "at most " << cores_ << (cores_ == 1 ? " core" : " cores") << " (cgroup v"
       << (second_version_ ? 2 : 1) << ")";
  description_ = text.str();
}

CpuQuota::~CpuQuota() {
  limit(false);
  write_line(home_ + "/cgroup.procs", std::to_string(getpid()));
  rmdir(folder_.c_str());
}

void CpuQuota::limit(bool on) const {
  const std::string quota = std::to_string(std::lround(cores_ * kPeriodUs));
  const std::string period = std::to_string(kPeriodUs);
  if (second_version_) {
    write_line(folder_ + "/cpu.max", (on ? quota : "max") + " " + period);
  } else {
    write_line(folder_ + "/cpu.cfs_period_us", period);
    write_line(folder_ + "/cpu.cfs_quota_us", on ? quota : "-1");
  }
}

void CpuQuota::pause() { limit(false); }
void CpuQuota::go_on() { limit(true); }

}  // namespace strata::cli
