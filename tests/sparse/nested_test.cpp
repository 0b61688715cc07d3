// The nesting rule, as properties over random tensors of any level count.
#include "sparse/nested.h"

#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/bit_cast.h"

namespace strata::sparse {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

/// Values and, per element, the first level that has it (level_count: none has).
struct Case {
  std::vector<int64_t> shape;
  size_t level_count = 1;
  std::vector<float> values;
  std::vector<size_t> first_level;

  [[nodiscard]] std::vector<std::vector<uint8_t>> masks() const {
    std::vector<std::vector<uint8_t>> result(level_count, std::vector<uint8_t>(values.size()));
    for (size_t level = 0; level < level_count; ++level) {
      for (size_t i = 0; i < values.size(); ++i) result[level][i] = first_level[i] <= level ? 1 : 0;
    }
    return result;
  }
  [[nodiscard]] std::vector<float> dense(size_t level) const {
    std::vector<float> result(values.size(), 0.0F);
    for (size_t i = 0; i < values.size(); ++i) {
      if (first_level[i] <= level && values[i] != 0.0F) result[i] = values[i];
    }
    return result;
  }
};

/// Any finite float: ordinary ones, denormals, zeros of either sign.
float any_value() {
  const auto bits = *rc::gen::arbitrary<uint32_t>();
  const auto value = bit_cast<float>(bits);
  if (std::isfinite(value) && bits % 4 != 0) return value;
  return *rc::gen::element(0.0F, -0.0F, 1.0F, -1.0F, kDenormal, -kDenormal,
                           std::numeric_limits<float>::max());
}

Case any_case(size_t least_levels = 1) {
  Case result;
  size_t count = 1;
  const auto rank = *rc::gen::inRange(0, 5);
  for (int i = 0; i < rank; ++i) {
    result.shape.push_back(*rc::gen::inRange<int64_t>(1, 5));
    count *= static_cast<size_t>(result.shape.back());
  }
  result.level_count = *rc::gen::inRange<size_t>(least_levels, 6);
  for (size_t i = 0; i < count; ++i) {
    result.values.push_back(any_value());
    result.first_level.push_back(*rc::gen::inRange<size_t>(0, result.level_count + 1));
  }
  return result;
}

NestedTensor nested(const Case& c) {
  Result<NestedTensor> tensor = nest(c.shape, c.values, c.masks());
  RC_ASSERT(tensor.ok());
  return std::move(tensor).value();
}

/// Bit for bit, so that zeros of different sign differ.
bool identical(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (bit_cast<uint32_t>(a[i]) != bit_cast<uint32_t>(b[i])) return false;
  }
  return true;
}

RC_GTEST_PROP(Nesting, DensifyReturnsEveryLevelBitForBit, ()) {
  const Case c = any_case();
  const NestedTensor tensor = nested(c);
  for (size_t level = 0; level < c.level_count; ++level) {
    RC_ASSERT(identical(densify(tensor, static_cast<int>(level)), c.dense(level)));
  }
}

RC_GTEST_PROP(Nesting, LevelsAndMasksGiveTheSameTensor, ()) {
  const Case c = any_case();
  std::vector<std::vector<float>> levels;
  for (size_t level = 0; level < c.level_count; ++level) levels.push_back(c.dense(level));
  const Result<NestedTensor> from_levels = nest_levels(c.shape, levels);
  RC_ASSERT(from_levels.ok());
  RC_ASSERT(from_levels.value() == nested(c));
}

RC_GTEST_PROP(Nesting, MasksOfLevelsAreInsideEachOther, ()) {
  const Case c = any_case();
  const NestedTensor tensor = nested(c);
  std::vector<uint8_t> below(c.values.size(), 0);
  for (int level = 0; level < static_cast<int>(c.level_count); ++level) {
    const std::vector<uint8_t> present = mask(tensor, level);
    const std::vector<float> dense = densify(tensor, level);
    int64_t count = 0;
    for (size_t i = 0; i < present.size(); ++i) {
      RC_ASSERT(present[i] >= below[i]);
      RC_ASSERT((present[i] == 1) == (dense[i] != 0.0F));
      count += present[i];
    }
    RC_ASSERT(tensor.nonzeros(level) == count);
    below = present;
  }
}

RC_GTEST_PROP(Nesting, IncrementsAreDisjointAndCoverTheTopLevel, ()) {
  const Case c = any_case();
  const NestedTensor tensor = nested(c);
  RC_ASSERT(tensor.increments.size() == c.level_count);
  RC_ASSERT(tensor.element_count() == static_cast<int64_t>(c.values.size()));
  std::vector<int> taken(c.values.size(), 0);
  for (const Increment& increment : tensor.increments) {
    for (const uint32_t position : increment.positions) ++taken[position];
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    const bool present = c.first_level[i] < c.level_count && c.values[i] != 0.0F;
    RC_ASSERT(taken[i] == (present ? 1 : 0));
  }
  RC_ASSERT(check(tensor, "w").ok());
}

