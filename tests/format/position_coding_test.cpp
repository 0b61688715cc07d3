// Places: what is coded is decoded, near the entropy bound, and nothing else decodes.
#include "format/position_coding.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace strata::format {
namespace {

struct Places {
  std::vector<uint32_t> positions;
  std::vector<uint32_t> occupied;
};

/// Each element is occupied, else taken, with the given chances in percent.
Places random_places(uint32_t elements, uint64_t occupied, uint64_t taken, uint64_t seed) {
  std::mt19937_64 random(seed);
  Places places;
  for (uint32_t i = 0; i < elements; ++i) {
    if (random() % 100 < occupied) {
      places.occupied.push_back(i);
    } else if (random() % 100 < taken) {
      places.positions.push_back(i);
    }
  }
  return places;
}

RC_GTEST_PROP(PositionCoding, AnyPlacesComeBack, ()) {
  const auto elements = *rc::gen::inRange<uint32_t>(1, 400);
  const auto percent = rc::gen::element<uint64_t>(0, 1, 10, 50, 90, 99, 100);
  const Places places =
      random_places(elements, *percent, *percent, *rc::gen::arbitrary<uint64_t>());
  const CodedPositions coded = encode_positions(places.positions, places.occupied, elements);
  const auto back =
      decode_positions(coded.code, coded.bytes, places.positions.size(), places.occupied, elements);
  RC_ASSERT(back == places.positions);
}

TEST(PositionCoding, ReachesTheLastPositionOfTheLargestTensor) {
  constexpr uint64_t kElements = 0xFFFFFFFF;
  const std::vector<std::vector<uint32_t>> cases = {{0xFFFFFFFE}, {0, 0xFFFFFFFE}, {0x80000000}};
  for (const auto& positions : cases) {
    const CodedPositions coded = encode_positions(positions, {}, kElements);
    EXPECT_LT(coded.bytes.size(), 16U);
    EXPECT_EQ(decode_positions(coded.code, coded.bytes, positions.size(), {}, kElements),
              positions);
    EXPECT_FALSE(decode_positions(coded.code, coded.bytes, positions.size(), {}, positions.back()));
  }
}

TEST(PositionCoding, CodesOfAnyLengthComeBackOneBehindTheOther) {
  std::mt19937_64 random(11);
  for (const int most_bits : {1, 4, 9, 14, 20}) {
    std::vector<uint32_t> positions;
    uint64_t next = 0;
    for (int i = 0; i < 3000; ++i) {
      next += random() >> (64 - 1 - random() % static_cast<uint64_t>(most_bits));
      positions.push_back(static_cast<uint32_t>(next++));
    }
    const CodedPositions coded = encode_positions(positions, {}, next + 3);
    ASSERT_EQ(coded.code.coding,
              next + 3 < 2 * positions.size() ? PositionCoding::kLeft : PositionCoding::kTaken);
    EXPECT_EQ(decode_positions(coded.code, coded.bytes, positions.size(), {}, next + 3), positions);
  }
}

TEST(PositionCoding, AllFreePlacesCostNothing) {
  const Places places = random_places(1000, 30, 100, 5);
  EXPECT_TRUE(encode_positions(places.positions, places.occupied, 1000).bytes.empty());
}

/// At any density within 4 % or 0.05 bits per element of the smaller side of the bound.
TEST(PositionCoding, IsNearTheEntropyBoundAtEveryDensity) {
  constexpr uint32_t kElements = 200000;
  for (uint64_t taken = 1; taken < 100; taken += 2) {
    const Places places = random_places(kElements, 20, taken, taken);
    const CodedPositions coded = encode_positions(places.positions, places.occupied, kElements);
    const uint64_t free = kElements - places.occupied.size();
    const double bound = entropy_bits(free, places.positions.size());
    EXPECT_LT(static_cast<double>(coded.bytes.size() * 8), 1.045 * bound) << taken << " %";
    EXPECT_GE(static_cast<double>(coded.bytes.size() * 8), 0.99 * bound) << taken << " %";
  }
}

TEST(PositionCoding, ClusteredPlacesCostLittleMoreThanTheBound) {
  Places places;
  for (uint32_t row = 0; row < 1000; row += 10) {
    for (uint32_t i = 0; i < 100; ++i) places.positions.push_back(row * 100 + i);
  }
  const CodedPositions coded = encode_positions(places.positions, {}, 100000);
  EXPECT_LT(static_cast<double>(coded.bytes.size() * 8), entropy_bits(100000, 10000));
}

TEST(PositionCoding, WrongCountsAndTruncatedCodesAreRefused) {
  for (const uint64_t taken : {5, 50, 80}) {
    const Places places = random_places(500, 20, taken, 3);
    const CodedPositions coded = encode_positions(places.positions, places.occupied, 500);
    const uint64_t count = places.positions.size();
    const auto decode = [&](std::span<const uint8_t> bytes, uint64_t n) {
      return decode_positions(coded.code, bytes, n, places.occupied, 500);
    };
    ASSERT_TRUE(decode(coded.bytes, count));
    EXPECT_FALSE(decode(coded.bytes, uint64_t{1} << 40));
    EXPECT_FALSE(decode(coded.bytes, 501));
    for (size_t size = 0; size < coded.bytes.size(); ++size) {
      const std::vector<uint8_t> cut(coded.bytes.begin(),
                                     coded.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_FALSE(decode(cut, count)) << size;
    }
    std::vector<uint8_t> longer = coded.bytes;
    longer.push_back(0);
    EXPECT_FALSE(decode(longer, count));
    EXPECT_FALSE(
        decode_positions({coded.code.coding, 0}, coded.bytes, count, places.occupied, 500));
  }
}

/// Whatever the bytes are: nothing, or places that are ascending, free and inside.
RC_GTEST_PROP(PositionCoding, AnyBytesDecodeToNothingOrToSoundPlaces, ()) {
  const auto bytes = *rc::gen::container<std::vector<uint8_t>>(rc::gen::arbitrary<uint8_t>());
  const Places places = random_places(300, 20, 50, *rc::gen::arbitrary<uint64_t>());
  const PositionCode code = {*rc::gen::element(PositionCoding::kTaken, PositionCoding::kLeft),
                             *rc::gen::element<uint32_t>(1, 2, 3, 7, 0x80000000, 0xFFFFFFFF)};
  const auto count = *rc::gen::inRange<uint64_t>(0, 301);
  const auto back = decode_positions(code, bytes, count, places.occupied, 300);
  if (!back) return;
  RC_ASSERT(back->size() == count);
  RC_ASSERT(std::is_sorted(back->begin(), back->end(), std::less_equal<>()));
  for (const uint32_t position : *back) {
    RC_ASSERT(position < 300U);
    RC_ASSERT(!std::binary_search(places.occupied.begin(), places.occupied.end(), position));
  }
}

TEST(EntropyBits, IsTheLogarithmOfTheCountOfChoices) {
  EXPECT_NEAR(entropy_bits(4, 2), std::log2(6), 1e-9);
  EXPECT_NEAR(entropy_bits(52, 5), std::log2(2598960), 1e-9);
  EXPECT_EQ(entropy_bits(1000, 0), 0);
  EXPECT_NEAR(entropy_bits(1000, 1000), 0, 1e-9);
}

}  // namespace
}  // namespace strata::format
