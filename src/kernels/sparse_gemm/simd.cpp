// With AVX-512 the whole window of a slot lies in registers, and the places in the weights' lowest
// bits steer the permutation that picks an element for every row: no gather, which on the CPUs at
// hand takes a cycle per element. Other targets gather. Weights are used with those bits in place.
#include <algorithm>

#include "core/bit_cast.h"
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

using WeightVector = hn::Vec<PanelTag>;
using PlaceVector = hn::Vec<PlaceTag>;

/// Some weights of a slot, vector by vector: f16 and a place each, or both in one word.
template <bool kHalf>
HWY_INLINE void load_weights(const PanelIncrement& increment, size_t at, WeightVector& weights,
                             PlaceVector& places) {
  const PanelTag d;
  const PlaceTag di;
  if constexpr (kHalf) {
    const hn::Rebind<hwy::float16_t, PanelTag> half;
    const hn::Rebind<uint8_t, PanelTag> byte;
    weights = hn::PromoteTo(
        d, hn::Load(half, reinterpret_cast<const hwy::float16_t*>(increment.halves + at)));
    places = hn::PromoteTo(di, hn::Load(byte, increment.places + at));
  } else {
    places = hn::Load(di, reinterpret_cast<const int32_t*>(increment.slots + at));
    weights = hn::BitCast(d, places);
  }
}

/// Two sums per vector of rows, so that an addition need not wait for the one before.
template <bool kHalf>
HWY_INLINE void add_increment_by_one(const PanelIncrement& increment, int64_t group_begin,
                                     int64_t group_end, const float* input, float* sums) {
  const PanelTag d;
  constexpr size_t kVectors = kSlotRows / kPanelLanes;
  for (int64_t group = group_begin; group < group_end; ++group) {
    const uint32_t end = increment.group_begin[group + 1];
    PanelVector even[kVectors];
    PanelVector odd[kVectors];
    STRATA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) even[v] = odd[v] = hn::Zero(d);
    const auto add = [&](uint32_t slot, PanelVector* sum) HWY_ATTR {
      const float* const window = input + size_t{increment.windows[slot]} * kWindowStep;
      STRATA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        WeightVector weights;
        PlaceVector places;
        load_weights<kHalf>(increment, size_t{slot} * kSlotRows + v * kPanelLanes, weights, places);
        sum[v] = hn::MulAdd(weights, pick(places, window), sum[v]);
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

void panel_by_one(const PanelWeights& weights, int64_t panel, const float* input, float* sums) {
  std::fill_n(sums, weights.groups_per_panel * kSlotRows, 0.0F);
  const int64_t first = panel * weights.groups_per_panel;
  const int64_t last = first + weights.groups_per_panel;
  for (int64_t k = 0; k < weights.increment_count; ++k) {
    const PanelIncrement& increment = weights.increments[k];
    if (increment.halves != nullptr) {
      add_increment_by_one<true>(increment, first, last, input, sums);
    } else {
      add_increment_by_one<false>(increment, first, last, input, sums);
    }
  }
}

/// The sums of as many rows as registers allow.
template <bool kHalf>
HWY_INLINE void add_increment_by_several(const PanelIncrement& increment, int64_t group_begin,
                                         int64_t group_end, const float* input, float* sums) {
  const PanelTag d;
  constexpr auto kLanes = static_cast<int64_t>(kPanelLanes);
  constexpr int64_t kRows = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON ? 16 : 8;
  for (int64_t group = group_begin; group < group_end; ++group) {
    for (int64_t half = 0; half < kSlotRows; half += kRows) {
      PanelVector sum[kRows];
      STRATA_UNROLL
      for (int64_t i = 0; i < kRows; ++i) sum[i] = hn::Zero(d);
      for (uint32_t slot = increment.group_begin[group]; slot < increment.group_begin[group + 1];
           ++slot) {
        const size_t from = size_t{slot} * kSlotRows + static_cast<size_t>(half);
        const float* const window =
            input + size_t{increment.windows[slot]} * kWindowStep * kPanelLanes;
        alignas(kCacheLine) float weights[kRows];
        if constexpr (kHalf) {
          STRATA_UNROLL
          for (int64_t i = 0; i < kRows; i += kLanes) {
            WeightVector values;
            PlaceVector places;
            load_weights<true>(increment, from + static_cast<size_t>(i), values, places);
            hn::Store(values, d, weights + i);
          }
        }
        STRATA_UNROLL
        for (int64_t i = 0; i < kRows; ++i) {
          const size_t at = from + static_cast<size_t>(i);
          size_t place = 0;
          float weight = 0;
          if constexpr (kHalf) {
            weight = weights[i];
            place = increment.places[at];
          } else {
            weight = bit_cast<float>(increment.slots[at]);
            place = static_cast<size_t>(increment.slots[at] % kWindowColumns);
          }
          sum[i] =
              hn::MulAdd(hn::Set(d, weight), hn::Load(d, window + place * kPanelLanes), sum[i]);
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

void panel_by_several(const PanelWeights& weights, int64_t panel, const float* input, float* sums) {
  constexpr auto kLanes = static_cast<int64_t>(kPanelLanes);
  std::fill_n(sums, weights.groups_per_panel * kSlotRows * kLanes, 0.0F);
  const int64_t first = panel * weights.groups_per_panel;
  const int64_t last = first + weights.groups_per_panel;
  for (int64_t k = 0; k < weights.increment_count; ++k) {
    const PanelIncrement& increment = weights.increments[k];
    if (increment.halves != nullptr) {
      add_increment_by_several<true>(increment, first, last, input, sums);
    } else {
      add_increment_by_several<false>(increment, first, last, input, sums);
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