RC_GTEST_PROP(Nesting, OneChangedBitInALowerLevelIsRefused, ()) {
  Case c = any_case(2);
  const auto place = *rc::gen::inRange<size_t>(0, c.values.size());
  const auto level = *rc::gen::inRange<size_t>(0, c.level_count - 1);
  if (c.values[place] == 0.0F) c.values[place] = kDenormal;
  c.first_level[place] = level;
  std::vector<std::vector<float>> levels;
  for (size_t k = 0; k < c.level_count; ++k) levels.push_back(c.dense(k));
  RC_ASSERT(nest_levels(c.shape, levels).ok());

  const auto flip = [&](int bit) {
    return bit_cast<float>(bit_cast<uint32_t>(levels[level][place]) ^ (uint32_t{1} << bit));
  };
  float flipped = flip(*rc::gen::inRange(0, 32));
  if (flipped == 0.0F) flipped = flip(31);  // zero would only move the weight to an upper level
  levels[level][place] = flipped;
  const Result<NestedTensor> refused = nest_levels(c.shape, levels);
  RC_ASSERT(!refused.ok());
  RC_ASSERT(refused.status().message().find("level " + std::to_string(level) + " at position " +
                                            std::to_string(place)) != std::string::npos);
}

RC_GTEST_PROP(Nesting, AMaskOutsideTheNextIsRefused, ()) {
  const Case c = any_case(2);
  std::vector<std::vector<uint8_t>> masks = c.masks();
  const auto place = *rc::gen::inRange<size_t>(0, c.values.size());
  const auto level = *rc::gen::inRange<size_t>(0, c.level_count - 1);
  for (size_t k = 0; k <= level; ++k) masks[k][place] = k == level ? 1 : 0;
  masks[level + 1][place] = 0;
  const Result<NestedTensor> refused = nest(c.shape, c.values, masks);
  RC_ASSERT(!refused.ok());
  RC_ASSERT(refused.status().message().find("level " + std::to_string(level) + " at position " +
                                            std::to_string(place)) != std::string::npos);
}

RC_GTEST_PROP(Nesting, ValuesThatAreNotFiniteAreRefused, ()) {
  Case c = any_case();
  const auto place = *rc::gen::inRange<size_t>(0, c.values.size());
  c.values[place] = *rc::gen::element(kInfinity, -kInfinity, kNan, -kNan);
  RC_ASSERT(!nest(c.shape, c.values, c.masks()).ok());

  std::vector<std::vector<float>> levels(c.level_count, std::vector<float>(c.values.size(), 0.0F));
  levels[*rc::gen::inRange<size_t>(0, c.level_count)][place] = c.values[place];
  RC_ASSERT(!nest_levels(c.shape, levels).ok());
}

TEST(Nesting, MaskBytesOtherThanOneMeanPresent) {
  const auto tensor = nest({3}, std::vector<float>{1, 2, 3},
                           std::vector<std::vector<uint8_t>>{{0, 255, 0}, {2, 1, 0}});
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->increments[0], (Increment{{1}, {2}}));
  EXPECT_EQ(tensor->increments[1], (Increment{{0}, {1}}));
}

TEST(Nesting, ZerosOfEitherSignAreAbsentAndDenormalsStay) {
  const std::vector<float> values{0.0F, -0.0F, kDenormal, -kDenormal};
  const auto tensor = nest({4}, values, std::vector<std::vector<uint8_t>>{{1, 1, 1, 1}});
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->increments[0].positions, (std::vector<uint32_t>{2, 3}));
  EXPECT_TRUE(identical(densify(*tensor, 0), {0.0F, 0.0F, kDenormal, -kDenormal}));
}

TEST(Nesting, ANegativeZeroBelowAWeightIsAbsence) {
  const auto tensor = nest_levels({1}, std::vector<std::vector<float>>{{-0.0F}, {5.0F}});
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->nonzeros(0), 0);
  EXPECT_EQ(tensor->nonzeros(1), 1);
}

TEST(Nesting, ALevelMayAddNothingAndATensorMayBeEmptyOrFull) {
  const std::vector<float> values{1, 2};
  const auto empty = nest({2}, values, std::vector<std::vector<uint8_t>>{{0, 0}, {0, 0}});
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(check(*empty, "w").ok());
  EXPECT_EQ(empty->nonzeros(1), 0);
  EXPECT_EQ(densify(*empty, 1), (std::vector<float>{0, 0}));
  const auto full = nest({2}, values, std::vector<std::vector<uint8_t>>{{1, 1}, {1, 1}});
  ASSERT_TRUE(full.ok());
  EXPECT_TRUE(check(*full, "w").ok());
  EXPECT_EQ(full->nonzeros(0), 2);
  EXPECT_TRUE(full->increments[1].positions.empty());
  EXPECT_EQ(densify(*full, 1), values);
}

