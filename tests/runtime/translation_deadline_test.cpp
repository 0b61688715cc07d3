// A deadline over a whole translation: levels fall between runs of the decoder, nothing changes
// without one, and what is missing or cannot be is told.
#include <algorithm>
#include <limits>
#include <optional>

#include "deadline_fixture.h"
#include "format/writer.h"
#include "models/gnmt.h"
#include "runtime/translator.h"
#include "temporary_directory.h"

namespace strata::runtime {
namespace {

using testing::TestClock;

class TranslationDeadline : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    models::GnmtConfig config = models::gnmt_config("gnmt").value();
    config.vocabulary = 40;
    config.width = 16;
    config.encoder_layers = 2;
    config.decoder_layers = 2;
    model_path = directory.emplace() / "model.strata";
    const auto nested = testing::random_nested(models::gnmt(config).value(), {0.2, 0.5, 0.9}, 5);
    ASSERT_TRUE(format::write(model_path, nested).ok());
  }
  static void TearDownTestSuite() { directory.reset(); }

  void SetUp() override {
    translator_ = Translator::create(format::Reader::open(model_path).value(),
                                     {.threads = 1, .beam = 2, .clock = clock_.clock()})
                      .value();
  }

  /// Every step of the encoder and every run of the decoder takes level_ns[level].
  [[nodiscard]] route::ProfileTable even(const std::vector<double>& level_ns) const {
    const MeasuredProfile measured =
        translator_->measure_profile(8, {.runs = 1, .seconds = 0}).value();
    route::ProfileTable table = measured.table;
    for (size_t i = 0; i < table.times.size(); ++i) {
      const double ns = level_ns[i % level_ns.size()];
      table.times[i] = {ns, ns};
    }
    return table;
  }

  [[nodiscard]] static RunOptions within(double ns,
                                         route::PolicyKind kind = route::PolicyKind::kReroute) {
    RunOptions options;
    options.within_ns = ns;
    options.policy.kind = kind;
    options.policy.miss_probability = 0.1;
    return options;
  }

  static inline std::optional<TemporaryDirectory> directory;
  static inline std::string model_path;
  TestClock clock_;
  std::unique_ptr<Translator> translator_;
  const std::vector<int64_t> source_ = {5, 9, 31, 12, 7, 22, 4, 18};
};

TEST_F(TranslationDeadline, WithoutOneItIsTheBestTranslation) {
  const Translation best = translator_->translate(source_, 2).value();
  const auto same = translator_->translate(source_, RunOptions());
  ASSERT_TRUE(same.ok()) << same.status().message();
  EXPECT_EQ(same->words, best.words);
  EXPECT_EQ(same->decoder_steps, best.decoder_steps);
  const RunReport& report = translator_->last_run();
  EXPECT_TRUE(report.met);
  EXPECT_EQ(testing::levels_of(report), std::vector<uint8_t>(report.steps.size(), 2));

  ASSERT_TRUE(translator_->set_profile(8, even({100, 200, 300})).ok());
  EXPECT_EQ(translator_->translate(source_, RunOptions())->words, best.words);
  RunOptions fixed;
  fixed.policy.kind = route::PolicyKind::kFixed;
  fixed.policy.level = 0;
  EXPECT_EQ(translator_->translate(source_, fixed)->words,
            translator_->translate(source_, 0)->words);
}

TEST_F(TranslationDeadline, LevelsFallWhenTheMachineSlowsDownHalfWay) {
  ASSERT_TRUE(translator_->set_profile(8, even({200, 600, 1000})).ok());
  clock_.tick_ns = 1000;
  ASSERT_TRUE(translator_->translate(source_, RunOptions()).ok());
  const size_t steps = translator_->last_run().steps.size();
  const double calm_ns = 1000.0 * static_cast<double>(steps + 20);
  const int64_t slow_from = clock_.readings + static_cast<int64_t>(steps) / 2;
  clock_.next_ns = [&](int64_t reading, int64_t now) {
    return now + (reading < slow_from ? 1000 : 20000);
  };
  ASSERT_TRUE(translator_->translate(source_, within(calm_ns)).ok());
  const std::vector<uint8_t> levels = testing::levels_of(translator_->last_run());
  EXPECT_EQ(levels.front(), 2);
  EXPECT_EQ(levels.back(), 0);
  EXPECT_TRUE(std::is_sorted(levels.rbegin(), levels.rend()));
  EXPECT_GE(translator_->last_run().reroutes, 1);
}

