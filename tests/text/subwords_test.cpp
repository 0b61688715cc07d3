// Sub-words: learned from text, carried by a model, back to text without loss.
#include "train/text/subwords.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "train/error.h"

namespace strata::text {
namespace {

std::vector<std::string> sentences() {
  std::vector<std::string> all;
  for (const char* who : {"Ein Mann", "Eine Frau", "Das Kind", "Ein Hund", "Die Katze"}) {
    for (const char* what : {"läuft über die Straße.", "schläft im Garten.", "sieht den Bus."}) {
      all.push_back(std::string(who) + " " + what);
    }
  }
  return all;
}

TEST(Subwords, GiveTheSentenceBack) {
  const Subwords subwords = Subwords::learn(sentences(), 80);
  EXPECT_EQ(subwords.size(), 80);
  for (const std::string& sentence : sentences()) {
    const std::vector<int64_t> numbers = subwords.encode(sentence);
    EXPECT_LT(numbers.size(), sentence.size());
    EXPECT_EQ(subwords.decode(numbers), sentence);
  }
  EXPECT_TRUE(subwords.encode("").empty());
  EXPECT_EQ(subwords.decode({}), "");
}

TEST(Subwords, AreTheSameFromTheSameText) {
  EXPECT_EQ(Subwords::learn(sentences(), 80).bytes(), Subwords::learn(sentences(), 80).bytes());
}

TEST(Subwords, TravelInsideAModel) {
  const Subwords subwords = Subwords::learn(sentences(), 80);
  graph::Model model;
  model.name = "translator";
  EXPECT_THROW((void)Subwords::of(model), Error);
  model.constants.push_back(subwords.constant());
  EXPECT_EQ(Subwords::of(model).encode("Ein Hund schläft."), subwords.encode("Ein Hund schläft."));
}

TEST(Subwords, LeaveOutWhatIsNone) {
  const Subwords subwords = Subwords::learn(sentences(), 80);
  std::vector<int64_t> numbers = subwords.encode("Ein Hund");
  numbers.insert(numbers.begin(), kBegin);
  for (const int64_t none : {kEnd, kPadding, kUnknown, int64_t{-1}, int64_t{1} << 40}) {
    numbers.push_back(none);
  }
  EXPECT_EQ(subwords.decode(numbers), "Ein Hund");
}

TEST(Subwords, SayWhichSizeTheTextCannotFill) {
  try {
    (void)Subwords::learn(sentences(), 100000);
    FAIL() << "learned too much";
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what())
                    .starts_with(
                        "cannot learn 100000 sub-words from 15 sentences; change model.vocabulary"))
        << error.what();
  }
  EXPECT_THROW((void)Subwords::learn({}, 80), Error);
}

TEST(Subwords, RefuseWhatIsNoVocabulary) {
  EXPECT_THROW((void)Subwords::from_bytes(""), Error);
  EXPECT_THROW((void)Subwords::from_bytes("not a vocabulary"), Error);
  rc::check([](std::string bytes) {
    RC_ASSERT_THROWS_AS((void)Subwords::from_bytes(std::move(bytes)), Error);
  });
}

TEST(Subwords, SurviveDamage) {
  const std::string whole = Subwords::learn(sentences(), 80).bytes();
  rc::check([&] {
    std::string bytes = whole;
    const auto changes = *rc::gen::inRange(1, 8);
    for (int i = 0; i < changes; ++i) {
      bytes[*rc::gen::inRange(size_t{0}, bytes.size())] = *rc::gen::arbitrary<char>();
    }
    try {
      const Subwords subwords = Subwords::from_bytes(bytes);
      (void)subwords.decode(subwords.encode("Ein Hund schläft im Garten."));
    } catch (const Error&) {  // refused
    }
  });
}

}  // namespace
}  // namespace strata::text
