// Vector lanes run over pixels. The sums of a tile of up to kMaxVectors vectors stay in registers
// while a row's taps are walked: per tap one broadcast, then one FMA per vector with the input as
// its memory operand. Every load is aligned: one that crosses a cache line costs as much as two.
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/sparse_conv/sparse_conv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sparse_conv/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/conv_output-inl.h"
#include "kernels/dispatch-inl.h"
#include "kernels/plane_layout.h"
#include "kernels/prefetch.h"
#include "kernels/vector_registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr int64_t kLanes = HWY_LANES(float);
constexpr int64_t kVectorsPerBlock = kPixelBlock / kLanes;
// Of 16 registers, 14 hold sums where products take none, 12 elsewhere; of 32, 16 are enough to
// hide the latency of memory.
constexpr int64_t kMaxVectors = kManyRegisters ? 16 : HWY_TARGET == HWY_AVX2 ? 14 : 12;
// Of each row of a bundle, or 0; of more, sums would not stay in registers.
constexpr int64_t kMaxBundledVectors = HWY_TARGET == HWY_AVX3 ? 6 : 0;

using D = hn::ScalableTag<float>;
using V = ArrayElement<hn::Vec<D>>;

/// Moves the sums of a tile up by `lanes`, 1..15: lane i becomes lane i + lanes of the tile, zeros
/// come in, what leaves is lost.
template <int64_t kVectors>
HWY_INLINE void move_up(V* sum, int64_t lanes) {
  const D d;
#if HWY_TARGET == HWY_AVX3
  const hn::RebindToSigned<D> di;
  const auto index = hn::Iota(di, static_cast<int32_t>(kLanes - lanes));
  STRATA_UNROLL
  for (int64_t i = kVectors - 1; i > 0; --i) {
    sum[i].raw = _mm512_permutex2var_ps(sum[i - 1].raw, index.raw, sum[i].raw);
  }
  sum[0].raw = _mm512_permutex2var_ps(hn::Zero(d).raw, index.raw, sum[0].raw);
#elif HWY_TARGET == HWY_AVX2
  if (lanes >= kLanes) {
    STRATA_UNROLL
    for (int64_t i = kVectors - 1; i > 0; --i) sum[i] = sum[i - 1];
    sum[0] = hn::Zero(d);
    lanes -= kLanes;
  }
  if (lanes == 0) return;
  // Every vector turns around; what crosses its end is taken from the one before.
  const hn::RebindToSigned<D> di;
  const auto index = hn::Iota(di, static_cast<int32_t>(kLanes - lanes));
  const auto crosses = hn::FirstN(d, static_cast<size_t>(lanes));
  V turned = {_mm256_permutevar8x32_ps(sum[kVectors - 1].raw, index.raw)};
  STRATA_UNROLL
  for (int64_t i = kVectors - 1; i > 0; --i) {
    const V before = {_mm256_permutevar8x32_ps(sum[i - 1].raw, index.raw)};
    sum[i] = hn::IfThenElse(crosses, before, turned);
    turned = before;
  }
  sum[0] = hn::IfThenZeroElse(crosses, turned);
#else
  HWY_ALIGN float tile[kPixelBlock + kVectors * kLanes];
  for (int64_t i = 0; i < kPixelBlock; i += kLanes) hn::Store(hn::Zero(d), d, tile + i);
  for (int64_t i = 0; i < kVectors; ++i) hn::Store(sum[i], d, tile + kPixelBlock + i * kLanes);
  for (int64_t i = 0; i < kVectors; ++i) {
    sum[i] = hn::LoadU(d, tile + kPixelBlock + i * kLanes - lanes);
  }
#endif
}

