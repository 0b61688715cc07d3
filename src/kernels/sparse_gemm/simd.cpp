// With AVX-512 the whole window of a slot lies in registers, and the places in the weights' lowest
// bits steer the permutation that picks an element for every row: no gather, which on the CPUs at
// hand takes a cycle per element. Elsewhere byte shuffles pick 16 or 32 bytes at once, of tables of
// 16: with AVX2 all bytes of the input's floats, and everywhere, for codes of 8 bits, those of
// numbers of 24 bits. What else meets floats gathers. Weights are used with the places in their
// lowest bits.
#include <algorithm>
#include <limits>
#include <type_traits>

#include "core/bit_cast.h"
#include "kernels/sparse_gemm/panel_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/sparse_gemm/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"
#include "kernels/prefetch.h"
#include "kernels/vector_registers-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr size_t kPanelLanes = HWY_MAX_BYTES / sizeof(float);
using PanelTag = hn::CappedTag<float, kPanelLanes>;
using PanelVector = ArrayElement<hn::Vec<PanelTag>>;
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

using WeightVector = ArrayElement<hn::Vec<PanelTag>>;
using PlaceVector = ArrayElement<hn::Vec<PlaceTag>>;

/// Some narrow weights, without the scale of codes.
template <PanelCoding kCoding>
HWY_INLINE WeightVector load_values(const PanelIncrement& increment, size_t at) {
  const PanelTag d;
  if constexpr (kCoding == PanelCoding::kHalf) {
    const hn::Rebind<hwy::float16_t, PanelTag> half;
    return hn::PromoteTo(
        d, hn::Load(half, reinterpret_cast<const hwy::float16_t*>(increment.halves + at)));
  } else {
    const hn::Rebind<int8_t, PanelTag> code;
    return hn::ConvertTo(d, hn::PromoteTo(PlaceTag(), hn::Load(code, increment.codes + at)));
  }
}

/// Some weights of a slot that has one per row, vector by vector.
template <PanelCoding kCoding>
HWY_INLINE void load_weights(const PanelIncrement& increment, size_t at, WeightVector& weights,
                             PlaceVector& places) {
  static_assert(weights_per_row(kCoding) == 1);
  const PlaceTag di;
  if constexpr (kCoding == PanelCoding::kHalf) {
    const hn::Rebind<uint8_t, PanelTag> byte;
    weights = load_values<kCoding>(increment, at);
    places = hn::PromoteTo(di, hn::Load(byte, increment.places + at));
  } else {
    places = hn::Load(di, reinterpret_cast<const int32_t*>(increment.words + at));
    weights = hn::BitCast(PanelTag(), places);
  }
}

#if HWY_TARGET != HWY_AVX3 && HWY_TARGET != HWY_SVE_256

constexpr int64_t kTableBytes = 16;
using ByteTag = hn::CappedTag<uint8_t, kSlotRows * weights_per_row(PanelCoding::kInt8)>;
using ByteVector = hn::Vec<ByteTag>;

/// Places in a window of bytes, prepared for pick_bytes().
struct BytePlaces {
  ByteVector in_table;
  hn::Vec<hn::RebindToSigned<ByteTag>> odd_table;    ///< negative where it is table 1 or 3
  hn::Vec<hn::RebindToSigned<ByteTag>> last_tables;  ///< negative where it is table 2 or 3
};

HWY_INLINE BytePlaces byte_places(ByteVector places) {
  const ByteTag d;
  const hn::RebindToSigned<ByteTag> signs;
  const hn::Repartition<uint16_t, ByteTag> wide;
  // What crosses into the byte above stays below its sign.
  const auto pairs = hn::BitCast(wide, places);
  return {hn::And(places, hn::Set(d, kTableBytes - 1)), hn::BitCast(signs, hn::ShiftLeft<3>(pairs)),
          hn::BitCast(signs, hn::ShiftLeft<2>(pairs))};
}

