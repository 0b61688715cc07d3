// BLEU: scores that sacreBLEU's own tests state, and what must hold for any text.
#include "train/text/bleu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "train/error.h"
#include "train/text/bleu_tokenizer.h"

namespace strata::text {
namespace {

using ::testing::ElementsAre;
using Sentences = std::vector<std::string>;

Bleu bleu_of(const Sentences& hypotheses, const std::vector<Sentences>& references) {
  return corpus_bleu(hypotheses, references);
}

// test_bleu.py of sacreBLEU, test_corpus_bleu_cases.
TEST(Bleu, IsSacreBleusOverSeveralReferences) {
  const std::vector<Sentences> references = {
      {"The dog bit the man.", "It was not unexpected.", "The man bit him first."},
      {"The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."}};
  const Bleu bleu =
      bleu_of({"The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."},
              references);
  EXPECT_NEAR(bleu.score, 48.530827, 1e-6);
  EXPECT_EQ(bleu_of({"", "", ""}, references).score, 0);
}

// test_sentence_bleu.py of sacreBLEU: smoothing exp, tokeniser 13a.
TEST(Bleu, SmoothsOrdersWithoutMatchAsSacreBleuDoes) {
  const Bleu bleu =
      bleu_of({"Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"},
              {{"producţia de zahăr brut se exprimă în zahăr alb;"}});
  EXPECT_NEAR(bleu.score, 8.493, 1e-3);
  EXPECT_EQ(bleu_of({"this is a cat"}, {{"okay thanks"}}).score, 0);
}

// test_bleu.py of sacreBLEU, test_raw_bleu_cases; the smoothing there changes nothing.
TEST(Bleu, IsWholeForTheReferenceItself) {
  EXPECT_NEAR(bleu_of({"this is a test"}, {{"this is a test"}}).score, 100, 1e-8);
}

TEST(Bleu, CountsMatchesNoOftenerThanTheReferenceHasThem) {
  const Bleu bleu =
      bleu_of({"am I am a character sequence"}, {{"I am a symbol string sequence a a"}});
  EXPECT_THAT(bleu.matches, ElementsAre(4, 2, 1, 0));  // test_case_statistics
  EXPECT_THAT(bleu.ngrams, ElementsAre(6, 5, 4, 3));
}

TEST(Bleu, NeedsAReferencePerTranslation) {
  EXPECT_THROW((void)bleu_of({"a", "b"}, {{"a"}}), Error);
  EXPECT_THROW((void)bleu_of({"a"}, {}), Error);
}

TEST(Bleu, SaysHowItWasComputed) {
  EXPECT_EQ(bleu_signature(), "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp");
}

TEST(BleuTokenizer, SeparatesPunctuationButNotInsideNumbers) {
  EXPECT_THAT(tokenize_13a("Der Preis: 1.234,50 (netto)."),
              ElementsAre("Der", "Preis", ":", "1.234,50", "(", "netto", ")", "."));
  EXPECT_THAT(tokenize_13a("It wasn't 5-year-old, was it?"),
              ElementsAre("It", "wasn't", "5", "-", "year-old", ",", "was", "it", "?"));
  EXPECT_THAT(tokenize_13a("a &amp; b &quot;c&quot;"), ElementsAre("a", "&", "b", "\"", "c", "\""));
  EXPECT_THAT(tokenize_13a("z.B.: 3."), ElementsAre("z", ".", "B", ".", ":", "3", "."));
  // No-break and ideographic spaces part words as well.
  EXPECT_THAT(tokenize_13a("10\u00A0km\u3000Luft"), ElementsAre("10", "km", "Luft"));
  EXPECT_THAT(tokenize_13a(" \t "), ElementsAre());
}

TEST(Bleu, StaysBetweenNothingAndWhole) {
  rc::check([](const std::vector<std::pair<std::string, std::string>>& pairs) {
    Sentences hypotheses;
    Sentences references;
    for (const auto& [hypothesis, reference] : pairs) {
      hypotheses.push_back(hypothesis);
      references.push_back(reference);
    }
    const Bleu bleu = bleu_of(hypotheses, {references});
    RC_ASSERT(bleu.score >= 0 && bleu.score <= 100 + 1e-9);
    RC_ASSERT(bleu.brevity_penalty >= 0 && bleu.brevity_penalty <= 1);
  });
}

}  // namespace
}  // namespace strata::text