/// The opposite: lane i + lanes becomes lane i.
template <int64_t kVectors>
HWY_INLINE void move_down(V* sum, int64_t lanes) {
  const D d;
#if HWY_TARGET == HWY_AVX3
  const hn::RebindToSigned<D> di;
  const auto index = hn::Iota(di, static_cast<int32_t>(lanes));
  STRATA_UNROLL
  for (int64_t i = 0; i + 1 < kVectors; ++i) {
    sum[i].raw = _mm512_permutex2var_ps(sum[i].raw, index.raw, sum[i + 1].raw);
  }
  sum[kVectors - 1].raw = _mm512_permutex2var_ps(sum[kVectors - 1].raw, index.raw, hn::Zero(d).raw);
#elif HWY_TARGET == HWY_AVX2
  if (lanes >= kLanes) {
    STRATA_UNROLL
    for (int64_t i = 0; i + 1 < kVectors; ++i) sum[i] = sum[i + 1];
    sum[kVectors - 1] = hn::Zero(d);
    lanes -= kLanes;
  }
  if (lanes == 0) return;
  const hn::RebindToSigned<D> di;
  const auto index = hn::Iota(di, static_cast<int32_t>(lanes));
  const auto stays = hn::FirstN(d, static_cast<size_t>(kLanes - lanes));
  V turned = {_mm256_permutevar8x32_ps(sum[0].raw, index.raw)};
  STRATA_UNROLL
  for (int64_t i = 0; i + 1 < kVectors; ++i) {
    const V after = {_mm256_permutevar8x32_ps(sum[i + 1].raw, index.raw)};
    sum[i] = hn::IfThenElse(stays, turned, after);
    turned = after;
  }
  sum[kVectors - 1] = hn::IfThenElseZero(stays, turned);
#else
  HWY_ALIGN float tile[kVectors * kLanes + kPixelBlock];
  for (int64_t i = 0; i < kPixelBlock; i += kLanes) {
    hn::Store(hn::Zero(d), d, tile + kVectors * kLanes + i);
  }
  for (int64_t i = 0; i < kVectors; ++i) hn::Store(sum[i], d, tile + i * kLanes);
  for (int64_t i = 0; i < kVectors; ++i) sum[i] = hn::LoadU(d, tile + i * kLanes + lanes);
#endif
}

/// The same address, of which the compiler knows nothing. Where vectors are shorter than blocks it
/// would keep a pointer per vector of a tile, most of them in memory; one and constant offsets do.
HWY_INLINE const float* opaque(const float* address) {
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_SSE4
  asm("" : "+r"(address));
#endif
  return address;
}

/// Adds `kTaps` taps, each to sums of its own: sum[t * kVectors ...] for tap t.
template <int64_t kVectors, int64_t kTaps>
HWY_INLINE void add_taps(const float* weight, const uint16_t* block, const float* input, V* sum) {
  const D d;
  STRATA_UNROLL
  for (int64_t t = 0; t < kTaps; ++t) {
    const V w = hn::Set(d, weight[t]);
    const float* x = opaque(input + int64_t{block[t]} * kPixelBlock);
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) {
      sum[t * kVectors + i] = hn::MulAdd(w, hn::Load(d, x + i * kLanes), sum[t * kVectors + i]);
    }
  }
}

/// Adds one step of a bundle: the tap of row r to sum[r * kVectors ...]. One load has the weights
/// of all rows and one the blocks, for loads are what there is most of.
template <int64_t kVectors>
HWY_INLINE void add_step(const float* weights, const uint16_t* blocks, const float* input, V* sum) {
  static_assert(std::endian::native == std::endian::little && kBundleRows == 4);
  const D d;
  uint64_t all;
  std::memcpy(&all, blocks, sizeof(all));
  const V fours = hn::LoadDup128(d, weights);
  const V weight[kBundleRows] = {hn::Broadcast<0>(fours), hn::Broadcast<1>(fours),
                                 hn::Broadcast<2>(fours), hn::Broadcast<3>(fours)};
  STRATA_UNROLL
  for (int64_t r = 0; r < kBundleRows; ++r) {
    const auto block = static_cast<uint16_t>(all >> (16 * r));
    const float* x = input + int64_t{block} * kPixelBlock;
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) {
      sum[r * kVectors + i] =
          hn::MulAdd(weight[r], hn::Load(d, x + i * kLanes), sum[r * kVectors + i]);
    }
  }
}

/// Where the taps of all lists are.
struct TapMemory {
  const float* weights;
  const uint16_t* blocks;
};