/// What the places name in the four tables of a window, of which load(i) gives number i.
template <typename Load>
HWY_INLINE ByteVector pick_bytes(const Load& load, const BytePlaces& places) {
  const ByteTag d;
  const hn::RebindToSigned<ByteTag> signs;
  const auto from = [&](int64_t table) HWY_ATTR {
    return hn::BitCast(signs, hn::TableLookupBytes(load(table), places.in_table));
  };
  const auto first = hn::IfNegativeThenElse(places.odd_table, from(1), from(0));
  const auto last = hn::IfNegativeThenElse(places.odd_table, from(3), from(2));
  return hn::BitCast(d, hn::IfNegativeThenElse(places.last_tables, last, first));
}

#endif

#if HWY_TARGET == HWY_AVX2

constexpr int64_t kBlockBytes = kWindowStep * sizeof(float);
constexpr int64_t kHalfBlock = kBlockBytes / 2;

/// Of every kWindowStep floats the lowest bytes, bytes 2, bytes 1 and bytes 3.
void part_bytes(float* input, int64_t padded) {
  const PlaceTag di;
  const hn::RebindToUnsigned<PlaceTag> du;
  const hn::Rebind<uint8_t, PanelTag> byte;
  for (int64_t i = 0; i < padded; i += kWindowStep) {
    auto* const to = reinterpret_cast<uint8_t*>(input + i);
    const auto* const from = reinterpret_cast<const uint32_t*>(input + i);
    const auto low = hn::Load(du, from);
    const auto high = hn::Load(du, from + kPanelLanes);
    const auto store = [&](auto shift, int64_t at) HWY_ATTR {
      const auto mask = hn::Set(du, 0xFF);
      hn::Store(hn::U8FromU32(hn::And(hn::ShiftRight<shift()>(low), mask)), byte, to + at);
      hn::Store(hn::U8FromU32(hn::And(hn::ShiftRight<shift()>(high), mask)), byte,
                to + at + kPanelLanes);
    };
    store(std::integral_constant<int, 0>(), 0);
    store(std::integral_constant<int, 16>(), kTableBytes);
    store(std::integral_constant<int, 8>(), 2 * kTableBytes);
    store(std::integral_constant<int, 24>(), 3 * kTableBytes);
  }
}

constexpr auto kByBytes = part_bytes;

/// The places of a slot in either half, rows 0..3, 8..11, 4..7, 12..15; and its weights.
template <PanelCoding kCoding>
HWY_INLINE ByteVector load_places(const PanelIncrement& increment, size_t at,
                                  WeightVector* weights) {
  const PanelTag d;
  // A line or less is used per slot: what the processor prefetches by itself comes too late.
  const auto later = static_cast<int64_t>(at + 64 * kSlotRows);
  if constexpr (kCoding == PanelCoding::kHalf) {
    prefetch(increment.halves, later);
    prefetch(increment.places, later);
    weights[0] = load_values<kCoding>(increment, at);
    weights[1] = load_values<kCoding>(increment, at + kPanelLanes);
    const auto places = hn::LoadDup128(ByteTag(), increment.places + at);
    return ByteVector{_mm256_shuffle_epi32(places.raw, _MM_SHUFFLE(3, 1, 2, 0))};
  } else {
    prefetch(increment.words, later);
    const hn::RebindToUnsigned<PlaceTag> du;
    const auto low = hn::Load(du, increment.words + at);
    const auto high = hn::Load(du, increment.words + at + kPanelLanes);
    weights[0] = hn::BitCast(d, low);
    weights[1] = hn::BitCast(d, high);
    const auto mask = hn::Set(du, kWindowColumns - 1);
    const auto pairs = _mm256_packus_epi32(hn::And(low, mask).raw, hn::And(high, mask).raw);
    const auto bytes = _mm256_packus_epi16(pairs, pairs);
    return ByteVector{_mm256_permute4x64_epi64(bytes, _MM_SHUFFLE(2, 0, 2, 0))};
  }
}

