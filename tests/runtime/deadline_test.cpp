// Running by a deadline, on a clock that the test drives: which levels are chosen, what is
// reported, and what happens at deadlines and on clocks that make no sense.
#include <cmath>
#include <limits>

#include "core/cancellation.h"
#include "deadline_fixture.h"

namespace strata::testing {
namespace {

using route::OnInfeasible;
using route::PolicyKind;
using runtime::RunOptions;
using runtime::RunReport;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A session whose steps take 250, 500 and 1000 ns at its three levels, as its profile says; its
/// clock goes on by one tick a step, whatever the level.
class DeadlineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    session_ = open(small_nested(), {.clock = clock_.clock()});
    ASSERT_NE(session_, nullptr);
    data_ = std::make_unique<SessionData>(*session_);
    steps_ = session_->steps().size();
    ASSERT_GE(steps_, 8U);
    ASSERT_TRUE(session_->set_profile(even_profile(*session_, {250, 500, 1000})).ok());
  }

  Status run(const RunOptions& options) {
    return session_->run(data_->input_views, data_->output_views, options);
  }
  [[nodiscard]] const RunReport& report() const { return session_->last_run(); }
  [[nodiscard]] const std::vector<float>& logits() const { return data_->outputs[0]; }

  std::vector<float> logits_of(const std::vector<uint8_t>& levels) {
    SessionData data(*session_);
    EXPECT_TRUE(session_->run_route(data.input_views, data.output_views, levels).ok());
    return data.outputs[0];
  }
  std::vector<float> logits_of_level(int level) {
    return logits_of(std::vector<uint8_t>(steps_, static_cast<uint8_t>(level)));
  }
  /// Lets the session find out how fast its clock is.
  void settle(int inferences = 50) {
    for (int i = 0; i < inferences; ++i) ASSERT_TRUE(run({}).ok());
  }
  [[nodiscard]] double steps_ns(double per_step) const {
    return static_cast<double>(steps_) * per_step;
  }

  TestClock clock_;
  std::unique_ptr<runtime::Session> session_;
  std::unique_ptr<SessionData> data_;
  size_t steps_ = 0;
};

TEST_F(DeadlineTest, WithoutADeadlineEveryPolicyRunsTheLeastSparseLevel) {
  for (const PolicyKind kind : {PolicyKind::kFixed, PolicyKind::kPerRequest, PolicyKind::kReroute,
                                PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute}) {
    RunOptions options;
    options.policy.kind = kind;
    ASSERT_TRUE(run(options).ok());
    EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 2)) << route::to_string(kind);
    EXPECT_EQ(logits(), logits_of_level(2));
    EXPECT_TRUE(report().completed);
    EXPECT_TRUE(report().met);
    EXPECT_EQ(report().reroutes, 0);
    EXPECT_EQ(report().deadline_ns, kInfinity);
  }
}

TEST_F(DeadlineTest, ReportsEstimateAndTimeOfEveryStep) {
  settle();
  ASSERT_TRUE(run({.within_ns = 1e9}).ok());
  ASSERT_EQ(report().steps.size(), steps_);
  for (const runtime::StepRecord& step : report().steps) {
    EXPECT_EQ(step.observed_ns, 1000);
    EXPECT_NEAR(step.expected_ns, 1000, 10);
  }
  EXPECT_EQ(report().deadline_ns, 1e9);
  EXPECT_NEAR(report().expected_ns, steps_ns(1000), steps_ns(10));
  EXPECT_EQ(report().total_ns, steps_ns(1000) + 1000);  // and the reading at the end
  EXPECT_NEAR(report().slowdown, 1, 0.01);
}

TEST_F(DeadlineTest, AShortDeadlineStartsSparse) {
  clock_.tick_ns = 250;
  ASSERT_TRUE(session_->set_profile(even_profile(*session_, {250, 1e6, 1e7})).ok());
  ASSERT_TRUE(run({.within_ns = steps_ns(400)}).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 0));
  EXPECT_EQ(logits(), logits_of_level(0));
  EXPECT_TRUE(report().met);
}

