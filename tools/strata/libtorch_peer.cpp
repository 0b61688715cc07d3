#include "tools/strata/libtorch_peer.h"

#include <algorithm>

#include <dlfcn.h>

#include "tools/strata/console.h"
#include "tools/strata/latency.h"
#include "train/torch/dense_runner.h"

namespace strata::cli {
namespace {

constexpr int64_t kTrialRuns = 7;

/// False if libtorch does not use OpenBLAS here.
bool set_blas_threads(int threads) {
  using SetThreads = void (*)(int);
  const auto set_threads =
      reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set_threads == nullptr) return false;
  set_threads(threads);
  return true;
}

}  // namespace

LibtorchPeer::LibtorchPeer(const sparse::NestedModel& nested, int threads,
                           std::span<const float> input, size_t output_size)
    : input_(input), output_(output_size) {
  if (threads == 1) {
    use(nested, threads, 1);
    return;
  }
  const auto trial = [&](int blas_threads) {
    use(nested, threads, blas_threads);
    std::vector<Contender> alone;
    alone.push_back({"libtorch", [this] { run(); }, {}});
    TimingOptions timing;
    timing.runs = kTrialRuns;
    time_in_turns(alone, timing);
    return quantile(alone.front().ms, 0.5);
  };
  if (trial(1) < trial(threads)) use(nested, threads, 1);
}

LibtorchPeer::~LibtorchPeer() = default;

void LibtorchPeer::use(const sparse::NestedModel& nested, int threads, int blas_threads) {
  stop_if_interrupted();
  const bool has_openblas = set_blas_threads(blas_threads);
  train::TorchModelOptions options;
  options.threads = threads;
  model_ = std::make_unique<train::TorchModel>(nested, options);
  description_ = model_->description();
  if (has_openblas) {
    description_ += ", OpenBLAS on " + std::to_string(blas_threads) +
                    (blas_threads == 1 ? " thread" : " threads");
  }
}

void LibtorchPeer::run() { model_->run(input_, 1, output_); }

}  // namespace strata::cli
