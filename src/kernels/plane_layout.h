// How the channels of an activation lie in memory: one plane per channel, its rows one after the
// other at a common pitch, with zeros around, so that a tap of a convolution is one constant
// offset.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace strata::kernels {

/// Pixels per vector block: one cache line of floats, whatever the target's vectors hold. Kernels
/// write whole blocks, so planes have room for them.
inline constexpr int64_t kPixelBlock = 16;

constexpr int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Counts are floats. Columns width..pitch-1 are gaps. `head` floats before the first row and what
/// follows the last block of rows up to the next plane are zero whenever a step has written the
/// tensor; so are the gaps if a step reads them as padding.
struct PlaneLayout {
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t pitch = 0;         ///< from row to row, >= width
  int64_t head = 0;          ///< zeros before the first row
  int64_t plane_stride = 0;  ///< from channel to channel
  int64_t image_stride = 0;  ///< from image to image
  bool operator==(const PlaneLayout&) const = default;

  /// Of pixel (0, 0).
  [[nodiscard]] int64_t plane(int64_t image, int64_t channel) const {
    return image * image_stride + channel * plane_stride + head;
  }
  /// Blocks that cover the rows of one plane.
  [[nodiscard]] int64_t blocks() const {
    return round_up(height * pitch, kPixelBlock) / kPixelBlock;
  }
  /// Row-major without any gap, as callers pass data.
  [[nodiscard]] bool compact() const {
    return pitch == width && head == 0 && plane_stride == height * width &&
           image_stride == channels * plane_stride;
  }
};

inline PlaneLayout compact_layout(int64_t batch, int64_t channels, int64_t height, int64_t width) {
  return {batch, channels, height, width, width, 0, height * width, channels * height * width};
}

/// Zeroes the head of one plane and what follows float `written` of its rows.
inline void clear_ends(const PlaneLayout& layout, float* plane, int64_t written) {
  if (layout.head > 0)
    std::memset(plane - layout.head, 0, sizeof(float) * static_cast<size_t>(layout.head));
  const int64_t tail = layout.plane_stride - layout.head - written;
  if (tail > 0) std::memset(plane + written, 0, sizeof(float) * static_cast<size_t>(tail));
}

/// Zeroes everything of one plane but its pixels.
inline void clear_margins(const PlaneLayout& layout, float* plane) {
  const int64_t gap = layout.pitch - layout.width;
  for (int64_t y = 0; gap > 0 && y < layout.height; ++y) {
    std::fill_n(plane + y * layout.pitch + layout.width, gap, 0.0F);
  }
  clear_ends(layout, plane, layout.height * layout.pitch);
}

}  // namespace strata::kernels