TEST_F(DeadlineTest, AProfileOfAWildMachineLeavesALongDeadlineItsLevels) {
  route::ProfileTable table = even_profile(*session_, {100, 200, 400});
  for (route::StepTime& time : table.times) time.high_ns = 1000 * time.median_ns;
  ASSERT_TRUE(session_->set_profile(table).ok());
  ASSERT_TRUE(run({.within_ns = 3600e9}).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 2));
}

TEST_F(DeadlineTest, ReroutesWhenTheMachineBecomesSlowAndNeverGoesBackUp) {
  for (const PolicyKind kind :
       {PolicyKind::kReroute, PolicyKind::kLatestSafeSwitch, PolicyKind::kBestRoute}) {
    clock_.next_ns = nullptr;
    ASSERT_TRUE(session_->set_profile(even_profile(*session_, {250, 500, 1000})).ok());
    settle();
    const int64_t begin = clock_.readings;
    clock_.next_ns = [begin](int64_t reading, int64_t now) {
      return now + (reading - begin > 2 ? 3000 : 1000);
    };
    RunOptions options;
    options.within_ns = steps_ns(1500);
    options.policy.kind = kind;
    ASSERT_TRUE(run(options).ok());
    const std::vector<uint8_t> levels = levels_of(report());
    EXPECT_EQ(levels.front(), 2) << route::to_string(kind);
    EXPECT_EQ(levels.back(), 0) << route::to_string(kind);
    EXPECT_TRUE(std::is_sorted(levels.rbegin(), levels.rend()));
    EXPECT_GE(report().reroutes, 1);
    EXPECT_LE(report().reroutes, 2);
    EXPECT_EQ(logits(), logits_of(levels)) << "the report must be the route that was executed";
  }
}