TEST_F(TranslationDeadline, TightOnesAreSparseFromTheStart) {
  ASSERT_TRUE(translator_->set_profile(8, even({200, 600, 1000})).ok());
  for (const auto kind : {route::PolicyKind::kReroute, route::PolicyKind::kPerRequest,
                          route::PolicyKind::kLatestSafeSwitch, route::PolicyKind::kBestRoute}) {
    ASSERT_TRUE(translator_->translate(source_, within(3000, kind)).ok());
    const std::vector<uint8_t> levels = testing::levels_of(translator_->last_run());
    EXPECT_EQ(levels, std::vector<uint8_t>(levels.size(), 0)) << route::to_string(kind);
    EXPECT_FALSE(translator_->last_run().met);
    ASSERT_TRUE(translator_->translate(source_, within(1e9, kind)).ok());
    EXPECT_EQ(testing::levels_of(translator_->last_run()).front(), 2) << route::to_string(kind);
    EXPECT_TRUE(translator_->last_run().met);
  }
}

TEST_F(TranslationDeadline, CanBeGivenUpOrCancelled) {
  ASSERT_TRUE(translator_->set_profile(8, even({200, 600, 1000})).ok());
  RunOptions options = within(1500);
  options.policy.on_infeasible = route::OnInfeasible::kGiveUp;
  EXPECT_EQ(translator_->translate(source_, options).status().code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(translator_->last_run().completed);
  options.within_ns = -1;
  EXPECT_EQ(translator_->translate(source_, options).status().code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(translator_->last_run().steps.empty());

  Cancellation cancellation;
  cancellation.request();
  RunOptions cancelled;
  cancelled.cancellation = &cancellation;
  EXPECT_EQ(translator_->translate(source_, cancelled).status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(translator_->translate(source_, within(1e9)).ok()) << "the next one is not touched";
}

TEST_F(TranslationDeadline, OfNothingIsMet) {
  ASSERT_TRUE(translator_->set_profile(0, even({200, 600, 1000})).ok());
  const auto nothing = translator_->translate({}, within(1e6));
  ASSERT_TRUE(nothing.ok()) << nothing.status().message();
  EXPECT_TRUE(nothing->words.empty());
  EXPECT_TRUE(translator_->last_run().met);
}

TEST_F(TranslationDeadline, NeedsAProfileOfTheLength) {
  const auto without = translator_->translate(source_, within(1e6));
  ASSERT_EQ(without.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(without.status().message().find("sentences of 8 sub-words"), std::string::npos);

  EXPECT_EQ(longest_served_with(8), 15);
  const auto table = even({200, 600, 1000});
  const auto print = translator_->fingerprint(8).value();
  EXPECT_EQ(print, translator_->fingerprint(15).value());
  EXPECT_FALSE(print == translator_->fingerprint(16).value());
  EXPECT_FALSE(translator_->load_profiles().ok()) << "there is no file yet";
  ASSERT_TRUE(add_profile(profile_path(model_path), {print, table}).ok());
  const Status loaded = translator_->load_profiles();
  ASSERT_TRUE(loaded.ok()) << loaded.message();
  EXPECT_TRUE(translator_->translate(source_, within(1e6)).ok());
  const std::vector<int64_t> longer(16, 5);
  const auto not_profiled = translator_->translate(longer, within(1e6));
  ASSERT_EQ(not_profiled.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(not_profiled.status().message().find("sentences of 16 sub-words"), std::string::npos)
      << not_profiled.status().message();
  EXPECT_TRUE(translator_->translate(longer, RunOptions()).ok())
      << "without a deadline it needs none";
}

TEST_F(TranslationDeadline, RefusesWhatCannotBe) {
  const RunOptions not_a_number = within(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(translator_->translate(source_, not_a_number).status().code(),
            StatusCode::kInvalidArgument);
  route::ProfileTable table = even({200, 600, 1000});
  ASSERT_TRUE(translator_->set_profile(8, table).ok());
  EXPECT_EQ(translator_->translate(source_, not_a_number).status().code(),
            StatusCode::kInvalidArgument);
  table.step_count -= 1;
  table.times.resize(table.times.size() - 3);
  EXPECT_FALSE(translator_->set_profile(8, table).ok());
  EXPECT_FALSE(translator_->set_profile(-1, table).ok());
  EXPECT_FALSE(translator_->measure_profile(2000, {}).ok());
  EXPECT_FALSE(translator_->measure_profile(8, {.runs = -1}).ok());
}

TEST_F(TranslationDeadline, LearnsHowLongTranslationsAre) {
  ASSERT_TRUE(translator_->set_profile(8, even({200, 600, 1000})).ok());
  clock_.tick_ns = 1000;
  RunOptions options = within(1e9, route::PolicyKind::kBestRoute);
  ASSERT_TRUE(translator_->translate(source_, options).ok());
  const double first = translator_->last_run().expected_ns;
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(translator_->translate(source_, options).ok());
  const RunReport& report = translator_->last_run();
  EXPECT_LE(report.expected_ns, first);
  EXPECT_NEAR(report.expected_ns, report.total_ns, 0.1 * report.total_ns);
}

}  // namespace
}  // namespace strata::runtime
