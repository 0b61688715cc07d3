// Vector lanes run over pixels. The sums of a panel of rows over a few vectors of pixels stay in
// registers; a tap is one load per vector, one broadcast per row, and an FMA for each pair of them.
#include <cstdint>

#include "kernels/dense_conv/dense_conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dense_conv/simd.cpp"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/conv_output-inl.h"
#include "kernels/dispatch-inl.h"
#include "kernels/plane_layout.h"
#include "kernels/vector_registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr int64_t kLanes = HWY_LANES(float);
constexpr int64_t kVectorsPerBlock = kPixelBlock / kLanes;
// Sums, the inputs of a tap and one weight fill 28 of 32 registers, or all 16; some are for
// products where these are not fused with the addition.
constexpr int64_t kPanelRows = kManyRegisters ? 8 : 4;
constexpr int64_t kMostVectors = HWY_NATIVE_FMA ? 3 : 2;
constexpr int64_t kTileBlocks = 6;
// Weights ahead: every broadcast of a line that is still on its way costs more than one load would.
constexpr int64_t kPrefetched = 512;

using D = hn::ScalableTag<float>;
using V = ArrayElement<hn::Vec<D>>;

/// One panel, kVectors vectors of pixels from `pixel` on.
template <int64_t kVectors>
HWY_INLINE void run_panel(const DenseConvArguments& arguments, const float* HWY_RESTRICT weights,
                          int64_t first_row, int64_t pixel) {
  const D d;
  const int64_t rows = HWY_MIN(kPanelRows, arguments.rows - first_row);
  float* const output = arguments.output + first_row * arguments.output_stride + pixel;
  V sum[kPanelRows * kVectors];
  STRATA_UNROLL
  for (int64_t r = 0; r < kPanelRows; ++r) {
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) {
      sum[r * kVectors + i] = arguments.first_slice || r >= rows
                                  ? hn::Zero(d)
                                  : hn::Load(d, output + r * arguments.output_stride + i * kLanes);
    }
  }
  const float* const input = arguments.input + pixel;
  const int32_t* const offsets = arguments.offsets;
  const int64_t taps = arguments.taps;
  for (int64_t t = 0; t < taps; ++t) {
    const float* const from = input + offsets[t];
    V x[kVectors];
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) x[i] = hn::LoadU(d, from + i * kLanes);
    STRATA_UNROLL
    for (int64_t r = 0; r < kPanelRows; ++r) {
      const V w = hn::Set(d, weights[r]);
      STRATA_UNROLL
      for (int64_t i = 0; i < kVectors; ++i) {
        sum[r * kVectors + i] = hn::MulAdd(w, x[i], sum[r * kVectors + i]);
      }
    }
    hwy::Prefetch(weights + kPrefetched);
    weights += kPanelRows;
  }
  STRATA_UNROLL
  for (int64_t r = 0; r < kPanelRows; ++r) {
    if (r >= rows) continue;  // and not break: a loop with two ends is not unrolled by clang
    if (arguments.last_slice) {
      finish_row<kVectors>(arguments, first_row + r, pixel, sum + r * kVectors);
    }
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) {
      hn::Store(sum[r * kVectors + i], d, output + r * arguments.output_stride + i * kLanes);
    }
  }
}

template <int64_t kVectors>
HWY_INLINE void run_vectors(const DenseConvArguments& arguments, const float* weights, int64_t row,
                            int64_t pixel, int64_t vectors) {
  if constexpr (kVectors > 1) {
    if (vectors != kVectors) {
      return run_vectors<kVectors - 1>(arguments, weights, row, pixel, vectors);
    }
  }
  run_panel<kVectors>(arguments, weights, row, pixel);
}

void run(const DenseConvArguments& arguments, int64_t panel_begin, int64_t panel_end,
         int64_t block_begin, int64_t block_end) {
  const int64_t total = (block_end - block_begin) * kVectorsPerBlock;
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    const float* const weights = arguments.weights + panel * arguments.panel_stride;
    int64_t pixel = block_begin * kPixelBlock;
    // Equal parts: of four vectors, twice two.
    for (int64_t left = total; left > 0;) {
      const int64_t parts = (left + kMostVectors - 1) / kMostVectors;
      const int64_t vectors = (left + parts - 1) / parts;
      run_vectors<kMostVectors>(arguments, weights, panel * kPanelRows, pixel, vectors);
      pixel += vectors * kLanes;
      left -= vectors;
    }
  }
}

// By bench/density_bench.cpp, rather low than high: a level too sparse for its dense kernel is as
// slow as the dense network, one too dense for its sparse kernel would be slower. That of NEON is
// guessed.
constexpr double kWide = HWY_NATIVE_FMA ? 0.53 : 0.65;
constexpr double kNarrow = !HWY_NATIVE_FMA          ? 0.65
                           : HWY_TARGET == HWY_AVX2 ? 0.53
                           : HWY_TARGET == HWY_AVX3 ? 0.51
                                                    : 0.41;

const DenseConvKernel kKernel = {run, kPanelRows, kTileBlocks, kWide, kNarrow};

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

DenseConvKernel dense_conv_kernel(Target target) {
  constexpr int64_t kReferenceRows = 4;
  constexpr int64_t kReferenceBlocks = 4;
  STRATA_RETURN_FOR_TARGET(
      target, kKernel,
      (DenseConvKernel{dense_conv_reference, kReferenceRows, kReferenceBlocks, 0.9, 0.9}))
}

}  // namespace strata::kernels
#endif