/// The steps of one run, numbered through kLists lists: step i is step i + offset[k] of all for the
/// last k with start[k] <= i.
template <int64_t kLists>
struct Run {
  int64_t steps = 0;
  int64_t start[kLists];
  int64_t offset[kLists];
};

template <int64_t kLists>
HWY_INLINE Run<kLists> find_run(const TapMemory& taps, const TapList* lists, int64_t number) {
  // What the caches get to see of several lists are bursts too short to tell what comes next.
  constexpr int64_t kPrefetchedTaps = 64;
  Run<kLists> run;
  STRATA_UNROLL
  for (int64_t k = 0; k < kLists; ++k) {
    const int64_t begin = lists[k].begin[number];
    if constexpr (kLists > 1) {
      prefetch(taps.weights, begin + kPrefetchedTaps);
      prefetch(taps.blocks, begin + kPrefetchedTaps);
    }
    run.start[k] = run.steps;
    run.offset[k] = begin - run.steps;
    run.steps += lists[k].end[number] - begin;
  }
  return run;
}

/// Adds the taps of one run, whose number is a multiple of kTaps, in one loop for all lists: the
/// end of a short loop is guessed wrong, which costs as much as many taps.
template <int64_t kVectors, int64_t kTaps, int64_t kLists>
HWY_INLINE void add_run(const TapMemory& taps, const Run<kLists>& run, const float* input, V* sum) {
  for (int64_t i = 0; i != run.steps; i += kTaps) {
    int64_t offset = run.offset[0];
    STRATA_UNROLL
    for (int64_t k = 1; k < kLists; ++k) {
      offset = i >= run.start[k] ? run.offset[k] : offset;  // a conditional move
    }
    const int64_t tap = offset + i;
    add_taps<kVectors, kTaps>(taps.weights + tap, taps.blocks + tap, input, sum);
  }
}

/// Adds the sums of all taps to those of the first, and starts the others anew.
template <int64_t kVectors, int64_t kTaps>
HWY_INLINE void add_up(V* sum) {
  const D d;
  STRATA_UNROLL
  for (int64_t i = kVectors; i < kTaps * kVectors; ++i) {
    sum[i % kVectors] = hn::Add(sum[i % kVectors], sum[i]);
    sum[i] = hn::Zero(d);
  }
}

/// What a row adds to its sums is too far away, row by row, for some processors to see it come;
/// those with AVX-512 wait for nothing that this would bring earlier.
constexpr bool kPrefetchesRows = HWY_TARGET != HWY_AVX3;
template <int64_t kVectors>
HWY_INLINE void prefetch_row(const SparseConvArguments& arguments, int64_t row, int64_t pixel) {
  const float* output = arguments.output + row * arguments.output_stride + pixel;
  STRATA_UNROLL
  for (int64_t i = 0; i < kVectors; i += kVectorsPerBlock) prefetch(output, i * kLanes);
  if (!arguments.last_slice || arguments.residual == nullptr) return;
  const float* residual = arguments.residual + row * arguments.residual_stride + pixel;
  STRATA_UNROLL
  for (int64_t i = 0; i < kVectors; i += kVectorsPerBlock) prefetch(residual, i * kLanes);
}

/// Adds kVectors vectors of sums of one row to what the slices before left, and writes them.
template <int64_t kVectors>
HWY_INLINE void write_row(const SparseConvArguments& arguments, int64_t row, int64_t pixel,
                          V* sum) {
  const D d;
  float* output = arguments.output + row * arguments.output_stride + pixel;
  if (!arguments.first_slice) {
    STRATA_UNROLL
    for (int64_t i = 0; i < kVectors; ++i) {
      sum[i] = hn::Add(sum[i], hn::Load(d, output + i * kLanes));
    }
  }
  if (arguments.last_slice) finish_row<kVectors>(arguments, row, pixel, sum);
  STRATA_UNROLL
  for (int64_t i = 0; i < kVectors; ++i) hn::Store(sum[i], d, output + i * kLanes);
}

/// Moves the sums of kRows rows after their last run to where they belong.
template <int64_t kRows, int64_t kVectors>
HWY_INLINE void move_back(int32_t shift, V* sum) {
  STRATA_UNROLL
  for (int64_t r = 0; r < kRows; ++r) {
    if (shift > 0) move_down<kVectors>(sum + r * kVectors, shift);
    if (shift < 0) move_up<kVectors>(sum + r * kVectors, -shift);
  }
}