/// The same for weights that meet what part_bytes() made: 16 bytes of each kind are picked at once,
/// two kinds by one instruction, which takes less than half the time of gathering the floats.
template <PanelCoding kCoding>
HWY_INLINE void load_slot(const PanelIncrement& increment, uint32_t slot, const float* window,
                          WeightVector* weights, PanelVector* elements) {
  const ByteTag d;
  const hn::Repartition<uint16_t, ByteTag> du16;
  const BytePlaces places =
      byte_places(load_places<kCoding>(increment, size_t{slot} * kSlotRows, weights));
  const auto* const bytes = reinterpret_cast<const uint8_t*>(window);
  const auto pick_kinds = [&](const uint8_t* tables) HWY_ATTR {
    return pick_bytes(
        [&](int64_t table) HWY_ATTR { return hn::Load(d, tables + table * kBlockBytes); }, places);
  };
  const ByteVector even = pick_kinds(bytes);
  const ByteVector odd = pick_kinds(bytes + kHalfBlock);
  const auto low = hn::BitCast(du16, hn::InterleaveLower(d, even, odd));
  const auto high = hn::BitCast(du16, hn::InterleaveUpper(d, even, odd));
  const auto lower = hn::ConcatLowerLower(du16, high, low);
  const auto upper = hn::ConcatUpperUpper(du16, high, low);
  elements[0] = hn::BitCast(PanelTag(), hn::InterleaveLower(du16, lower, upper));
  elements[1] = hn::BitCast(PanelTag(), hn::InterleaveUpper(du16, lower, upper));
}

#else

/// The weights of a slot that has one per row, and the elements that they meet.
template <PanelCoding kCoding>
HWY_INLINE void load_slot(const PanelIncrement& increment, uint32_t slot, const float* window,
                          WeightVector* weights, PanelVector* elements) {
  STRATA_UNROLL
  for (size_t v = 0; v < kSlotRows / kPanelLanes; ++v) {
    PlaceVector places;
    load_weights<kCoding>(increment, size_t{slot} * kSlotRows + v * kPanelLanes, weights[v],
                          places);
    elements[v] = pick(places, window);
  }
}

constexpr auto kByBytes = nullptr;

#endif

/// Two sums per vector of rows, so that an addition need not wait for the one before.
template <PanelCoding kCoding>
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
      WeightVector weights[kVectors];
      PanelVector elements[kVectors];
      load_slot<kCoding>(increment, slot, window, weights, elements);
      STRATA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::MulAdd(weights[v], elements[v], sum[v]);
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

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_SVE_256

/// Codes with floats: a word holds the two bytes of a row.
HWY_INLINE void add_codes_by_one(const PanelIncrement& increment, int64_t group_begin,
                                 int64_t group_end, const float* input, int64_t /*padded*/,
                                 float* sums) {
  const PanelTag d;
  const PlaceTag di;
  const hn::RebindToUnsigned<PlaceTag> du;
  const hn::Rebind<uint16_t, PanelTag> pair;
  constexpr size_t kVectors = kSlotRows / kPanelLanes;
  const auto load_pairs = [&](const void* bytes, size_t row) HWY_ATTR {
    return hn::PromoteTo(du, hn::Load(pair, static_cast<const uint16_t*>(bytes) + row));
  };
  for (int64_t group = group_begin; group < group_end; ++group) {
    PanelVector even[kVectors];
    PanelVector odd[kVectors];
    STRATA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) even[v] = odd[v] = hn::Zero(d);
    for (uint32_t slot = increment.group_begin[group]; slot < increment.group_begin[group + 1];
         ++slot) {
      const float* const window = input + size_t{increment.windows[slot]} * kWindowStep;
      STRATA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        const size_t row = size_t{slot} * kSlotRows + v * kPanelLanes;
        const auto codes = hn::BitCast(di, load_pairs(increment.codes, row));
        const auto places = load_pairs(increment.places, row);
        const auto first = hn::ConvertTo(d, hn::ShiftRight<24>(hn::ShiftLeft<24>(codes)));
        const auto second = hn::ConvertTo(d, hn::ShiftRight<24>(hn::ShiftLeft<16>(codes)));
        even[v] = hn::MulAdd(first, pick(hn::BitCast(di, places), window), even[v]);
        odd[v] =
            hn::MulAdd(second, pick(hn::BitCast(di, hn::ShiftRight<8>(places)), window), odd[v]);
      }
    }
    alignas(kCacheLine) float total[kSlotRows];
    STRATA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) {
      const float* const scales = increment.scales + group * kSlotRows + v * kPanelLanes;
      hn::Store(hn::Mul(hn::Add(even[v], odd[v]), hn::Load(d, scales)), d, total + v * kPanelLanes);
    }
    const uint8_t* const rows = increment.rows + group * kSlotRows;
    for (int64_t i = 0; i < kSlotRows; ++i) sums[rows[i]] += total[i];
  }
}

