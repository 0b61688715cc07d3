// Turns any 2-D convolution window (kernel, stride, dilation, padding) into taps with one constant
// offset each. For stride s the input is seen as s*s phase planes per channel, phase (i, j) holding
// the pixels (s*y + i, s*x + j); in its phase plane every tap is a plain shift.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/plane_layout.h"
#include "kernels/window.h"

namespace strata::kernels {

/// Where the taps of one kernel row (or column) read.
struct AxisTaps {
  std::vector<int64_t> phases;  ///< in use, ascending
  std::vector<int64_t> phase;   ///< [kernel index]: index into phases
  std::vector<int64_t> shift;   ///< [kernel index]: position in the phase plane minus output's
  int64_t size = 0;             ///< of the phase planes
  int64_t output = 0;           ///< output positions
  int64_t min_shift = 0;        ///< over the kernel, at most 0
  int64_t max_shift = 0;        ///< at least 0

  /// Whether the kernel row or column `index` sees a pixel from any output position.
  [[nodiscard]] bool sees_pixels(int64_t index) const {
    const int64_t first = shift[static_cast<size_t>(index)];
    return first < size && first + output > 0;
  }
};

class ConvGeometry {
 public:
  /// Precondition: sizes, strides and dilations at least 1, padding at least 0, output sizes as
  /// ONNX defines them.
  ConvGeometry(const Window& window, int64_t height, int64_t width, int64_t output_height,
               int64_t output_width);

  /// True if the taps can read the input's own planes: stride 1.
  [[nodiscard]] bool direct() const { return direct_; }
  /// Phase planes per input channel.
  [[nodiscard]] int64_t phases() const {
    return static_cast<int64_t>(rows_.phases.size() * columns_.phases.size());
  }
  [[nodiscard]] const AxisTaps& rows() const { return rows_; }
  [[nodiscard]] const AxisTaps& columns() const { return columns_; }

  /// Least pitch, common to (phase) planes and output, at which taps that leave a row find zeros.
  [[nodiscard]] int64_t min_pitch() const;
  /// Layout of the phase planes of one image after the other; channel c, phase i is plane
  /// c * phases() + i. `head` and `reach` as for lay_out_planes().
  [[nodiscard]] PlaneLayout phase_layout(int64_t batch, int64_t channels, int64_t pitch,
                                         int64_t head, int64_t reach) const;
  /// What a tap reads for output pixel 0: a phase plane of its channel, and floats from that
  /// plane's first pixel on.
  struct Source {
    int64_t phase = 0;
    int64_t offset = 0;
  };
  [[nodiscard]] Source source(int64_t pitch, int64_t kernel_row, int64_t kernel_column) const;

 private:
  AxisTaps rows_;
  AxisTaps columns_;
  bool direct_ = false;
};

/// Gives `layout`, whose sizes and pitch are set, head, strides and room for whole blocks: `head`
/// zeros before each plane, and `reach` readable floats from its first pixel on.
void lay_out_planes(PlaneLayout& layout, int64_t head, int64_t reach);

}  // namespace strata::kernels
