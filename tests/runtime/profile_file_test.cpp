// The file of profiles: what goes in comes out bit for bit, damage is found, and hostile bytes are
// refused before they cost memory.
#include "runtime/profile_file.h"

#include <cmath>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "format/layout.h"

namespace strata::runtime {
namespace {

StoredProfile sample(int steps, int levels, bool accuracy) {
  StoredProfile profile;
  profile.fingerprint = {0x1122334455667788, 99, 2, "A processor, avx3", "0.1.0, GNU 12"};
  route::ProfileTable& table = profile.table;
  table.threads = 2;
  table.step_count = steps;
  table.level_count = levels;
  table.high_quantile = 0.95;
  for (int i = 0; i < steps * levels; ++i) table.times.push_back({1.5 * i, 2.5 * i});
  if (accuracy) {
    for (int level = 0; level < levels; ++level) table.accuracy.levels.push_back(70 + level);
    table.accuracy.switch_points.push_back({1, 1, 0, 70.5});
  }
  return profile;
}

void expect_equal(const StoredProfile& a, const StoredProfile& b) {
  EXPECT_EQ(a.fingerprint, b.fingerprint);
  EXPECT_EQ(a.table.threads, b.table.threads);
  EXPECT_EQ(a.table.step_count, b.table.step_count);
  EXPECT_EQ(a.table.level_count, b.table.level_count);
  EXPECT_EQ(a.table.high_quantile, b.table.high_quantile);
  ASSERT_EQ(a.table.times.size(), b.table.times.size());
  for (size_t i = 0; i < a.table.times.size(); ++i) {
    EXPECT_EQ(a.table.times[i].median_ns, b.table.times[i].median_ns);
    EXPECT_EQ(a.table.times[i].high_ns, b.table.times[i].high_ns);
  }
  EXPECT_EQ(a.table.accuracy.levels, b.table.accuracy.levels);
  ASSERT_EQ(a.table.accuracy.switch_points.size(), b.table.accuracy.switch_points.size());
  for (size_t i = 0; i < a.table.accuracy.switch_points.size(); ++i) {
    const route::SwitchPoint& x = a.table.accuracy.switch_points[i];
    const route::SwitchPoint& y = b.table.accuracy.switch_points[i];
    EXPECT_TRUE(x.step == y.step && x.from == y.from && x.to == y.to && x.metric == y.metric);
  }
}

std::vector<uint8_t> encoded(const std::vector<StoredProfile>& profiles) {
  auto bytes = encode_profiles(profiles);
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  return bytes.value();
}

/// Makes the checksum right again, as someone with bad intentions would.
void seal(std::vector<uint8_t>& bytes) {
  const uint64_t sum = format::checksum(std::span(bytes).first(bytes.size() - sizeof(uint64_t)));
  std::memcpy(bytes.data() + bytes.size() - sizeof sum, &sum, sizeof sum);
}

TEST(ProfileFile, GivesBackWhatWasStored) {
  const std::vector<StoredProfile> profiles = {sample(5, 3, true), sample(1, 1, false),
                                               sample(100, 16, false)};
  const auto decoded = decode_profiles(encoded(profiles), "p");
  ASSERT_TRUE(decoded.ok()) << decoded.status().message();
  ASSERT_EQ(decoded->size(), profiles.size());
  for (size_t i = 0; i < profiles.size(); ++i) expect_equal(decoded.value()[i], profiles[i]);
  EXPECT_EQ(decode_profiles(encoded({}), "p")->size(), 0U);
}

TEST(ProfileFile, EveryFlippedBitAndEveryTruncationIsFound) {
  const std::vector<uint8_t> bytes = encoded({sample(3, 2, true)});
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_profiles(std::span(bytes).first(size), "p").ok()) << size;
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<uint8_t> damaged = bytes;
    damaged[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(decode_profiles(damaged, "p").ok()) << bit;
  }
}

TEST(ProfileFile, SaysWhatIsWrong) {
  const std::string text = "hello";
  const auto foreign =
      decode_profiles({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, "x.profile");
  EXPECT_EQ(foreign.status().message(), "'x.profile' is not a file of profiles");
  std::vector<uint8_t> newer = encoded({sample(3, 2, true)});
  newer[8] = 2;
  EXPECT_EQ(decode_profiles(newer, "x.profile").status().message(),
            "'x.profile' has version 2 of the profile format, this build reads up to version 1; "
            "update strata, or delete it and measure again with 'strata profile'");
  std::vector<uint8_t> damaged = encoded({sample(3, 2, true)});
  damaged.back() ^= 1;
  EXPECT_EQ(decode_profiles(damaged, "x.profile").status().message(),
            "'x.profile' is damaged: its checksum does not match; delete it and measure again with "
            "'strata profile'");
}

TEST(ProfileFile, CountsThatCannotBeAreRefusedWithoutTakingMemory) {
  const std::vector<uint8_t> good = encoded({sample(3, 2, true)});
  constexpr size_t kFirstCount = 32;  // after the header, model and graph
  for (size_t field = 0; field < 8; ++field) {
    for (const uint32_t value : {0xFFFFFFFFU, 0x7FFFFFFFU, 0x00FFFFFFU, 17U, 0U}) {
      std::vector<uint8_t> hostile = good;
      std::memcpy(hostile.data() + kFirstCount + field * sizeof value, &value, sizeof value);
      if (hostile == good) continue;
      seal(hostile);
      const auto decoded = decode_profiles(hostile, "p");
      if (decoded.ok()) {  // e.g. another thread count
        EXPECT_LE(decoded.value()[0].table.times.size(), good.size());
      }
    }
  }
  std::vector<uint8_t> many = good;
  many[12] = 200;
  seal(many);
  EXPECT_FALSE(decode_profiles(many, "p").ok());
}

TEST(ProfileFile, RandomEditsAreRefusedOrGiveTablesThatFit) {
  const std::vector<uint8_t> good = encoded({sample(3, 2, true), sample(2, 3, false)});
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint8_t> edited = good;
    for (uint32_t i = 0; i < 1 + random() % 4; ++i) {
      edited[random() % edited.size()] = static_cast<uint8_t>(random());
    }
    seal(edited);
    const auto decoded = decode_profiles(edited, "p");
    if (!decoded.ok()) continue;
    for (const StoredProfile& profile : decoded.value()) {
      const route::ProfileTable& table = profile.table;
      ASSERT_EQ(table.times.size(), static_cast<size_t>(table.step_count * table.level_count));
      const auto made = route::Profile::create(table);  // refused or sound
      if (!made.ok()) continue;
      for (int step = 0; step < table.step_count; ++step) {
        ASSERT_TRUE(std::isfinite(made->step_ns(step, 0)));
        ASSERT_GT(made->step_ns(step, 0), 0);
      }
    }
  }
}

TEST(ProfileFile, RefusesToStoreWhatItCouldNotRead) {
  StoredProfile wrong = sample(3, 2, false);
  wrong.table.times.pop_back();
  EXPECT_FALSE(encode_profiles(std::vector{wrong}).ok());
  wrong = sample(3, 2, true);
  wrong.table.accuracy.levels.pop_back();
  EXPECT_FALSE(encode_profiles(std::vector{wrong}).ok());
  EXPECT_FALSE(encode_profiles(std::vector(kMaxStoredProfiles + 1, sample(1, 1, false))).ok());
}

TEST(ProfileFile, FindsTheOneThatFitsOrSaysWhatDiffers) {
  const StoredProfile stored = sample(3, 2, false);
  const std::vector<StoredProfile> profiles = {sample(1, 1, false), stored};
  ProfileFingerprint wanted = stored.fingerprint;
  EXPECT_TRUE(find_profile(profiles, wanted, "p").ok());
  EXPECT_NE(find_profile({}, wanted, "p").status().message().find("holds no profile"),
            std::string::npos);
  wanted.cpu = "Another";
  EXPECT_EQ(
      find_profile(profiles, wanted, "p").status().message(),
      "the profile in 'p' was measured on 'A processor, avx3', this is 'Another'; measure one "
      "with 'strata profile'");
  wanted = stored.fingerprint;
  wanted.build = "0.2.0, Clang 14";
  EXPECT_EQ(find_profile(profiles, wanted, "p").status().message(),
            "the profile in 'p' was measured with the build '0.1.0, GNU 12', this is '0.2.0, Clang "
            "14'; measure one with 'strata profile'");
}

}  // namespace
}  // namespace strata::runtime
