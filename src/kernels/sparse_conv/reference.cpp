// One pixel after the other, one tap after the other.
#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/sparse_conv.h"

namespace strata::kernels {
namespace {

/// What the taps of one row add to pixel `p` of the pixels [begin, end).
float sum_taps(const SparseConvArguments& arguments, int64_t row, int64_t p, int64_t begin,
               int64_t end) {
  float sum = 0;
  for (int64_t s = 0; s < arguments.shift_count; ++s) {
    const int64_t seen = p + arguments.shifts[s];
    if (!arguments.overhang && (seen < begin || seen >= end)) continue;
    const int64_t run = row * arguments.shift_count + s;
    const TapLists& taps = arguments.taps;
    for (size_t list = 0; list < static_cast<size_t>(taps.count); ++list) {
      for (uint32_t i = taps.lists[list].begin[run]; i < taps.lists[list].end[run]; ++i) {
        sum += taps.weights[i] * arguments.input[seen + taps.blocks[i] * kPixelBlock];
      }
    }
  }
  return sum;
}

}  // namespace

void sparse_conv_reference(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
                           int64_t block_begin, int64_t block_end) {
  const int64_t begin = block_begin * kPixelBlock;
  const int64_t end = block_end * kPixelBlock;
  for (int64_t row = row_begin; row < row_end; ++row) {
    for (int64_t p = begin; p < end; ++p) {
      float* output = arguments.output + row * arguments.output_stride + p;
      float value = sum_taps(arguments, row, p, begin, end);
      if (!arguments.first_slice) value += *output;
      if (arguments.last_slice) value = arguments.finish(value, row, p);
      *output = value;
    }
  }
}

}  // namespace strata::kernels
