// strata qos as a user runs it: what it prints, records and refuses, and that its co-runners never
// outlive it. Runs are short; nothing here depends on how fast the machine is.
#include <algorithm>
#include <chrono>
#include <thread>

#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class Qos : public StrataTest {
 protected:
  void SetUp() override { make_model("m.strata"); }

  /// A run of under a second of each policy, with the co-runner that needs nothing installed.
  [[nodiscard]] static std::vector<std::string> short_run(const std::vector<std::string>& more) {
    std::vector<std::string> words = {"qos",       "m.strata", "--threads", "1",
                                      "--batch",   "64",       "--seconds", "0.4",
                                      "--block",   "0.2",      "--warm-up", "0.2",
                                      "--rate",    "100",      "--quiet",   "--built-in-co-runner",
                                      "--workers", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// Processes whose working folder is the test's: this program and what it left behind.
  [[nodiscard]] int processes_here() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::error_code failure;
      const auto where = std::filesystem::read_symlink(entry.path() / "cwd", failure);
      if (!failure && where == folder()) ++count;
    }
    return count;
  }

  [[nodiscard]] bool all_processes_end() const {
    for (int tries = 0; tries < 500; ++tries) {
      if (processes_here() == 0) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }
};

void expect_keys(const json& object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) EXPECT_TRUE(object.contains(key)) << key << " in " << object;
}

void expect_figures(const json& figures) {
  expect_keys(figures, {"miss_rate", "nines", "ci95", "metric", "inferences", "misses", "p50_ms",
                        "p99_ms", "time_share", "reroutes"});
  EXPECT_LE(0, figures["ci95"][0]);
  EXPECT_LE(figures["ci95"][0], figures["miss_rate"]);
  EXPECT_LE(figures["miss_rate"], figures["ci95"][1]);
  EXPECT_LE(figures["ci95"][1], 1);
  EXPECT_EQ(figures["nines"].is_null(), figures["misses"] == 0);
}

TEST_F(Qos, ShowsEveryPolicyLiveAndSimulated) {
  const json result = strata_json(short_run(
      {"--deadline-factor", "1.5", "--level-metrics", "80,85,90", "--co-runner", "cpu", "--pattern",
       "bursts", "--simulate", "2000", "--sweep", "1.1,2", "-o", "q.json", "--html", "q.html"}));
  expect_keys(result,
              {"schema", "verb", "version", "command", "deadline_ms", "deadline_factor", "levels",
               "policies", "sweep", "timeline", "load", "co_runner", "machine", "build"});
  EXPECT_EQ(result["verb"], "qos");
  EXPECT_NE(result["co_runner"]["program"].get<std::string>().find("built-in"), std::string::npos);
  EXPECT_EQ(result["load"]["pattern"], "bursts");
  EXPECT_NEAR(result["deadline_factor"].get<double>(), 1.5, 1e-9);

  std::vector<std::string> names;
  for (const json& policy : result["policies"]) {
    names.push_back(policy["name"]);
    expect_figures(policy);
    expect_figures(policy["simulated"]);
    EXPECT_GE(policy["metric"].get<double>(), 80 - 1e-9);
    EXPECT_LE(policy["metric"].get<double>(), 90 + 1e-9);
    if (policy["name"] == "oracle") {
      EXPECT_EQ(policy["source"], "simulated");
    } else {
      EXPECT_EQ(policy["source"], "live");
      EXPECT_EQ(policy["inferences"], result["policies"][0]["inferences"])
          << "all policies meet the same requests";
    }
  }
  EXPECT_EQ(names, (std::vector<std::string>{"fixed-0", "fixed-2", "per-request", "reroute",
                                             "latest-safe-switch", "best-route",
                                             "adaptive-best-route", "oracle"}));
  EXPECT_NEAR(result["policies"][0]["metric"].get<double>(), 80, 1e-9);
  EXPECT_NEAR(result["policies"][1]["metric"].get<double>(), 90, 1e-9);
  ASSERT_EQ(result["sweep"].size(), 2U);
  EXPECT_EQ(result["sweep"][0]["policies"].size(), names.size());
  EXPECT_EQ(json::parse(read("q.json"))["policies"], result["policies"]);

  const std::string page = read("q.html");
  for (const char* words :
       {"Deadlines under load</h2>", "Latency per policy</h2>", "Nines against accuracy</h2>",
        "Level against time</h2>", "Nines by deadline</h2>", "built-in loops", "</html>"}) {
    EXPECT_NE(page.find(words), std::string::npos) << words;
  }
  EXPECT_EQ(page.find("http"), std::string::npos) << "the page needs nothing but itself";

  ASSERT_EQ(strata({"report", "--qos", "q.json", "m.strata", "-q", "-o", "r.html"}).exit_code, 0);
  EXPECT_NE(read("r.html").find("Latency per policy</h2>"), std::string::npos);
  EXPECT_TRUE(all_processes_end());
}

