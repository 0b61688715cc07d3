// The sliding window of a convolution or a pooling.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace strata::kernels {

/// Sliding window over rows and columns, [0] vertical and [1] horizontal.
struct Window {
  std::array<int64_t, 2> kernel = {1, 1};
  std::array<int64_t, 2> stride = {1, 1};
  std::array<int64_t, 2> dilation = {1, 1};
  std::array<int64_t, 2> pad_begin = {0, 0};
  std::array<int64_t, 2> pad_end = {0, 0};
  bool operator==(const Window&) const = default;
};

/// What part of an axis one window sees: pixels [begin, end) and `padded` positions in all, those
/// of the padding included.
struct WindowSpan {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t padded = 0;
};

inline WindowSpan window_span(const Window& window, size_t axis, int64_t size, int64_t position) {
  const int64_t first = position * window.stride[axis] - window.pad_begin[axis];
  const int64_t last = std::min(first + window.kernel[axis], size + window.pad_end[axis]);
  return {std::max<int64_t>(first, 0), std::min(last, size), last - first};
}

}  // namespace strata::kernels
