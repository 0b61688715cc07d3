#include "tools/strata/libtorch_peer.h"

#include <algorithm>
#include <numeric>

#include "tools/strata/console.h"
#include "tools/strata/latency.h"
#include "train/torch/dense_runner.h"
#include "train/torch/tensor_threads.h"

namespace strata::cli {
namespace {

constexpr int64_t kTrialRuns = 7;

}  // namespace

LibtorchPeer::LibtorchPeer(const sparse::NestedModel& nested,
                           const runtime::SessionOptions& options, const runtime::Session& session,
                           std::span<const runtime::InputView> inputs)
    : options_(options) {
  const auto shape_of = [](const graph::ValueInfo& value) {
    std::vector<int64_t> shape;
    for (const graph::Dim& dim : value.shape) shape.push_back(dim.value());
    return shape;
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs_.push_back({inputs[i].data, inputs[i].type, shape_of(session.inputs()[i])});
  }
  size_t elements = 1;
  for (const int64_t size : shape_of(session.outputs().front())) {
    elements *= static_cast<size_t>(size);
  }
  output_.resize(elements);
  const int threads = options.threads;
  if (threads == 1) {
    use(nested, 1);
    return;
  }
  const auto trial = [&](int blas_threads) {
    use(nested, blas_threads);
    std::vector<Contender> alone;
    alone.push_back({"libtorch", [this] { run(); }, {}});
    TimingOptions timing;
    timing.runs = kTrialRuns;
    time_in_turns(alone, timing);
    return quantile(alone.front().ms, 0.5);
  };
  if (trial(1) < trial(threads)) use(nested, 1);
}

LibtorchPeer::~LibtorchPeer() = default;

void LibtorchPeer::use(const sparse::NestedModel& nested, int blas_threads) {
  stop_if_interrupted();
  const bool has_openblas = train::set_blas_threads(blas_threads);
  train::TorchModelOptions options;
  options.threads = options_.threads;
  options.graph = options_.graph;
  options.bindings = options_.bindings;
  model_ = std::make_unique<train::TorchModel>(nested, options);
  description_ = model_->description();
  if (has_openblas) {
    description_ += ", OpenBLAS on " + std::to_string(blas_threads) +
                    (blas_threads == 1 ? " thread" : " threads");
  }
}

void LibtorchPeer::run() {
  if (inputs_.size() > 1 || inputs_.front().type != graph::DataType::kFloat32) {
    model_->run(inputs_, output_);
    return;
  }
  // One float tensor: the memory layout that was found fastest is its caller's business.
  const train::TorchInput& input = inputs_.front();
  const size_t elements = std::accumulate(
      input.shape.begin(), input.shape.end(), size_t{1},
      [](size_t product, int64_t size) { return product * static_cast<size_t>(size); });
  model_->run(std::span(static_cast<const float*>(input.data), elements), input.shape.front(),
              output_);
}

}  // namespace strata::cli