/// Sums kVectors vectors per row, of which the last kHidden are not written. kTaps taps at a time
/// have sums of their own: those of a small tile alone would wait for each other. The taps
/// are in kLists lists.
template <int64_t kVectors, int64_t kHidden, int64_t kTaps, int64_t kLists>
HWY_NOINLINE void run_rows(const SparseConvArguments& arguments, int64_t row_begin, int64_t row_end,
                           int64_t pixel) {
  constexpr int64_t kWritten = kVectors - kHidden;
  const D d;
  const float* input = arguments.input + pixel;
  const int64_t shift_count = arguments.shift_count;
  // Copies, which writing outputs cannot change, stay in registers.
  const TapMemory taps{arguments.taps.weights, arguments.taps.blocks};
  TapList lists[kLists];
  std::copy_n(arguments.taps.lists.begin(), kLists, lists);
  // A run is looked up while the one before it is added: a loop that starts after a wrong guess
  // would have to wait for its bounds.
  int64_t number = row_begin * shift_count;
  const int64_t last_number = number + (row_end - row_begin) * shift_count - 1;
  Run<kLists> next = find_run<kLists>(taps, lists, number);
  for (int64_t row = row_begin; row < row_end; ++row) {
    V sum[kTaps * kVectors];
    STRATA_UNROLL
    for (int64_t i = 0; i < kTaps * kVectors; ++i) sum[i] = hn::Zero(d);
    for (int64_t s = 0; s < shift_count; ++s) {
      if (s > 0) {
        add_up<kVectors, kTaps>(sum);
        move_up<kVectors>(sum, arguments.shifts[s] - arguments.shifts[s - 1]);
      }
      const Run<kLists> run = next;
      number = HWY_MIN(number + 1, last_number);
      next = find_run<kLists>(taps, lists, number);
      add_run<kVectors, kTaps, kLists>(taps, run, input, sum);
    }
    add_up<kVectors, kTaps>(sum);
    move_back<1, kVectors>(arguments.shifts[shift_count - 1], sum);
    if (kPrefetchesRows && row + 1 < row_end) prefetch_row<kWritten>(arguments, row + 1, pixel);
    write_row<kWritten>(arguments, row, pixel, sum);
  }
}

/// The same for bundles of rows. Runs are long and come in an order in which the ends of their
/// loops are guessed, so that each list has a loop. Without kShifted there is one shift, 0.
template <int64_t kVectors, int64_t kHidden, bool kShifted, int64_t kLists>
HWY_NOINLINE void run_bundles(const SparseConvArguments& arguments, int64_t begin, int64_t end,
                              int64_t pixel) {
  const D d;
  const float* const input = arguments.input + pixel;
  const float* const weights = arguments.taps.weights;
  const uint16_t* const blocks = arguments.taps.blocks;
  const uint32_t* const rows = arguments.taps.rows;
  const int64_t shift_count = kShifted ? arguments.shift_count : 1;
  int64_t number = begin / kBundleRows * shift_count;
  for (int64_t place = begin; place < end; place += kBundleRows) {
    V sum[kBundleRows * kVectors];
    STRATA_UNROLL
    for (int64_t i = 0; i < kBundleRows * kVectors; ++i) sum[i] = hn::Zero(d);
    for (int64_t s = 0; s < shift_count; ++s, ++number) {
      if (kShifted && s > 0) {
        STRATA_UNROLL
        for (int64_t r = 0; r < kBundleRows; ++r) {
          move_up<kVectors>(sum + r * kVectors, arguments.shifts[s] - arguments.shifts[s - 1]);
        }
      }
      STRATA_UNROLL
      for (int64_t k = 0; k < kLists; ++k) {
        const TapList& list = arguments.taps.lists[static_cast<size_t>(k)];
        const int64_t last = int64_t{list.end[number]} * kBundleRows;
        for (int64_t i = int64_t{list.begin[number]} * kBundleRows; i != last; i += kBundleRows) {
          add_step<kVectors>(weights + i, blocks + i, input, sum);
        }
      }
    }
    if (kShifted) move_back<kBundleRows, kVectors>(arguments.shifts[shift_count - 1], sum);
    STRATA_UNROLL
    for (int64_t r = 0; r < kBundleRows; ++r) {
      const int64_t row = rows == nullptr ? place + r : rows[place + r];
      write_row<kVectors - kHidden>(arguments, row, pixel, sum + r * kVectors);
    }
  }
}