constexpr auto kSplitInput = nullptr;

#else

constexpr int32_t kBiasedOne = 127;        // exponent of 1 in a float
constexpr int32_t kExponentBits = 23;      // where it begins
constexpr int32_t kLargestExponent = 254;  // of a number that is finite

/// Behind the floats: the step, then the bytes, see split_floats().
HWY_INLINE float* split_step(float* input, int64_t padded) { return input + padded; }
HWY_INLINE const uint8_t* split_bytes(const float* input, int64_t padded) {
  return reinterpret_cast<const uint8_t*>(input + padded + kCacheLine / sizeof(float));
}

/// A step is a power of two: numbers of the largest exponent lose half a bit, or none.
void split_input(float* input, int64_t padded) {
  const PanelTag d;
  const PlaceTag di;
  const hn::RebindToUnsigned<PlaceTag> du;
  const hn::Rebind<uint8_t, PanelTag> byte;
  constexpr auto kLanes = static_cast<int64_t>(kPanelLanes);
  constexpr int32_t kMost = (1 << 23) - 1;
  auto most = hn::Zero(di);
  for (int64_t i = 0; i < padded; i += kLanes) {
    most = hn::Max(most, hn::BitCast(di, hn::Abs(hn::Load(d, input + i))));
  }
  const int32_t exponent = hn::GetLane(hn::MaxOfLanes(di, most)) >> kExponentBits;
  // Every number is below 2^(above - 127); neither power leaves the range of normal floats.
  const int32_t above = std::max(exponent + 1, 24);
  const bool finite = exponent <= kLargestExponent;
  const auto power = [](int32_t biased) {
    return bit_cast<float>(static_cast<uint32_t>(biased) << kExponentBits);
  };
  *split_step(input, padded) = finite ? power(above - 23) : std::numeric_limits<float>::quiet_NaN();
  const PanelVector inverse = hn::Set(d, finite ? power(2 * kBiasedOne + 23 - above) : 0.0F);
  auto* const bytes = const_cast<uint8_t*>(split_bytes(input, padded));
  for (int64_t i = 0; i < padded; i += kLanes) {
    const auto number = hn::BitCast(
        du, hn::Min(hn::NearestInt(hn::Mul(hn::Load(d, input + i), inverse)), hn::Set(di, kMost)));
    const auto low = hn::Set(du, 0xFF);
    hn::Store(hn::U8FromU32(hn::And(number, low)), byte, bytes + i);
    hn::Store(hn::U8FromU32(hn::And(hn::ShiftRight<8>(number), low)), byte, bytes + padded + i);
    hn::Store(hn::U8FromU32(hn::And(hn::ShiftRight<16>(number), low)), byte,
              bytes + 2 * padded + i);
  }
}

constexpr auto kSplitInput = split_input;