TEST_F(Qos, ARecordingSaysTheSameAgain) {
  const std::vector<std::string> policies = {"--policies", "fixed-1,best-route@1", "--simulate",
                                             "1000"};
  std::vector<std::string> words = short_run(policies);
  words.insert(words.end(), {"--deadline-ms", "50", "--record", "run.jsonl"});
  const json live = strata_json(words);
  const json again = strata_json({"qos", "--replay", "run.jsonl", "--simulate", "1000"});
  ASSERT_EQ(again["policies"].size(), live["policies"].size());
  for (size_t i = 0; i < live["policies"].size(); ++i) {
    for (const char* key : {"name", "inferences", "misses", "miss_rate", "ci95"}) {
      EXPECT_EQ(again["policies"][i][key], live["policies"][i][key]) << key;
    }
    EXPECT_NEAR(again["policies"][i]["p50_ms"].get<double>(),
                live["policies"][i]["p50_ms"].get<double>(), 0.01);
  }
  EXPECT_EQ(strata({"qos", "--replay", "run.jsonl", "--simulate", "1000", "--json", "-q"}).out,
            strata({"qos", "--replay", "run.jsonl", "--simulate", "1000", "--json", "-q"}).out)
      << "replaying is deterministic";
}

TEST_F(Qos, ARecordingTriesPoliciesThatItDoesNotHold) {
  std::vector<std::string> words =
      short_run({"--policies", "fixed-0,fixed-2", "--simulate", "0", "--deadline-ms", "50",
                 "--level-metrics", "80,85,90", "--record", "run.jsonl"});
  (void)strata_json(words);
  const json tried = strata_json({"qos", "--replay", "run.jsonl", "--simulate", "1000", "--nines",
                                  "2", "--policies", "fixed-2,best-route,best-route@1"});
  std::vector<std::string> live, simulated;
  for (const json& policy : tried["policies"]) {
    if (policy["source"] == "live") live.push_back(policy["name"]);
    if (policy.contains("simulated")) simulated.push_back(policy["name"]);
  }
  EXPECT_EQ(live, (std::vector<std::string>{"fixed-0", "fixed-2"}));
  EXPECT_EQ(simulated,
            (std::vector<std::string>{"fixed-2", "best-route", "best-route@1", "oracle"}));
  EXPECT_NEAR(tried["wanted_nines"].get<double>(), 2, 1e-9);
  EXPECT_EQ(tried["comparison"]["router"], "best-route@1");
  EXPECT_EQ(strata_json({"qos", "--replay", "run.jsonl", "--simulate", "500"})["policies"].size(),
            3U)
      << "without --policies those of the recording, and the oracle";
  expect_error(strata({"qos", "--replay", "run.jsonl", "--policies", "fixed-7", "-q"}),
               {"fixed-7", "fixed-2"});
  expect_error(strata({"qos", "--replay", "run.jsonl", "--level-metrics", "1,2,3", "-q"}),
               {"--level-metrics"}, 2);
}

