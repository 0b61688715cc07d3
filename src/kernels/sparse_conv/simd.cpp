// Vector lanes run over pixels. The sums of a tile of up to kMaxVectors vectors stay in registers
// while a row's taps are walked: per tap one broadcast, then one FMA per vector with the input as
// its memory operand. The tile's input stays in the cache while all rows pass over it.
#include "kernels/sparse_conv/sparse_conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sparse_conv/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/plane_layout.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr int64_t kLanes = HWY_LANES(float);
// Of 16 registers, 12 hold sums; of 32, up to 14 are enough to hide the latency of memory.
constexpr int64_t kMaxVectors = HWY_TARGET == HWY_AVX3 ? 14 : HWY_TARGET == HWY_NEON ? 16 : 12;

template <int64_t kVectors>
HWY_INLINE void run_tile(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
                         int64_t pixel) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const V zero = hn::Zero(d);
  const auto* input = reinterpret_cast<const char*>(arguments.input + pixel);
  for (int64_t row = row_begin; row < row_end; ++row) {
    V sum[kVectors];
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) sum[i] = zero;
    for (int64_t k = 0; k < arguments.increment_count; ++k) {
      const TapIncrement& increment = arguments.increments[k];
      const Tap* tap = increment.taps + increment.row_begin[row];
      const Tap* const end = increment.taps + increment.row_begin[row + 1];
      for (; tap != end; ++tap) {
        const V weight = hn::Set(d, tap->weight);
        const auto* x = reinterpret_cast<const float*>(input + tap->offset);
        STRATA_UNROLL
        for (int64_t i = 0; i < kVectors; ++i) {
          sum[i] = hn::MulAdd(weight, hn::LoadU(d, x + i * kLanes), sum[i]);
        }
      }
    }
    const V scale = hn::Set(d, arguments.scale[row]);
    const V shift = hn::Set(d, arguments.shift[row]);
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) sum[i] = hn::MulAdd(sum[i], scale, shift);
    if (arguments.residual != nullptr) {
      const float* residual = arguments.residual + row * arguments.residual_stride + pixel;
      STRATA_UNROLL
      for (int64_t i = 0; i < kVectors; ++i) {
        sum[i] = hn::Add(sum[i], hn::LoadU(d, residual + i * kLanes));
      }
    }
    if (arguments.relu) {
      STRATA_UNROLL
      for (int64_t i = 0; i < kVectors; ++i) sum[i] = hn::Max(sum[i], zero);
    }
    if (arguments.mask != nullptr) {
      const hn::RebindToUnsigned<decltype(d)> du;
      const uint32_t* mask = arguments.mask + pixel;
      STRATA_UNROLL
      for (int64_t i = 0; i < kVectors; ++i) {
        sum[i] = hn::And(sum[i], hn::BitCast(d, hn::LoadU(du, mask + i * kLanes)));
      }
    }
    float* output = arguments.output + row * arguments.output_stride + pixel;
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) hn::StoreU(sum[i], d, output + i * kLanes);
  }
}

/// Calls run_tile for a number of vectors that is only known now.
template <int64_t kVectors>
void run_vectors(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
                 int64_t pixel, int64_t vectors) {
  if constexpr (kVectors > 0) {
    if (vectors == kVectors) {
      run_tile<kVectors>(arguments, row_begin, row_end, pixel);
    } else {
      constexpr int64_t kStep = kPixelBlock / kLanes;
      run_vectors<kVectors - kStep>(arguments, row_begin, row_end, pixel, vectors);
    }
  }
}

void run(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
         int64_t block_begin, int64_t block_end) {
  constexpr int64_t kVectorsPerBlock = kPixelBlock / kLanes;
  constexpr int64_t kMaxBlocks = kMaxVectors / kVectorsPerBlock;
  for (int64_t block = block_begin; block < block_end; block += kMaxBlocks) {
    const int64_t count = HWY_MIN(kMaxBlocks, block_end - block);
    run_vectors<kMaxBlocks * kVectorsPerBlock>(arguments, row_begin, row_end, block * kPixelBlock,
                                               count * kVectorsPerBlock);
  }
}

const SparseConvKernel kKernel = {run, kMaxVectors* kLanes / kPixelBlock};

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

SparseConvKernel sparse_conv_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, kKernel, (SparseConvKernel{sparse_conv_reference, 1}))
}

}  // namespace strata::kernels
#endif