/// Codes with numbers of 24 bits: the upper 16 and the lower 8 have sums of their own.
HWY_INLINE void add_codes_by_one(const PanelIncrement& increment, int64_t group_begin,
                                 int64_t group_end, const float* input, int64_t padded,
                                 float* sums) {
  const ByteTag d;
  const hn::Repartition<int16_t, ByteTag> di16;
  const hn::Repartition<int32_t, ByteTag> di32;
  const hn::Repartition<float, ByteTag> df;
  constexpr size_t kSlotBytes = kSlotRows * weights_per_row(PanelCoding::kInt8);
  constexpr size_t kVectors = kSlotBytes / HWY_MIN(kSlotBytes, HWY_MAX_BYTES);
  constexpr size_t kBytes = kSlotBytes / kVectors;
  // As many products of a code and 16 bits as a sum of 32 bits holds, two per slot.
  constexpr uint32_t kSlots = 256;
  const float step = input[padded];
  const uint8_t* const low = split_bytes(input, padded);
  using Sum = hn::Vec<decltype(di32)>;
  for (int64_t group = group_begin; group < group_end; ++group) {
    // Of rows 0..3 and 4..7 of every 128 bits.
    hn::Vec<decltype(df)> total[kVectors][2];
    STRATA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) total[v][0] = total[v][1] = hn::Zero(df);
    const uint32_t end = increment.group_begin[group + 1];
    for (uint32_t begin = increment.group_begin[group]; begin < end; begin += kSlots) {
      Sum upper[kVectors][2][2];
      Sum lower[kVectors][2][2];
      STRATA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        STRATA_UNROLL
        for (size_t i = 0; i < 2; ++i) {
          upper[v][i][0] = upper[v][i][1] = lower[v][i][0] = lower[v][i][1] = hn::Zero(di32);
        }
      }
      for (uint32_t slot = begin; slot < std::min(begin + kSlots, end); ++slot) {
        const uint8_t* const window = low + size_t{increment.windows[slot]} * kWindowStep;
        STRATA_UNROLL
        for (size_t v = 0; v < kVectors; ++v) {
          const size_t at = size_t{slot} * kSlotBytes + v * kBytes;
          const BytePlaces places = byte_places(hn::Load(d, increment.places + at));
          const auto pick_from = [&](const uint8_t* tables) HWY_ATTR {
            return pick_bytes(
                [&](int64_t table)
                    HWY_ATTR { return hn::LoadDup128(d, tables + table * kTableBytes); },
                places);
          };
          const ByteVector byte0 = pick_from(window);
          const ByteVector byte1 = pick_from(window + padded);
          const ByteVector byte2 = pick_from(window + 2 * padded);
          const ByteVector codes =
              hn::Load(d, reinterpret_cast<const uint8_t*>(increment.codes) + at);
          const auto add = [&](auto code, auto high, auto rest, size_t i) HWY_ATTR {
            const auto factor = hn::ShiftRight<8>(hn::BitCast(di16, code));
            upper[v][i][0] = hn::ReorderWidenMulAccumulate(di32, factor, hn::BitCast(di16, high),
                                                           upper[v][i][0], upper[v][i][1]);
            lower[v][i][0] = hn::ReorderWidenMulAccumulate(di32, factor, hn::BitCast(di16, rest),
                                                           lower[v][i][0], lower[v][i][1]);
          };
          const ByteVector zero = hn::Zero(d);
          add(hn::InterleaveLower(d, codes, codes), hn::InterleaveLower(d, byte1, byte2),
              hn::InterleaveLower(d, byte0, zero), 0);
          add(hn::InterleaveUpper(d, codes, codes), hn::InterleaveUpper(d, byte1, byte2),
              hn::InterleaveUpper(d, byte0, zero), 1);
        }
      }
      STRATA_UNROLL
      for (size_t v = 0; v < kVectors; ++v) {
        STRATA_UNROLL
        for (size_t i = 0; i < 2; ++i) {
          const auto sum_of = [&](const Sum* sum) HWY_ATTR {
            return hn::ConvertTo(df, hn::RearrangeToOddPlusEven(sum[0], sum[1]));
          };
          const auto scaled =
              hn::MulAdd(sum_of(upper[v][i]), hn::Set(df, 256.0F), sum_of(lower[v][i]));
          total[v][i] = hn::Add(total[v][i], scaled);
        }
      }
    }
    alignas(kCacheLine) float by_half[2][kSlotRows / 2];
    STRATA_UNROLL
    for (size_t v = 0; v < kVectors; ++v) {
      STRATA_UNROLL
      for (size_t i = 0; i < 2; ++i) {
        hn::Store(total[v][i], df, by_half[i] + v * kBytes / sizeof(float));
      }
    }
    const float* const scales = increment.scales + group * kSlotRows;
    const uint8_t* const rows = increment.rows + group * kSlotRows;
    for (int64_t i = 0; i < kSlotRows; ++i) {
      const int64_t place = i / 8 * 4 + i % 4;
      sums[rows[i]] += by_half[i / 4 % 2][place] * scales[i] * step;
    }
  }
}

#endif

