// The handler only sets a flag, as little as async-signal-safety allows.
#include "train/torch/interruption.h"

#include <atomic>

namespace strata::train {
namespace {

std::atomic<bool> interrupted = false;  // NOLINT: a signal handler can reach nothing but globals
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void strata_on_interruption(int) { interrupted = true; }

}  // namespace

InterruptionGuard::InterruptionGuard() {
  interrupted = false;
  struct sigaction action = {};
  action.sa_handler = strata_on_interruption;
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &interrupt_);
  sigaction(SIGTERM, &action, &terminate_);
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &ignore, &file_size_);
}

InterruptionGuard::~InterruptionGuard() {
  sigaction(SIGINT, &interrupt_, nullptr);
  sigaction(SIGTERM, &terminate_, nullptr);
  sigaction(SIGXFSZ, &file_size_, nullptr);
}

bool InterruptionGuard::requested() const { return interrupted; }

}  // namespace strata::train