TEST(Nesting, SizesThatDifferAreRefused) {
  const std::vector<float> values{1, 2};
  using Masks = std::vector<std::vector<uint8_t>>;
  using Levels = std::vector<std::vector<float>>;
  EXPECT_FALSE(nest({3}, values, Masks{{1, 1, 1}}).ok());
  EXPECT_FALSE(nest({2}, values, Masks{{1, 1}, {1}}).ok());
  EXPECT_FALSE(nest({2}, values, Masks{}).ok());
  EXPECT_FALSE(nest_levels({2}, Levels{{1, 2}, {1, 2, 3}}).ok());
  EXPECT_FALSE(nest_levels({2}, Levels{}).ok());
}

TEST(Nesting, ShapesThatHoldNothingOrTooMuchAreRefused) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  const std::vector<std::vector<int64_t>> shapes{
      {0},       {3, 0, 2}, {-1}, {-2, -2}, {int64_t{1} << 32}, {65536, 65536}, {kHuge, kHuge},
      {2, kHuge}};
  for (const std::vector<int64_t>& shape : shapes) {
    EXPECT_FALSE(nest(shape, {}, std::vector<std::vector<uint8_t>>{{}}).ok());
    EXPECT_FALSE(nest_levels(shape, std::vector<std::vector<float>>{{}}).ok());
    EXPECT_FALSE(check({shape, {{}}}, "w").ok());
    EXPECT_EQ((NestedTensor{shape, {}}.element_count()), 0);
  }
}

TEST(CheckTensor, AHugeShapeCostsOnlyItsNonzeros) {
  const NestedTensor tensor{{65535, 65537}, {{{4294967294U}, {1.0F}}}};  // 2^32 - 1 elements
  EXPECT_TRUE(check(tensor, "w").ok());
}

TEST(CheckTensor, EveryCorruptionIsFoundAndNamed) {
  const NestedTensor good{{2, 3}, {{{1, 4}, {1.0F, 2.0F}}, {}, {{0, 5}, {3.0F, 4.0F}}}};
  ASSERT_TRUE(check(good, "layer1.weight").ok());

  struct Corruption {
    const char* what;
    void (*apply)(NestedTensor&);
  };
  const std::vector<Corruption> corruptions{
      {"no level", [](NestedTensor& t) { t.increments.clear(); }},
      {"values", [](NestedTensor& t) { t.increments[0].values.pop_back(); }},
      {"values", [](NestedTensor& t) { t.increments[1].values.push_back(1.0F); }},
      {"ascend",
       [](NestedTensor& t) {
         std::swap(t.increments[0].positions[0], t.increments[0].positions[1]);
       }},
      {"ascend", [](NestedTensor& t) { t.increments[0].positions[1] = 1; }},
      {"outside", [](NestedTensor& t) { t.increments[2].positions[1] = 6; }},
      {"outside", [](NestedTensor& t) { t.increments[2].positions[1] = 4294967295U; }},
      {"already taken", [](NestedTensor& t) { t.increments[2].positions[0] = 1; }},
      {"already taken",
       [](NestedTensor& t) {
         t.increments[1] = {{4}, {2.0F}};
       }},
      {"zero", [](NestedTensor& t) { t.increments[2].values[0] = 0.0F; }},
      {"zero", [](NestedTensor& t) { t.increments[2].values[0] = -0.0F; }},
      {"not finite", [](NestedTensor& t) { t.increments[0].values[1] = kNan; }},
      {"not finite", [](NestedTensor& t) { t.increments[0].values[1] = -kInfinity; }},
      {"dimension",
       [](NestedTensor& t) {
         t.shape = {0, 3};
       }},
      {"dimension",
       [](NestedTensor& t) {
         t.shape = {-2, -3};
       }},
      {"elements",
       [](NestedTensor& t) {
         t.shape = {65536, 65536};
       }},
      {"outside",
       [](NestedTensor& t) {
         t.shape = {2, 2};
       }},
  };
  for (const Corruption& corruption : corruptions) {
    NestedTensor bad = good;
    corruption.apply(bad);
    const Status status = check(bad, "layer1.weight");
    EXPECT_FALSE(status.ok()) << corruption.what;
    EXPECT_NE(status.message().find(corruption.what), std::string::npos) << status.message();
    EXPECT_NE(status.message().find("'layer1.weight'"), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace strata::sparse