void panel_by_one(const PanelWeights& weights, int64_t panel, const float* input, float* sums) {
  std::fill_n(sums, weights.groups_per_panel * kSlotRows, 0.0F);
  const int64_t first = panel * weights.groups_per_panel;
  const int64_t last = first + weights.groups_per_panel;
  for (int64_t k = 0; k < weights.increment_count; ++k) {
    const PanelIncrement& increment = weights.increments[k];
    switch (increment.coding) {
      case PanelCoding::kWord:
        add_increment_by_one<PanelCoding::kWord>(increment, first, last, input, sums);
        break;
      case PanelCoding::kHalf:
        add_increment_by_one<PanelCoding::kHalf>(increment, first, last, input, sums);
        break;
      case PanelCoding::kInt8:
        add_codes_by_one(increment, first, last, input, weights.padded_columns, sums);
        break;
    }
  }
}

/// The sums of as many rows as registers allow.
template <PanelCoding kCoding>
HWY_INLINE void add_increment_by_several(const PanelIncrement& increment, int64_t group_begin,
                                         int64_t group_end, const float* input, float* sums) {
  const PanelTag d;
  constexpr auto kLanes = static_cast<int64_t>(kPanelLanes);
  constexpr int64_t kPerRow = weights_per_row(kCoding);
  constexpr int64_t kRows = kManyRegisters ? 16 : 8;
  for (int64_t group = group_begin; group < group_end; ++group) {
    for (int64_t half = 0; half < kSlotRows; half += kRows) {
      PanelVector sum[kRows];
      STRATA_UNROLL
      for (int64_t i = 0; i < kRows; ++i) sum[i] = hn::Zero(d);
      for (uint32_t slot = increment.group_begin[group]; slot < increment.group_begin[group + 1];
           ++slot) {
        const size_t from = (size_t{slot} * kSlotRows + static_cast<size_t>(half)) * kPerRow;
        const float* const window =
            input + size_t{increment.windows[slot]} * kWindowStep * kPanelLanes;
        alignas(kCacheLine) float weights[kRows * kPerRow];
        if constexpr (kCoding != PanelCoding::kWord) {
          STRATA_UNROLL
          for (int64_t i = 0; i < kRows * kPerRow; i += kLanes) {
            hn::Store(load_values<kCoding>(increment, from + static_cast<size_t>(i)), d,
                      weights + i);
          }
        }
        STRATA_UNROLL
        for (int64_t i = 0; i < kRows * kPerRow; ++i) {
          const size_t at = from + static_cast<size_t>(i);
          size_t place = 0;
          float weight = 0;
          if constexpr (kCoding != PanelCoding::kWord) {
            weight = weights[i];
            place = increment.places[at];
          } else {
            weight = bit_cast<float>(increment.words[at]);
            place = static_cast<size_t>(increment.words[at] % kWindowColumns);
          }
          PanelVector& row = sum[i / kPerRow];
          row = hn::MulAdd(hn::Set(d, weight), hn::Load(d, window + place * kPanelLanes), row);
        }
      }
      const uint8_t* const rows = increment.rows + group * kSlotRows + half;
      STRATA_UNROLL
      for (int64_t i = 0; i < kRows; ++i) {
        float* const to = sums + rows[i] * kLanes;
        PanelVector more = sum[i];
        if constexpr (kCoding == PanelCoding::kInt8) {
          more = hn::Mul(more, hn::Set(d, increment.scales[group * kSlotRows + half + i]));
        }
        hn::Store(hn::Add(hn::Load(d, to), more), d, to);
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
    switch (increment.coding) {
      case PanelCoding::kWord:
        add_increment_by_several<PanelCoding::kWord>(increment, first, last, input, sums);
        break;
      case PanelCoding::kHalf:
        add_increment_by_several<PanelCoding::kHalf>(increment, first, last, input, sums);
        break;
      case PanelCoding::kInt8:
        add_increment_by_several<PanelCoding::kInt8>(increment, first, last, input, sums);
        break;
    }
  }
}

PanelKernel panel_products() {
  // By measurement: the permutation beats loads of single elements by so much.
  constexpr int64_t kLeastSeveral = HWY_TARGET == HWY_AVX3 ? 7 : 2;
  return {static_cast<int64_t>(kPanelLanes),
          kLeastSeveral,
          panel_by_one,
          panel_by_several,
          kSplitInput,
          kByBytes};
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
