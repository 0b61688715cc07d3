// strata tune: what it prints and stores, who uses it and how to do without, and what it refuses.
#include "format/reader.h"
#include "runtime/session.h"
#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class TuneVerb : public StrataTest {
 protected:
  void SetUp() override { make_model("m.strata"); }
};

TEST_F(TuneVerb, StoresOneTuningForEachThreadCountBesideTheModel) {
  const json result = strata_json({"tune", "m.strata", "--threads", "2,1", "--rounds", "1"});
  EXPECT_EQ(result["verb"], "tune");
  EXPECT_EQ(result["output"], "m.strata.tuning");
  ASSERT_EQ(result["tunings"].size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const json& tuning = result["tunings"][i];
    EXPECT_EQ(tuning["threads"], i + 1);
    EXPECT_EQ(tuning["complete"], true);
    EXPECT_EQ(tuning["rounds"], 1);
    ASSERT_EQ(tuning["levels"].size(), 3U);
    for (const json& level : tuning["levels"]) EXPECT_GT(level["before_ms"].get<double>(), 0);
    ASSERT_FALSE(tuning["steps"].empty());
    for (const json& step : tuning["steps"]) {
      EXPECT_EQ(step["levels"].size(), 3U);
      EXPECT_EQ(step["after_us"].size(), 3U);
    }
  }
  EXPECT_TRUE(result.contains("machine") && result.contains("build"));
  const auto reader = format::Reader::open((folder() / "m.strata").string()).value();
  EXPECT_EQ(runtime::Session::create(reader, {.threads = 2}).value()->tuning_note(), "");
  EXPECT_NE(runtime::Session::create(reader, {.threads = 3}).value()->tuning_note(), "");
}

TEST_F(TuneVerb, ShowsWhatWasChosen) {
  const Outcome outcome =
      strata({"tune", "m.strata", "--threads", "1", "--rounds", "1", "--steps", "-q"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("level 2 blocks x slices"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("1 thread: "), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("not stored"), std::string::npos) << outcome.out;
}

TEST_F(TuneVerb, IsUsedByOthersUnlessSwitchedOff) {
  write_text(folder() / "m.strata.tuning", "not a tuning");
  const std::vector<std::string> bench = {"bench", "m.strata", "--threads", "1", "--runs", "1"};
  const Outcome beside = strata(bench);
  EXPECT_EQ(beside.exit_code, 0) << beside.err;
  EXPECT_NE(beside.err.find("note: not tuned: 'm.strata.tuning' is not a file of tunings"),
            std::string::npos)
      << beside.err;
  std::vector<std::string> off = bench;
  off.insert(off.end(), {"--tuning", "off"});
  EXPECT_EQ(strata(off).err.find("not tuned"), std::string::npos);
  std::vector<std::string> named = bench;
  named.insert(named.end(), {"--tuning", "m.strata.tuning"});
  expect_error(strata(named), {"'m.strata.tuning' is not a file of tunings"});
  named.back() = "none.tuning";
  expect_error(strata(named), {"none.tuning"});
}

TEST_F(TuneVerb, DoesNotWriteOverOtherFiles) {
  write_text(folder() / "notes", "mine");
  expect_error(strata({"tune", "m.strata", "--threads", "1", "--rounds", "1", "-q", "-o", "notes"}),
               {"'notes' is not a file of tunings"});
  EXPECT_EQ(read("notes"), "mine");
  expect_error(strata({"tune", "m.strata", "-o", "m.strata"}), {"m.strata"});
}

TEST_F(TuneVerb, CtrlCEndsTheSearchAndLeavesWhatAnEarlierOneFound) {
  const Outcome outcome =
      strata({"tune", "m.strata", "--threads", "1", "--rounds", "100000", "--json"},
             {.interrupt_after_ms = 2500});
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  const json result = json::parse(outcome.out);
  EXPECT_EQ(result["tunings"][0]["complete"], false);
  EXPECT_EQ(result["tunings"][0]["stored"], std::filesystem::exists(folder() / "m.strata.tuning"));

  (void)strata_json({"tune", "m.strata", "--threads", "1", "--rounds", "1"});
  const std::string earlier = read("m.strata.tuning");
  const Outcome again =
      strata({"tune", "m.strata", "--threads", "1", "--rounds", "100000", "--json"},
             {.interrupt_after_ms = 2500});
  EXPECT_EQ(again.exit_code, 130) << again.err;
  EXPECT_EQ(json::parse(again.out)["tunings"][0]["stored"], false);
  EXPECT_EQ(read("m.strata.tuning"), earlier);
}

}  // namespace
}  // namespace strata::cli_test
