// Turns SIGINT and SIGTERM into a question that a loop can ask between two steps. Also ignores
// SIGXFSZ, so that a file size limit is an error of the write and not the end of the process.
#pragma once

#include <csignal>

namespace strata::train {

/// While one lives (one at a time), the signals are taken over; the earlier handlers come back at
/// the end. A second SIGINT has the earlier effect, which is usually to end the process.
class InterruptionGuard {
 public:
  InterruptionGuard();
  ~InterruptionGuard();
  InterruptionGuard(const InterruptionGuard&) = delete;
  InterruptionGuard& operator=(const InterruptionGuard&) = delete;

  [[nodiscard]] bool requested() const;

 private:
  struct sigaction interrupt_ = {}, terminate_ = {}, file_size_ = {};
};

}  // namespace strata::train
