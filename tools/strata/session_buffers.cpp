#include "tools/strata/session_buffers.h"

#include <utility>

#include "train/error.h"

namespace strata::cli {
namespace {

size_t elements_of(const graph::ValueInfo& value) {
  size_t elements = 1;
  for (const graph::Dim& dim : value.shape) elements *= static_cast<size_t>(dim.value());
  return elements;
}

}  // namespace

SessionBuffers::SessionBuffers(std::unique_ptr<runtime::Session> session)
    : session_(std::move(session)) {
  for (const graph::ValueInfo& input : session_->inputs()) {
    const size_t elements = elements_of(input);
    inputs_.emplace_back(elements * graph::element_size(input.type));
    input_views_.emplace_back(inputs_.back().data(), elements, input.type);
  }
  for (const graph::ValueInfo& output : session_->outputs()) {
    const size_t elements = elements_of(output);
    outputs_.emplace_back(elements * graph::element_size(output.type));
    output_views_.emplace_back(outputs_.back().data(), elements, output.type);
  }
}

std::span<const float> SessionBuffers::output(size_t index) const {
  const runtime::OutputView& view = output_views_[index];
  if (view.type != graph::DataType::kFloat32) return {};
  return {static_cast<const float*>(view.data), view.elements};
}

void SessionBuffers::run(int level) {
  throw_if_error(session_->run(input_views_, output_views_, level));
}

void SessionBuffers::run_route(std::span<const uint8_t> levels) {
  throw_if_error(session_->run_route(input_views_, output_views_, levels));
}

std::vector<int64_t> SessionBuffers::run_timed(int level) {
  const size_t steps = session_->steps().size();
  const std::vector<uint8_t> route(steps, static_cast<uint8_t>(level));
  std::vector<int64_t> times(steps);
  throw_if_error(session_->run_timed(input_views_, output_views_, route, times));
  return times;
}

}  // namespace strata::cli