/// Calls body with the number of lists, 1 to kMostTapLists, as a constant.
template <typename Body>
HWY_INLINE void with_lists(int64_t count, const Body& body) {
  static_assert(kMostTapLists == 4);
  switch (count) {
    case 1:
      return body(std::integral_constant<int64_t, 1>());
    case 2:
      return body(std::integral_constant<int64_t, 2>());
    case 3:
      return body(std::integral_constant<int64_t, 3>());
    default:
      return body(std::integral_constant<int64_t, 4>());
  }
}

/// Of tiles whose runs are multiples of kRunMultiple: as many as there are registers for.
constexpr int64_t taps_at_a_time(int64_t vectors) {
  int64_t taps = vectors < kSmallTile * kVectorsPerBlock ? kRunMultiple : 1;
  while (taps > 1 && taps * vectors > kMaxVectors) taps /= 2;
  return taps;
}

template <int64_t kVectors, int64_t kHidden>
HWY_INLINE void run_tile(const SparseConvArguments& arguments, int64_t begin, int64_t end,
                         int64_t pixel) {
  const int64_t lists = arguments.taps.count;
  if constexpr (kVectors <= kMaxBundledVectors) {
    if (arguments.taps.bundle == kBundleRows) {
      const bool shifted = arguments.shift_count > 1 || arguments.shifts[0] != 0;
      return with_lists(lists, [&](auto count) {
        constexpr auto run = run_bundles<kVectors, kHidden, true, count()>;
        constexpr auto run_in_place = run_bundles<kVectors, kHidden, false, count()>;
        (shifted ? run : run_in_place)(arguments, begin, end, pixel);
      });
    }
  }
  constexpr int64_t kTaps = taps_at_a_time(kVectors);
  if constexpr (kTaps > 1) {
    if (arguments.run_multiple == kRunMultiple) {
      return with_lists(lists, [&](auto count) {
        run_rows<kVectors, kHidden, kTaps, count()>(arguments, begin, end, pixel);
      });
    }
  }
  with_lists(lists, [&](auto count) {
    run_rows<kVectors, kHidden, 1, count()>(arguments, begin, end, pixel);
  });
}

/// Calls run_tile for a number of blocks, all that are summed, which is only known now.
template <int64_t kBlocks>
void run_blocks(const SparseConvArguments& arguments, int64_t begin, int64_t end, int64_t pixel,
                int64_t blocks) {
  if constexpr (kBlocks > 0) {
    if (blocks != kBlocks) {
      run_blocks<kBlocks - 1>(arguments, begin, end, pixel, blocks);
    } else if (!arguments.overhang) {
      run_tile<kBlocks * kVectorsPerBlock, 0>(arguments, begin, end, pixel);
    } else if constexpr (kBlocks > 1) {
      run_tile<kBlocks * kVectorsPerBlock, kVectorsPerBlock>(arguments, begin, end, pixel);
    }
  }
}

void run(const SparseConvArguments& arguments, int64_t begin, int64_t end, int64_t block_begin,
         int64_t block_end) {
  if (begin == end) return;
  run_blocks<kMaxVectors / kVectorsPerBlock>(
      arguments, begin, end, block_begin * kPixelBlock,
      block_end - block_begin + (arguments.overhang ? 1 : 0));
}

const SparseConvKernel kKernel = {
    run, {kMaxVectors / kVectorsPerBlock, kMaxBundledVectors / kVectorsPerBlock}};

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

SparseConvKernel sparse_conv_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, kKernel,
                           (SparseConvKernel{sparse_conv_reference, kReferenceTiles}))
}

}  // namespace strata::kernels
#endif
