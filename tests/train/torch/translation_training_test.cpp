// Translation from text to file: every algorithm, training that resumes without a trace, what is
// said of bad runs.
#include <gtest/gtest.h>

#include "format/reader.h"
#include "runtime/translator.h"
#include "small_translation.h"
#include "temporary_directory.h"
#include "train/text/subwords.h"

namespace strata::train {
namespace {

using testing::error_of;
using testing::read_bytes;

class TranslationTraining : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_small_translation(scratch_.path()); }
  [[nodiscard]] TrainOptions options(const std::string& algorithm,
                                     const std::vector<std::string>& overrides = {}) const {
    return testing::small_translation_options(scratch_.path(), scratch_ / "model.strata", algorithm,
                                              overrides);
  }
  [[nodiscard]] const std::filesystem::path& folder() const { return scratch_.path(); }

 private:
  TemporaryDirectory scratch_;
};

TEST_F(TranslationTraining, LearnsALanguageThatTheRuntimeTranslates) {
  const TrainOptions run = options("dense", {"optimizer.epochs=12"});
  const TrainResult result = train(run);
  EXPECT_EQ(result.metric.name, "bleu");
  EXPECT_GT(result.levels.at(0).value, 60);
  const auto reader = format::Reader::open(run.output.string()).value();
  EXPECT_EQ(reader->model().metadata.at("family"), "translation");
  EXPECT_NE(reader->record().find(R"("test_sentences":20)"), std::string::npos);
  const text::Subwords subwords = text::Subwords::of(reader->model());
  const auto translator = runtime::Translator::create(reader, {}).value();
  const auto found = translator->translate(subwords.encode("red dog likes houses"), 0);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(subwords.decode(found->words), "roter Hund mag Häuser");
}

TEST_F(TranslationTraining, BeginsWithADenseModelIfAsked) {
  TrainOptions dense = options("dense", {"optimizer.epochs=12"});
  dense.output = folder() / "dense.strata";
  const double reached = train(dense).levels.at(0).value;
  EXPECT_GT(reached, 60);
  const std::string start = "model.start='" + dense.output.string() + "'";
  const std::vector<std::string> barely = {start, "optimizer.epochs=0.1", "optimizer.lr=0"};
  EXPECT_NEAR(train(options("dense", barely)).levels.at(0).value, reached, 1e-9);
  const std::vector<std::string> nested = {start, "optimizer.epochs=3", "levels.weights=[60, 100]"};
  EXPECT_GT(train(options("joint", nested)).levels.at(1).value, 60);
  EXPECT_NE(error_of([&] {
              (void)train(options("dense", {start, "model.width=16"}));
            }).find("are not those of the recipe's"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              (void)train(options("dense", {"model.start='gone.strata'"}));
            }).find("gone.strata"),
            std::string::npos);
}

TEST_F(TranslationTraining, EveryNestingAlgorithmMakesEveryLevel) {
  for (const std::string algorithm : {"joint", "grow"}) {
    const TrainOptions run = options(algorithm, {"optimizer.epochs=3", "eval.beam=2"});
    const TrainResult result = train(run);
    ASSERT_EQ(result.levels.size(), 3U) << algorithm;
    for (size_t k = 0; k < 3; ++k) {
      constexpr double kWanted[] = {30, 50, 80};
      EXPECT_NEAR(result.levels[k].weights_pct, kWanted[k], 0.1);
    }
    const auto reader = format::Reader::open(run.output.string()).value();
    EXPECT_EQ(reader->level_count(), 3);
  }
}

TEST_F(TranslationTraining, InterruptedAndResumedRunsLeaveNoTrace) {
  const std::vector<std::string> short_run = {"optimizer.epochs=2", "eval.every_epochs=1",
                                              "model.dropout=0.2"};
  TrainOptions straight = options("joint", short_run);
  straight.output = folder() / "straight.strata";
  (void)train(straight);
  TrainOptions stopped = options("joint", short_run);
  const std::string message = testing::train_until_interrupted(stopped, 2);
  EXPECT_NE(message.find("--resume"), std::string::npos) << message;
  stopped.resume = true;
  (void)train(stopped);
  EXPECT_TRUE(read_bytes(straight.output) == read_bytes(stopped.output));
}

TEST_F(TranslationTraining, SaysWhatIsWrongWithARun) {
  const auto failure = [](const TrainOptions& run) { return error_of([&] { (void)train(run); }); };
  EXPECT_NE(failure(options("dense", {"data.target='fr'"})).find("train.fr"), std::string::npos);
  EXPECT_NE(failure(options("dense", {"data.test='test_2016'"})).find("test_2016.en"),
            std::string::npos);
  EXPECT_NE(failure(options("dense", {"model.vocabulary=5000"})).find("change model.vocabulary"),
            std::string::npos);
  EXPECT_NE(failure(options("dense", {"data.max_length=1"})).find("raise data.max_length"),
            std::string::npos);
  EXPECT_NE(failure(options("dense", {"model.width=0", "model.layers=1"}))
                .find("encoder_layers is 1, expected 2 to 32"),
            std::string::npos);
}

}  // namespace
}  // namespace strata::train
