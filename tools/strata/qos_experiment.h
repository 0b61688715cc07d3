// The live experiment: requests arrive whether or not the one before is answered, a co-runner comes
// and goes, and every policy takes its turn on the same plan, block by block.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tools/strata/co_runner.h"
#include "tools/strata/qos_recording.h"
#include "tools/strata/qos_service.h"

namespace strata::cli {

struct ExperimentOptions {
  double warm_up_seconds = 2;  ///< of each policy, recorded but not counted
  double seconds = 10;         ///< of each policy
  double block_seconds = 2;    ///< of a turn
  bool give_up = false;        ///< policies may give up what would be late
  bool publish = true;         ///< for strata top
  /// Called after every turn; seconds of the plan done, all policies together.
  std::function<void(double done, double total)> progress;
};

/// Runs recording.policies, each on a service of its own, and fills `loaded`, `inferences`,
/// `levels` and `step_ns`; everything else of `recording` is given. services[i] serves policy i.
/// When the user interrupts, it ends early and returns false; what was recorded until then is
/// whole. Throws Error.
///
/// Within a block all policies see the same arrivals and the same bursts; from block to block their
/// order rotates, so that what drifts slowly hits all alike. A turn ends when its last request is
/// answered; when that takes twice the block's length, what still waits is dropped, as missed.
bool run_experiment(QosRecording& recording,
                    const std::vector<std::unique_ptr<QosService>>& services, CoRunner& co_runner,
                    const ExperimentOptions& options);

}  // namespace strata::cli
