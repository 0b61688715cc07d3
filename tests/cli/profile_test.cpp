// strata profile: what it prints, what it stores and for whom, and what it refuses.
#include <algorithm>

#include "format/reader.h"
#include "runtime/session.h"
#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class ProfileVerb : public StrataTest {
 protected:
  void SetUp() override { make_model("m.strata"); }

  /// What a program with a session of so many threads gets from the file beside the model.
  [[nodiscard]] Status load(int threads) const {
    runtime::SessionOptions options;
    options.threads = threads;
    auto session = runtime::Session::create(
        format::Reader::open((folder() / "m.strata").string()).value(), options);
    if (!session.ok()) return session.status();
    return (*session)->load_profile();
  }
};

TEST_F(ProfileVerb, StoresOneProfileForEachThreadCountBesideTheModel) {
  const json result = strata_json({"profile", "m.strata", "--threads", "2,1", "--runs", "4"});
  EXPECT_EQ(result["verb"], "profile");
  EXPECT_EQ(result["output"], "m.strata.profile");
  EXPECT_EQ(result["accuracy"], false);
  ASSERT_EQ(result["profiles"].size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const json& profile = result["profiles"][i];
    EXPECT_EQ(profile["threads"], i + 1);
    EXPECT_EQ(profile["runs"], 4);
    ASSERT_EQ(profile["levels"].size(), 3U);
    for (const json& level : profile["levels"]) {
      EXPECT_GT(level["min_ms"].get<double>(), 0);
      EXPECT_LE(level["min_ms"].get<double>(), level["p50_ms"].get<double>());
      EXPECT_LE(level["p50_ms"].get<double>(), level["p99_ms"].get<double>());
    }
    ASSERT_FALSE(profile["steps"].empty());
    for (const json& step : profile["steps"]) {
      EXPECT_EQ(step["p50_us"].size(), 3U);
      EXPECT_EQ(step["p99_us"].size(), 3U);
      EXPECT_TRUE(step.contains("name") && step.contains("kind"));
    }
  }
  EXPECT_TRUE(result.contains("machine") && result.contains("build"));
  EXPECT_TRUE(load(1).ok()) << load(1).message();
  EXPECT_TRUE(load(2).ok()) << load(2).message();
  EXPECT_EQ(load(3).code(), StatusCode::kFailedPrecondition);
}

TEST_F(ProfileVerb, ASecondRunAddsAndReplaces) {
  ASSERT_EQ(strata({"profile", "m.strata", "--threads", "1", "--runs", "1", "-q"}).exit_code, 0);
  const size_t one = read("m.strata.profile").size();
  ASSERT_EQ(strata({"profile", "m.strata", "--threads", "1", "--runs", "1", "-q"}).exit_code, 0);
  EXPECT_EQ(read("m.strata.profile").size(), one);
  ASSERT_EQ(strata({"profile", "m.strata", "--threads", "2", "--runs", "1", "-q"}).exit_code, 0);
  EXPECT_GT(read("m.strata.profile").size(), one);
  EXPECT_TRUE(load(1).ok());
}

TEST_F(ProfileVerb, TheModelChangedAndTheOldProfileNoLongerHolds) {
  ASSERT_EQ(strata({"profile", "m.strata", "--threads", "1", "--runs", "1", "-q"}).exit_code, 0);
  make_model("m.strata", "2");
  EXPECT_NE(load(1).message().find("another model"), std::string::npos) << load(1).message();
  ASSERT_EQ(strata({"profile", "m.strata", "--threads", "1", "--runs", "1", "-q"}).exit_code, 0);
  EXPECT_TRUE(load(1).ok());
}

TEST_F(ProfileVerb, TakesTheAccuraciesFromEval) {
  write_idx_data(folder() / "digits", 12, 3, 8);
  ASSERT_EQ(
      strata({"eval", "m.strata", "--data", "digits", "-q", "-o", "e.json", "--switch-points=6"})
          .exit_code,
      0);
  const json result = strata_json({"profile", "m.strata", "--threads", "1", "--runs", "1", "--eval",
                                   "e.json", "-o", "p.profile"});
  EXPECT_EQ(result["accuracy"], true);
  EXPECT_FALSE(std::filesystem::exists(folder() / "m.strata.profile"));
  EXPECT_TRUE(std::filesystem::exists(folder() / "p.profile"));

  ASSERT_EQ(strata({"init", "resnet8", "--input", "1x1x8x8", "--level-weights", "5,40", "-q", "-o",
                    "other.strata"})
                .exit_code,
            0);
  expect_error(strata({"profile", "other.strata", "--runs", "1", "--eval", "e.json"}),
               {"e.json", "another model"});
  write_text(folder() / "x.json", "{\"levels\": 5}");
  expect_error(strata({"profile", "m.strata", "--runs", "1", "--eval", "x.json"}), {"x.json"});
  write_text(folder() / "x.json", "no json");
  expect_error(strata({"profile", "m.strata", "--runs", "1", "--eval", "x.json"}),
               {"x.json", "strata eval"});
  expect_error(strata({"profile", "m.strata", "--runs", "1", "--eval", "none.json"}),
               {"none.json"});
}

TEST_F(ProfileVerb, PrintsTablesForPeople) {
  const Outcome outcome =
      strata({"profile", "m.strata", "--threads", "1", "--runs", "2", "--steps", "-q"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("threads  level  p50 ms"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("level 2 us"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("stored in m.strata.profile"), std::string::npos) << outcome.out;
}

TEST_F(ProfileVerb, RefusesWrongUsageAndOutputsThatWouldDestroySomething) {
  expect_error(strata({"profile"}), {"FILE"}, 2);
  expect_error(strata({"profile", "m.strata", "--threads", "0"}), {"--threads"}, 2);
  expect_error(strata({"profile", "m.strata", "--threads", "1,x"}), {"--threads"}, 2);
  expect_error(strata({"profile", "m.strata", "--runs", "0"}), {"--runs"}, 2);
  expect_error(strata({"profile", "m.strata", "-o", "m.strata"}), {"input"});
  write_text(folder() / "precious.txt", "mine");
  expect_error(strata({"profile", "m.strata", "--runs", "1", "-o", "precious.txt"}),
               {"precious.txt", "not a file of profiles"});
  EXPECT_EQ(read("precious.txt"), "mine");
}

TEST_F(ProfileVerb, CtrlCLeavesNothingBehind) {
  RunOptions options;
  options.interrupt_after_ms = 500;
  const Outcome outcome =
      strata({"profile", "m.strata", "--threads", "1", "--runs", "100000", "-q"}, options);
  expect_error(outcome, {"interrupted"}, 130);
  EXPECT_FALSE(std::filesystem::exists(folder() / "m.strata.profile"));
}

}  // namespace
}  // namespace strata::cli_test
