// Interference without another program: a limit on the processor time of this process, as
// containers have it, that can be lifted and set again while a network runs.
#pragma once

#include <string>

namespace strata::cli {

/// A control group (cgroup, version 1 or 2) of its own for this process. Lifted when made. Any
/// thread may call pause() and go_on(). The process goes back to where it was when the object ends.
class CpuQuota {
 public:
  /// At most `cores` seconds of processor time per second, over periods of 100 ms, which is what
  /// containers have by default. Throws Error: the system has no control groups for the processor,
  /// or does not let this user make one.
  explicit CpuQuota(double cores);
  ~CpuQuota();
  CpuQuota(const CpuQuota&) = delete;
  CpuQuota& operator=(const CpuQuota&) = delete;

  void pause();  ///< lifts the limit
  void go_on();  ///< sets it

  /// "at most 0.5 cores (cgroup v1)"
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  void limit(bool on) const;

  double cores_;
  std::string home_;    ///< the group that the process came from
  std::string folder_;  ///< its own
  bool second_version_ = false;
  std::string description_;
};

}  // namespace strata::cli
