// Checks the attributes of sliding windows and counts their positions. Every value is limited to
// kMaxDimension, so that no sum or product below can overflow.
#include "graph/window.h"

#include <string>
#include <utility>

#include "graph/operators.h"

namespace strata::graph {
namespace {

Status check_values(const std::string& what, const std::vector<int64_t>& values, size_t count,
                    int64_t least) {
  if (values.size() != count) {
    return invalid_argument("attribute '" + what + "' has " + std::to_string(values.size()) +
                            " values, expected " + std::to_string(count));
  }
  for (const int64_t value : values) {
    if (value < least || value > kMaxDimension) {
      return invalid_argument("attribute '" + what + "' holds " + std::to_string(value) +
                              ", allowed are " + std::to_string(least) + " to " +
                              std::to_string(kMaxDimension));
    }
  }
  return {};
}

}  // namespace

Result<Window> read_window(const Node& node, std::vector<int64_t> kernel) {
  const size_t axes = kernel.size();
  const std::string auto_pad = node.attribute_string("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET") {
    return unsupported("auto_pad '" + auto_pad + "' is not supported; give explicit pads");
  }
  Window window;
  window.kernel = std::move(kernel);
  window.strides = node.attribute_ints("strides", std::vector<int64_t>(axes, 1));
  window.dilations = node.attribute_ints("dilations", std::vector<int64_t>(axes, 1));
  window.ceil_mode = node.attribute_int("ceil_mode", 0) != 0;
  const std::vector<int64_t> pads = node.attribute_ints("pads", std::vector<int64_t>(axes * 2, 0));
  STRATA_RETURN_IF_ERROR(check_values("kernel_shape", window.kernel, axes, 1));
  STRATA_RETURN_IF_ERROR(check_values("strides", window.strides, axes, 1));
  STRATA_RETURN_IF_ERROR(check_values("dilations", window.dilations, axes, 1));
  STRATA_RETURN_IF_ERROR(check_values("pads", pads, axes * 2, 0));
  const auto middle = pads.begin() + static_cast<std::ptrdiff_t>(axes);
  window.pads_begin.assign(pads.begin(), middle);
  window.pads_end.assign(middle, pads.end());
  return window;
}

Result<int64_t> window_positions(const Window& window, size_t axis, int64_t size) {
  const int64_t extent = (window.kernel[axis] - 1) * window.dilations[axis] + 1;
  const int64_t padded = size + window.pads_begin[axis] + window.pads_end[axis];
  if (size < 1 || extent > padded) {
    return invalid_argument("spatial axis " + std::to_string(axis) + " has size " +
                            std::to_string(size) + ", " + std::to_string(padded) +
                            " with padding, too small for a window of " + std::to_string(extent));
  }
  const int64_t stride = window.strides[axis];
  const int64_t room = padded - extent;
  int64_t last = room / stride;
  const bool part_left = room % stride != 0;
  if (window.ceil_mode && part_left && (last + 1) * stride < size + window.pads_begin[axis]) ++last;
  return last + 1;
}

}  // namespace strata::graph
