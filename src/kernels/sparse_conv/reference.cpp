// One pixel after the other, one tap after the other.
#include "kernels/plane_layout.h"
#include "kernels/sparse_conv/sparse_conv.h"

namespace strata::kernels {
namespace {

/// What the taps of the row at one place add to pixel `p` of the pixels [begin, end).
float sum_taps(const SparseConvArguments& arguments, int64_t place, int64_t p, int64_t begin,
               int64_t end) {
  const TapLists& taps = arguments.taps;
  float sum = 0;
  for (int64_t s = 0; s < arguments.shift_count; ++s) {
    const int64_t seen = p + arguments.shifts[s];
    if (!arguments.overhang && (seen < begin || seen >= end)) continue;
    const int64_t run = place / taps.bundle * arguments.shift_count + s;
    for (size_t list = 0; list < static_cast<size_t>(taps.count); ++list) {
      for (uint32_t i = taps.lists[list].begin[run]; i < taps.lists[list].end[run]; ++i) {
        const int64_t tap = i * taps.bundle + place % taps.bundle;
        sum += taps.weights[tap] * arguments.input[seen + taps.blocks[tap] * kPixelBlock];
      }
    }
  }
  return sum;
}

}  // namespace

void sparse_conv_reference(const SparseConvArguments& arguments, int64_t begin, int64_t end,
                           int64_t block_begin, int64_t block_end) {
  const int64_t first = block_begin * kPixelBlock;
  const int64_t last = block_end * kPixelBlock;
  const uint32_t* rows = arguments.taps.rows;
  for (int64_t place = begin; place < end; ++place) {
    const int64_t row = rows == nullptr ? place : rows[place];
    for (int64_t p = first; p < last; ++p) {
      float* output = arguments.output + row * arguments.output_stride + p;
      float value = sum_taps(arguments, place, p, first, last);
      if (!arguments.first_slice) value += *output;
      if (arguments.last_slice) value = arguments.finish(value, row, p);
      *output = value;
    }
  }
}

}  // namespace strata::kernels
