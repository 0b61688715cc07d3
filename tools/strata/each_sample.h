// One piece of work per sample, on several threads, that stops at the first failure.
#pragma once

#include <cstddef>
#include <functional>

#include "train/progress.h"

namespace strata::cli {

/// work(sample, worker) for samples 0..count-1 in any order, worker 0 being the calling thread;
/// `progress` advances by one for each. What the first piece of work that fails throws ends the
/// others and is thrown here; Interrupted once the user has asked to stop.
void for_each_sample(size_t count, size_t workers, Progress& progress,
                     const std::function<void(size_t sample, size_t worker)>& work);

}  // namespace strata::cli
