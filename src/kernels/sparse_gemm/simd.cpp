// With AVX-512 the whole window of a slot lies in registers, and the places in the weights' lowest
// bits steer the permutation that picks an element for every row: no gather, which on the CPUs at
// hand takes a cycle per element. Other targets gather. Weights are used with those bits in place.
#include <algorithm>
#include <bit>

#include "kernels/sparse_gemm/panel_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sparse_gemm/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr size_t kPanelLanes = HWY_MAX_BYTES / sizeof(float);
using PanelTag = hn::CappedTag<float, kPanelLanes>;
using PanelVector = hn::Vec<PanelTag>;
using PlaceTag = hn::RebindToSigned<PanelTag>;

/// The elements of a window that the weights of one vector name.
HWY_INLINE PanelVector pick(hn::Vec<PlaceTag> weights, const float* window) {
#if HWY_TARGET == HWY_AVX3
  // The permutation looks at the lowest five bits only: two tables of 32 elements, and a choice.
  const __m512i place = weights.raw;
  const __m512 low =
      _mm512_permutex2var_ps(_mm512_load_ps(window), place, _mm512_load_ps(window + kPanelLanes));
  const __m512 high = _mm512_permutex2var_ps(_mm512_load_ps(window + 2 * kPanelLanes), place,
                                             _mm512_load_ps(window + 3 * kPanelLanes));
  const __mmask16 is_high = _mm512_test_epi32_mask(place, _mm512_set1_epi32(kWindowColumns / 2));
  return PanelVector{_mm512_mask_blend_ps(is_high, low, high)};
#else
  const PlaceTag di;
  return hn::GatherIndex(PanelTag(), window,
                         hn::And(weights, hn::Set(di, static_cast<int32_t>(kWindowColumns - 1))));
#endif
}

/// Two sums per vector of rows, so that an addition need not wait for the one before.
void panel_by_one(const PanelWeights& weights, int64_t panel, const float* input, float* sums) {
  const PanelTag d;
  const PlaceTag di;
  constexpr size_t kVectors = kSlotRows / kPanelLanes;
  std::fill_n(sums, weights.groups_per_panel * kSlotRows, 0.0F);
  const int64_t first = panel * weights.groups_per_panel;
  for (int64_t k = 0; k < weights.increment_count; ++k) {
    const PanelIncrement& increment = weights.increments[k];
    for (int64_t group = first; group < first + weights.groups_per_panel; ++group) {
      const uint32_t end = increment.group_begin[group + 1];
      PanelVector even[kVectors];
      PanelVector odd[kVectors];
      STRATA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) even[v] = odd[v] = hn::Zero(d);
      const auto add = [&](uint32_t slot, PanelVector* sum) HWY_ATTR {
        const uint32_t* const from = increment.slots + size_t{slot} * kSlotRows;
        const float* const window = input + size_t{increment.windows[slot]} * kWindowStep;
        STRATA_UNROLL
        for (size_t v = 0; v < kVectors; ++v) {
          const auto slots = hn::Load(di, reinterpret_cast<const int32_t*>(from) + v * kPanelLanes);
          sum[v] = hn::MulAdd(hn::BitCast(d, slots), pick(slots, window), sum[v]);
        }
      };
      uint32_t slot = increment.group_begin[group];
      for (; slot + 2 <= end; slot += 2) {
        add(slot, even);
        add(slot + 1, odd);
      }
      if (slot < end) add(slot, even);
      alignas(kCacheLine) float total[kSlotRows];
      STRATA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        hn::Store(hn::Add(even[v], odd[v]), d, total + v * kPanelLanes);
      }
      const uint8_t* const rows = increment.rows + group * kSlotRows;
      for (int64_t i = 0; i < kSlotRows; ++i) sums[rows[i]] += total[i];
    }
  }
}

/// The sums of as many rows as registers allow.
void panel_by_several(const PanelWeights& weights, int64_t panel, const float* input, float* sums) {
  const PanelTag d;
  constexpr auto kLanes = static_cast<int64_t>(kPanelLanes);
  constexpr int64_t kRows = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 16 : 8;
  std::fill_n(sums, weights.groups_per_panel * kSlotRows * kLanes, 0.0F);
  const int64_t first = panel * weights.groups_per_panel;
  for (int64_t k = 0; k < weights.increment_count; ++k) {
    const PanelIncrement& increment = weights.increments[k];
    for (int64_t group = first; group < first + weights.groups_per_panel; ++group) {
      for (int64_t half = 0; half < kSlotRows; half += kRows) {
        PanelVector sum[kRows];
        STRATA_UNROLL
        for (int64_t i = 0; i < kRows; ++i) sum[i] = hn::Zero(d);
        for (uint32_t slot = increment.group_begin[group]; slot < increment.group_begin[group + 1];
             ++slot) {
          const uint32_t* const from = increment.slots + size_t{slot} * kSlotRows + half;
          const float* const window =
              input + size_t{increment.windows[slot]} * kWindowStep * kPanelLanes;
          STRATA_UNROLL
          for (int64_t i = 0; i < kRows; ++i) {
            const auto weight = hn::Set(d, std::bit_cast<float>(from[i]));
            const auto element =
                hn::Load(d, window + size_t{from[i] % kWindowColumns} * kPanelLanes);
            sum[i] = hn::MulAdd(weight, element, sum[i]);
          }
        }
        const uint8_t* const rows = increment.rows + group * kSlotRows + half;
        STRATA_UNROLL
        for (int64_t i = 0; i < kRows; ++i) {
          float* const to = sums + rows[i] * kLanes;
          hn::Store(hn::Add(hn::Load(d, to), sum[i]), d, to);
        }
      }
    }
  }
}

PanelKernel panel_products() {
  // By measurement: the permutation beats loads of single elements by so much.
  constexpr int64_t kLeastSeveral = HWY_TARGET == HWY_AVX3 ? 7 : 2;
  return {static_cast<int64_t>(kPanelLanes), kLeastSeveral, panel_by_one, panel_by_several};
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

PanelKernel panel_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, panel_products(), panel_reference())
}

}  // namespace strata::kernels
#endif
