// See geometry.h. Zeros left and right of a row are shared: the gap after row y serves as the
// padding before row y+1.
#include "kernels/sparse_conv/geometry.h"

#include <algorithm>
#include <cstddef>

namespace strata::kernels {
namespace {

int64_t floor_divide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

AxisTaps make_axis(const Window& window, size_t axis, int64_t size, int64_t output) {
  const int64_t stride = window.stride[axis];
  AxisTaps taps;
  taps.size = (size + stride - 1) / stride;
  taps.output = output;
  for (int64_t k = 0; k < window.kernel[axis]; ++k) {
    const int64_t position = k * window.dilation[axis] - window.pad_begin[axis];
    const int64_t shift = floor_divide(position, stride);
    taps.shift.push_back(shift);
    taps.phase.push_back(position - shift * stride);
    taps.min_shift = std::min(taps.min_shift, shift);
    taps.max_shift = std::max(taps.max_shift, shift);
  }
  taps.phases = taps.phase;
  std::sort(taps.phases.begin(), taps.phases.end());
  taps.phases.erase(std::unique(taps.phases.begin(), taps.phases.end()), taps.phases.end());
  for (int64_t& phase : taps.phase) {
    phase = std::lower_bound(taps.phases.begin(), taps.phases.end(), phase) - taps.phases.begin();
  }
  return taps;
}

}  // namespace

ConvGeometry::ConvGeometry(const Window& window, int64_t height, int64_t width,
                           int64_t output_height, int64_t output_width)
    : rows_(make_axis(window, 0, height, output_height)),
      columns_(make_axis(window, 1, width, output_width)),
      direct_(window.stride[0] == 1 && window.stride[1] == 1) {}

int64_t ConvGeometry::min_pitch() const {
  const int64_t left = -columns_.min_shift;
  const int64_t right = std::max<int64_t>(0, columns_.output + columns_.max_shift - columns_.size);
  return std::max(columns_.size + std::max(left, right), columns_.output);
}

PlaneLayout ConvGeometry::phase_layout(int64_t batch, int64_t channels, int64_t pitch, int64_t head,
                                       int64_t reach) const {
  PlaneLayout layout;
  layout.batch = batch;
  layout.channels = channels * phases();
  layout.height = rows_.size;
  layout.width = columns_.size;
  layout.pitch = pitch;
  lay_out_planes(layout, head, reach);
  return layout;
}

ConvGeometry::Source ConvGeometry::source(int64_t pitch, int64_t kernel_row,
                                          int64_t kernel_column) const {
  const auto ky = static_cast<size_t>(kernel_row);
  const auto kx = static_cast<size_t>(kernel_column);
  const auto column_phases = static_cast<int64_t>(columns_.phases.size());
  return {rows_.phase[ky] * column_phases + columns_.phase[kx],
          rows_.shift[ky] * pitch + columns_.shift[kx]};
}

void lay_out_planes(PlaneLayout& layout, int64_t head, int64_t reach) {
  constexpr int64_t kLongPlane = 16;  // in blocks
  layout.head = round_up(head, kPixelBlock);
  layout.plane_stride =
      layout.head + round_up(std::max(layout.blocks() * kPixelBlock, reach), kPixelBlock);
  // Planes at a multiple of a large power of two would compete for the same cache sets.
  const int64_t blocks = layout.plane_stride / kPixelBlock;
  if (blocks >= kLongPlane && blocks % 2 == 0) layout.plane_stride += kPixelBlock;
  layout.image_stride = layout.plane_stride * layout.channels;
}

}  // namespace strata::kernels