TEST_F(Qos, MeasuresAccuracyOnDataOrTakesItFromEval) {
  write_idx_data(folder() / "digits", 30, 3, 8);
  ASSERT_EQ(
      strata({"eval", "m.strata", "--data", "digits", "--switch-points", "-q", "-o", "e.json"})
          .exit_code,
      0);
  std::vector<std::string> words = short_run(
      {"--deadline-ms", "50", "--policies", "fixed-0", "--simulate", "0", "--data", "digits"});
  const json measured = strata_json(words);
  words.back() = "e.json";
  words[words.size() - 2] = "--eval";
  const json taken = strata_json(words);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(measured["levels"][k]["value"], taken["levels"][k]["value"]);
  }
  ASSERT_EQ(strata({"init", "resnet8", "--input", "1x1x8x8", "--width", "4", "--classes", "3",
                    "--level-weights", "5,20,50", "-q", "-o", "other.strata"})
                .exit_code,
            0);
  words[1] = "other.strata";
  words.push_back("--quiet");
  expect_error(strata(words), {"e.json", "another model"});
}

TEST_F(Qos, ReplaysATraceOfArrivals) {
  std::string trace = "# seconds\n";
  for (int i = 0; i < 30; ++i) trace += std::to_string(0.02 * i) + "\n\n";
  write_text(folder() / "trace.txt", trace);
  const json result = strata_json(short_run({"--deadline-ms", "50", "--policies", "fixed-0",
                                             "--simulate", "500", "--arrivals", "trace.txt"}));
  EXPECT_NEAR(result["load"]["rate_per_second"].get<double>(), 50, 1e-6);
  EXPECT_EQ(result["policies"][0]["inferences"], 20) << "one every 20 ms for 0.4 s";

  write_text(folder() / "bad.txt", "0.1\nsoon\n");
  expect_error(strata(short_run({"--deadline-ms", "50", "--arrivals", "bad.txt"})),
               {"bad.txt", "line 2", "'soon'"});
}

TEST_F(Qos, RefusesWhatMakesNoSense) {
  expect_error(strata({"qos"}), {"--replay"}, 2);
  expect_error(strata({"qos", "--replay", "x", "--deadline-ms", "5"}), {"--sweep"}, 2);
  expect_error(strata({"qos", "m.strata", "--deadline-ms", "0"}), {"--deadline-ms"}, 2);
  expect_error(strata({"qos", "m.strata", "--deadline-ms", "nan"}), {"--deadline-ms"}, 2);
  expect_error(strata({"qos", "m.strata", "--deadline-ms", "5", "--deadline-factor", "2"}),
               {"--deadline-factor"}, 2);
  expect_error(strata({"qos", "m.strata", "--sweep", "1,-2"}), {"--sweep"}, 2);
  expect_error(strata({"qos", "m.strata", "--pattern", "bursts"}), {"--co-runner"}, 2);
  expect_error(strata({"qos", "m.strata", "--co-runner", "disk"}), {"--co-runner"}, 2);
  expect_error(strata({"qos", "m.strata", "--record", "m.strata"}), {"input"});
  expect_error(strata({"qos", "m.strata", "--policies", "fixed-7", "-q"}), {"fixed-7", "fixed-2"});
  expect_error(strata({"qos", "m.strata", "--policies", "guess", "-q"}), {"guess", "best-route"});
  expect_error(strata({"qos", "m.strata", "--policies", "best-route@all", "-q"}), {"'all' nines"});
  expect_error(strata({"qos", "m.strata", "--level-metrics", "1,2", "-q"}), {"3 levels"});
  expect_error(strata({"qos", "none.strata", "-q"}), {"none.strata"});
}

