// Sliding windows of convolution and pooling: their attributes, checked, and how many positions
// fit along one axis.
#pragma once

#include <cstdint>
#include <vector>

#include "core/status.h"
#include "graph/graph.h"

namespace strata::graph {

/// Attributes of a node that slides a window, one entry per spatial axis.
struct Window {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads_begin;
  std::vector<int64_t> pads_end;
  bool ceil_mode = false;
};

/// Reads strides, dilations, pads, auto_pad and ceil_mode of `node`, with ONNX's defaults.
/// Errors: a count that is not that of the axes, a value out of range, automatic padding.
Result<Window> read_window(const Node& node, std::vector<int64_t> kernel);

/// Number of window positions along `axis` of an input of `size` elements. With ceil_mode the last
/// window may reach beyond the padding, but must start inside the input or the padding before it.
/// Errors: a window larger than the padded input.
Result<int64_t> window_positions(const Window& window, size_t axis, int64_t size);

}  // namespace strata::graph
