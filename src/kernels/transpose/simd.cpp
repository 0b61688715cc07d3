// Squares of 16 by 16, so that cache lines are read and written whole; inside them four columns of
// four rows (eight, where vectors hold two blocks of four) are turned in registers.
#include <algorithm>

#include "kernels/transpose/transpose.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/transpose/simd.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch-inl.h"

HWY_BEFORE_NAMESPACE();
namespace strata::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

constexpr int64_t kColumns = 4;
constexpr int64_t kMostLanes = HWY_MAX_BYTES >= 32 ? 8 : 4;
using Four = hn::FixedTag<float, 4>;

/// Four columns of one row, and of the row four further down where there are eight lanes.
HWY_INLINE hn::VFromD<Four> load(Four d, const float* from, int64_t /*from_stride*/) {
  return hn::LoadU(d, from);
}
#if HWY_MAX_BYTES >= 32
using Eight = hn::FixedTag<float, 8>;
HWY_INLINE hn::VFromD<Eight> load(Eight d, const float* from, int64_t from_stride) {
  const Four half;
  return hn::Combine(d, hn::LoadU(half, from + 4 * from_stride), hn::LoadU(half, from));
}
#endif

/// As many rows as `d` has lanes, four columns of them.
template <class D>
HWY_INLINE void turn(D d, const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  const hn::Repartition<uint64_t, D> pairs;
  const auto a = load(d, from, from_stride);
  const auto b = load(d, from + from_stride, from_stride);
  const auto c = load(d, from + 2 * from_stride, from_stride);
  const auto e = load(d, from + 3 * from_stride, from_stride);
  const auto low_ab = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto high_ab = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto low_ce = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
  const auto high_ce = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low_ab, low_ce)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low_ab, low_ce)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high_ab, high_ce)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high_ab, high_ce)), d, to + 3 * to_stride);
}

/// `rows` is the number of lanes of `d`.
template <class D>
HWY_INLINE void turn_rows(D d, const float* from, int64_t from_stride, int64_t rows,
                          int64_t columns, float* to, int64_t to_stride) {
  int64_t column = 0;
  for (; column + kColumns <= columns; column += kColumns) {
    turn(d, from + column, from_stride, to + column * to_stride, to_stride);
  }
  for (; column < columns; ++column) {
    for (int64_t row = 0; row < rows; ++row) {
      to[column * to_stride + row] = from[row * from_stride + column];
    }
  }
}

void square(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
            int64_t to_stride) {
  int64_t row = 0;
  for (; row + kMostLanes <= rows; row += kMostLanes) {
    turn_rows(hn::FixedTag<float, kMostLanes>(), from + row * from_stride, from_stride, kMostLanes,
              columns, to + row, to_stride);
  }
  if (row + 4 <= rows) {
    turn_rows(Four(), from + row * from_stride, from_stride, 4, columns, to + row, to_stride);
    row += 4;
  }
  for (; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      to[column * to_stride + row] = from[row * from_stride + column];
    }
  }
}

void run(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
         int64_t to_stride) {
  constexpr int64_t kSide = 16;
  for (int64_t top = 0; top < rows; top += kSide) {
    for (int64_t left = 0; left < columns; left += kSide) {
      square(from + top * from_stride + left, from_stride, std::min(kSide, rows - top),
             std::min(kSide, columns - left), to + left * to_stride + top, to_stride);
    }
  }
}

#endif

}  // namespace HWY_NAMESPACE
}  // namespace strata::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace strata::kernels {

TransposeFunction transpose_kernel(Target target) {
  STRATA_RETURN_FOR_TARGET(target, run, transpose_reference)
}

}  // namespace strata::kernels
#endif