TEST_F(Qos, RefusesDamagedRecordings) {
  ASSERT_EQ(strata(short_run({"--deadline-ms", "50", "--policies", "fixed-0", "--simulate", "0",
                              "--record", "run.jsonl"}))
                .exit_code,
            0);
  const std::string whole = read("run.jsonl");
  const auto refused = [this](const std::string& text, const std::vector<std::string>& words) {
    write_text(folder() / "bad.jsonl", text);
    expect_error(strata({"qos", "--replay", "bad.jsonl", "-q"}), words);
  };
  refused("", {"bad.jsonl"});
  refused("{}\n", {"bad.jsonl", "no recording"});
  refused(whole.substr(0, whole.size() / 2), {"bad.jsonl"});
  refused(whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1), {"bad.jsonl", "cut off"});
  std::string wrong = whole;
  wrong.replace(wrong.find("\"levels\":\"0"), 11, "\"levels\":\"9");
  refused(wrong, {"bad.jsonl", "line 2", "level"});
}

TEST_F(Qos, SaysHowToGetStressNg) {
  const Outcome outcome =
      run_program(folder(), "/bin/sh",
                  {"-c", std::string("PATH=/nowhere exec ") + STRATA_BINARY +
                             " qos m.strata --deadline-ms 5 --co-runner memory --threads 1 -q"});
  expect_error(outcome,
               {"stress-ng is not installed", "package stress-ng", "--built-in-co-runner"});
}

TEST_F(Qos, AQuotaLimitsThisProcessOrSaysWhyItCannot) {
  const Outcome limited =
      strata({"qos",           "m.strata",  "--threads",  "1",          "--batch",
              "512",           "--seconds", "0.5",        "--block",    "0.5",
              "--warm-up",     "0.1",       "--rate",     "100",        "--quiet",
              "--deadline-ms", "20",        "--policies", "fixed-2",    "--co-runner",
              "quota",         "--quota",   "0.05",       "--simulate", "100",
              "--json"});
  if (limited.exit_code != 0) {  // it needs the right to make a control group
    EXPECT_NE(limited.err.find("control group"), std::string::npos) << limited.err;
    GTEST_SKIP() << limited.err;
  }
  const json busy = json::parse(limited.out);
  EXPECT_NE(busy["co_runner"]["program"].get<std::string>().find("0.05 cores"), std::string::npos);
  // 5 ms of every 100, which is less than what is asked for: answers come late.
  EXPECT_GT(busy["policies"][0]["misses"].get<int>(), 0);
  EXPECT_GT(busy["policies"][0]["p99_ms"].get<double>(), 50);
  EXPECT_EQ(strata({"qos", "m.strata", "--deadline-ms", "5", "--quota", "1"}).exit_code, 2);
}

TEST_F(Qos, CtrlCStopsTheCoRunnerAndKeepsTheRecording) {
  RunOptions options;
  options.interrupt_once_said =
      "unloaded; deadline";  // what comes before is measured, not recorded
  options.interrupt_after_ms = 2000;
  const Outcome outcome = strata({"qos",
                                  "m.strata",
                                  "--threads",
                                  "1",
                                  "--batch",
                                  "64",
                                  "--deadline-ms",
                                  "20",
                                  "--rate",
                                  "200",
                                  "--seconds",
                                  "3600",
                                  "--co-runner",
                                  "memory",
                                  "--built-in-co-runner",
                                  "--workers",
                                  "1",
                                  "--policies",
                                  "best-route",
                                  "--record",
                                  "run.jsonl"},
                                 options);
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
  EXPECT_NE(outcome.err.find("strata: interrupted"), std::string::npos) << outcome.err;
  EXPECT_TRUE(all_processes_end()) << "a co-runner was left behind";
  const json again = strata_json({"qos", "--replay", "run.jsonl", "--simulate", "0"});
  EXPECT_EQ(again["policies"][0]["name"], "best-route");
}

TEST_F(Qos, TheCoRunnerDiesWithAProgramThatIsKilled) {
  const Outcome outcome = run_program(
      folder(), "/bin/sh",
      {"-c",
       std::string(STRATA_BINARY) +
           " qos m.strata --threads 1 --deadline-ms 5 --rate 100 --seconds 3600 --co-runner cpu "
           "--pattern off --built-in-co-runner --workers 2 -q >/dev/null & sleep 6; kill -9 "
           "$!"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_TRUE(all_processes_end()) << "a co-runner was left behind";
}

}  // namespace
}  // namespace strata::cli_test