TEST_F(DeadlineTest, AbsoluteTimeAndDurationMeanTheSameAndTheEarlierHolds) {
  const int64_t called = clock_.now_ns + clock_.tick_ns;  // the reading at the call
  ASSERT_TRUE(run({.deadline_ns = called + 50'000}).ok());
  EXPECT_EQ(report().deadline_ns, 50'000);
  ASSERT_TRUE(run({.within_ns = 50'000}).ok());
  EXPECT_EQ(report().deadline_ns, 50'000);
  ASSERT_TRUE(
      run({.deadline_ns = clock_.now_ns + clock_.tick_ns + 70'000, .within_ns = 60'000}).ok());
  EXPECT_EQ(report().deadline_ns, 60'000);
  ASSERT_TRUE(
      run({.deadline_ns = clock_.now_ns + clock_.tick_ns + 50'000, .within_ns = 60'000}).ok());
  EXPECT_EQ(report().deadline_ns, 50'000);
}

TEST_F(DeadlineTest, ADeadlineThatIsOverIsAnsweredLateAtTheSparsestLevelIfThatIsWanted) {
  const std::vector<float> sparsest = logits_of_level(0);
  for (const RunOptions& options :
       {RunOptions{.deadline_ns = 0}, RunOptions{.deadline_ns = clock_.now_ns - 1},
        RunOptions{.deadline_ns = std::numeric_limits<int64_t>::min()}, RunOptions{.within_ns = 0},
        RunOptions{.within_ns = -1}, RunOptions{.within_ns = -kInfinity}}) {
    ASSERT_TRUE(run(options).ok());
    EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 0));
    EXPECT_EQ(logits(), sparsest);
    EXPECT_TRUE(report().completed);
    EXPECT_FALSE(report().met);
  }
}

TEST_F(DeadlineTest, ADeadlineThatIsOverEndsAtOnceIfALateAnswerIsNotWanted) {
  settle();
  const double slowdown = report().slowdown;
  for (RunOptions options : {RunOptions{.deadline_ns = 0}, RunOptions{.within_ns = 0},
                             RunOptions{.within_ns = -kInfinity}}) {
    options.policy.on_infeasible = OnInfeasible::kGiveUp;
    EXPECT_EQ(run(options).code(), StatusCode::kDeadlineExceeded);
    EXPECT_TRUE(report().steps.empty());
    EXPECT_FALSE(report().completed);
    EXPECT_FALSE(report().met);
  }
  ASSERT_TRUE(run({}).ok());
  EXPECT_NEAR(report().slowdown, slowdown, 1e-3) << "such calls say nothing about the machine";
}

TEST_F(DeadlineTest, GivesUpInTheMiddleOnceNothingHelps) {
  settle();
  const int64_t begin = clock_.readings;
  clock_.next_ns = [begin](int64_t reading, int64_t now) {
    return now + (reading - begin == 3 ? 1'000'000 : 1000);
  };
  RunOptions options{.within_ns = steps_ns(1500)};
  options.policy.on_infeasible = OnInfeasible::kGiveUp;
  EXPECT_EQ(run(options).code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(report().steps.size(), 3U);
  EXPECT_FALSE(report().completed);
}

TEST_F(DeadlineTest, OkMeansInTimeIfALateAnswerIsNotWanted) {
  settle();
  const int64_t last = clock_.readings + static_cast<int64_t>(steps_);
  clock_.next_ns = [last](int64_t reading, int64_t now) {
    return now + (reading == last ? 1'000'000 : 1000);
  };
  RunOptions options{.within_ns = steps_ns(3000)};
  options.policy.on_infeasible = OnInfeasible::kGiveUp;
  EXPECT_EQ(run(options).code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(report().completed) << "it was whole, but late";
  EXPECT_FALSE(report().met);
}

TEST_F(DeadlineTest, NotANumberIsNoDeadline) {
  const Status status = run({.within_ns = std::nan("")});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "the deadline is not a number (NaN)");
  EXPECT_TRUE(report().steps.empty());
}

TEST_F(DeadlineTest, AClockThatJumpsAheadIsTakenForLostTime) {
  settle(200);
  const int64_t begin = clock_.readings;
  clock_.next_ns = [begin](int64_t reading, int64_t now) {
    return now + (reading - begin == 4 ? int64_t{3600} * 1'000'000'000 : 1000);
  };
  RunOptions options{.within_ns = steps_ns(3000)};
  options.policy.miss_probability = 0.1;
  ASSERT_TRUE(run(options).ok());
  std::vector<uint8_t> levels = levels_of(report());
  EXPECT_EQ(levels[0], 2);
  for (size_t i = 4; i < levels.size(); ++i) EXPECT_EQ(levels[i], 0) << i;
  EXPECT_FALSE(report().met);

  // One jump in two hundred inferences is rarer than the wanted misses, so nothing is kept free for
  // it.
  clock_.next_ns = nullptr;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(run({}).ok());
  ASSERT_TRUE(run(options).ok());
  levels = levels_of(report());
  EXPECT_EQ(levels.front(), 2);
  EXPECT_EQ(levels.back(), 2);
  EXPECT_TRUE(report().met);
}

TEST_F(DeadlineTest, AClockThatGoesBackStandsStill) {
  settle();
  const int64_t begin = clock_.readings;
  clock_.next_ns = [begin](int64_t reading, int64_t now) {
    return now + (reading - begin == 4 ? -int64_t{3600} * 1'000'000'000 : 1000);
  };
  ASSERT_TRUE(run({.within_ns = steps_ns(3000)}).ok());
  EXPECT_EQ(report().steps[3].observed_ns, 0);
  EXPECT_EQ(report().total_ns, steps_ns(1000));  // one tick was lost
  EXPECT_TRUE(report().met);
  for (const runtime::StepRecord& step : report().steps)
    EXPECT_TRUE(std::isfinite(step.expected_ns));
}

TEST_F(DeadlineTest, ACancellationBeforeTheCallIsNotLost) {
  Cancellation cancellation;
  cancellation.request();
  EXPECT_EQ(run({.cancellation = &cancellation}).code(), StatusCode::kCancelled);
  EXPECT_TRUE(report().steps.empty());
  EXPECT_EQ(run({.cancellation = &cancellation}).code(), StatusCode::kCancelled)
      << "it holds until it is taken back";
  cancellation.reset();
  EXPECT_TRUE(run({.cancellation = &cancellation}).ok());
}

TEST_F(DeadlineTest, ACancellationDuringTheCallTakesEffectBeforeTheNextStep) {
  Cancellation cancellation;
  const int64_t begin = clock_.readings;
  clock_.next_ns = [&](int64_t reading, int64_t now) {
    if (reading - begin == 2) cancellation.request();
    return now + 1000;
  };
  RunOptions options{.within_ns = 1, .cancellation = &cancellation};
  const Status status = run(options);
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_EQ(status.message(), "cancelled");
  EXPECT_EQ(report().steps.size(), 2U);
  EXPECT_FALSE(report().completed);
}

TEST_F(DeadlineTest, ACancellationAfterTheLastStepChangesNothing) {
  Cancellation cancellation;
  const int64_t last = clock_.readings + static_cast<int64_t>(steps_);
  clock_.next_ns = [&](int64_t reading, int64_t now) {
    if (reading == last) cancellation.request();
    return now + 1000;
  };
  EXPECT_TRUE(run({.cancellation = &cancellation}).ok());
  EXPECT_TRUE(report().completed);
}

TEST_F(DeadlineTest, OnlyLevelsThatAreLoadedAreChosen) {
  ASSERT_TRUE(session_->drop_levels_above(1).ok());
  ASSERT_TRUE(run({.within_ns = 1e9}).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 1));
  RunOptions fixed;
  fixed.policy = {.kind = PolicyKind::kFixed, .level = 2};
  EXPECT_EQ(run(fixed).message(), "level 2 is not loaded, levels 0 to 1 are");
  fixed.policy.level = -1;
  ASSERT_TRUE(run(fixed).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 1));
  ASSERT_TRUE(session_->drop_levels_above(0).ok());
  ASSERT_TRUE(run({.within_ns = 1e9}).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 0));
}

TEST_F(DeadlineTest, AnUpperBoundOfTheLevelIsKept) {
  RunOptions options{.within_ns = 1e9};
  options.policy.level = 1;
  ASSERT_TRUE(run(options).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 1));
  options.policy.level = 7;  // as many as there are
  ASSERT_TRUE(run(options).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 2));
}

TEST_F(DeadlineTest, TimeInReserveIsKeptFreeAndMayDifferFromRunToRun) {
  settle(200);
  RunOptions options{.within_ns = steps_ns(10'000)};
  ASSERT_TRUE(run(options).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 2));
  options.policy.reserve_ns = steps_ns(9'900);
  ASSERT_TRUE(run(options).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 0));
  EXPECT_TRUE(report().met) << "the deadline itself is where it was";
  options.policy.reserve_ns = 0;
  ASSERT_TRUE(run(options).ok());
  EXPECT_EQ(levels_of(report()), std::vector<uint8_t>(steps_, 2));
}

TEST_F(DeadlineTest, AModelOfOneLevelHasOneRoute) {
  const auto nested = random_nested(resnet("resnet8", 9, 9, 4), {0.3}, 5);
  const auto session = open(nested, {.clock = clock_.clock()});
  ASSERT_TRUE(session->set_profile(even_profile(*session, {1000})).ok());
  SessionData data(*session);
  for (const double within : {0.0, 1e9, kInfinity}) {
    ASSERT_TRUE(
        session->run(data.input_views, data.output_views, RunOptions{.within_ns = within}).ok());
    EXPECT_EQ(levels_of(session->last_run()), std::vector<uint8_t>(steps_, 0));
    EXPECT_EQ(session->last_run().met, within > 0);
  }
}

TEST_F(DeadlineTest, NeedsAProfileForADeadlineAndNoneForALevel) {
  const auto session = open(small_nested(), {.clock = clock_.clock()});
  SessionData data(*session);
  const auto run_without = [&](const RunOptions& options) {
    return session->run(data.input_views, data.output_views, options);
  };
  EXPECT_EQ(session->profile(), nullptr);
  EXPECT_EQ(run_without({.within_ns = 1e9}).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(run_without({.deadline_ns = 0}).code(), StatusCode::kFailedPrecondition);
  RunOptions fixed;
  fixed.policy = {.kind = PolicyKind::kFixed, .level = 1};
  ASSERT_TRUE(run_without(fixed).ok());
  EXPECT_EQ(levels_of(session->last_run()), std::vector<uint8_t>(steps_, 1));
  EXPECT_EQ(session->last_run().steps[0].expected_ns, 0);
  EXPECT_EQ(data.outputs[0], logits_of_level(1));
}

TEST_F(DeadlineTest, RefusesOptionsThatMakeNoSense) {
  RunOptions options;
  options.policy.kind = PolicyKind::kOracle;
  EXPECT_EQ(run(options).code(), StatusCode::kInvalidArgument);
  for (const double probability : {0.0, 1.0, -1.0, std::nan("")}) {
    options.policy = {.miss_probability = probability};
    EXPECT_EQ(run(options).code(), StatusCode::kInvalidArgument) << probability;
  }
  options.policy = {.reserve_ns = -1};
  EXPECT_EQ(run(options).code(), StatusCode::kInvalidArgument);
  options.policy = {.level = -2};
  EXPECT_EQ(run(options).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(run({}).ok()) << "and goes on afterwards";
  EXPECT_EQ(session_->run({}, data_->output_views, RunOptions{}).code(),
            StatusCode::kInvalidArgument);
}

TEST_F(DeadlineTest, RefusesTheProfileOfAnotherNetworkAndKeepsItsOwn) {
  route::ProfileTable table = even_profile(*session_, {1, 2, 3});
  table.step_count += 1;
  table.times.resize(table.times.size() + 3, {1, 1});
  EXPECT_EQ(session_->set_profile(table).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session_->set_profile(even_profile(*session_, {1, 2})).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(session_->profile()->step_ns(0, 2), 1000);
}

TEST_F(DeadlineTest, CorrectsAProfileThatIsWrongByAThousandWithinAFewInferences) {
  for (const double factor : {1e-3, 1e3}) {
    ASSERT_TRUE(
        session_->set_profile(even_profile(*session_, {250 * factor, 500 * factor, 1000 * factor}))
            .ok());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(run({.within_ns = steps_ns(3000)}).ok());
    ASSERT_TRUE(run({}).ok());
    EXPECT_NEAR(report().expected_ns, steps_ns(1000), steps_ns(300)) << factor;
  }
}

TEST_F(DeadlineTest, SurvivesAPoisonedProfile) {
  route::ProfileTable table = even_profile(*session_, {250, 500, 1000});
  table.times[0].median_ns = std::nan("");
  table.times[1].median_ns = kInfinity;
  table.times[2].median_ns = -5;
  table.times[3].median_ns = 0;
  table.times[4] = {1e300, -1};
  ASSERT_TRUE(session_->set_profile(table).ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(run({.within_ns = steps_ns(3000)}).ok());
    EXPECT_TRUE(std::isfinite(report().slowdown));
    for (const runtime::StepRecord& step : report().steps) {
      EXPECT_TRUE(std::isfinite(step.expected_ns));
    }
  }
  EXPECT_TRUE(report().met);
}

TEST_F(DeadlineTest, LearnsWhichStepsAreSlowerThanProfiled) {
  // Of 1000 ns a step, as profiled, the third takes 3000.
  for (int i = 0; i < 1500; ++i) {
    const int64_t begin = clock_.readings;
    clock_.next_ns = [begin](int64_t reading, int64_t now) {
      return now + (reading - begin == 3 ? 3000 : 1000);
    };
    ASSERT_TRUE(run({}).ok());
  }
  const route::Profile& profile = *session_->profile();
  EXPECT_NEAR(profile.step_ns(2, 2) / profile.step_ns(3, 2), 3, 0.3);
  EXPECT_NEAR(profile.total_ns(2), steps_ns(1000), steps_ns(200)) << "the scale is not its matter";
  EXPECT_EQ(profile.step_ns(2, 0), 250) << "what never ran is as it was measured";
}

}  // namespace
}  // namespace strata::testing
