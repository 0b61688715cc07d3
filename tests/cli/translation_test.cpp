// A translator from training to answers, as a user drives it.
#include <algorithm>

#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class Translators : public StrataTest {
 protected:
  void SetUp() override {
    std::string english;
    std::string german;
    for (const auto& [adjective, translated] :
         {std::pair("red", "roter"), std::pair("old", "alter"), std::pair("big", "großer")}) {
      for (const auto& [noun, name] : {std::pair("dog", "Hund"), std::pair("man", "Mann"),
                                       std::pair("tree", "Baum"), std::pair("king", "König")}) {
        english += std::string("one ") + adjective + " " + noun + " sleeps\n";
        german += std::string("ein ") + translated + " " + name + " schläft\n";
      }
    }
    for (const char* split : {"train", "val", "test"}) {
      write_text(folder() / (std::string(split) + ".en"), english);
      write_text(folder() / (std::string(split) + ".de"), german);
    }
    write_text(folder() / "gnmt.toml", R"(
seed = 1
threads = 1
model.arch = "gnmt"
model.layers = 2
model.width = 16
model.vocabulary = 60
model.dropout = 0
model.keep_ends_dense = false
levels.weights = [40, 80]
optimizer.kind = "adam"
optimizer.lr = 0.01
optimizer.weight_decay = 0
optimizer.batch_size = 4
optimizer.epochs = 20
eval.every_epochs = 10
eval.beam = 5
)");
    (void)strata_json({"train", "gnmt.toml", "--data", ".", "-q", "-o", "t.strata"});
  }

  [[nodiscard]] Outcome piped(const std::string& from, const std::string& options = "") const {
    return run_program(folder(), "/bin/sh",
                       {"-c", from + " | '" + STRATA_BINARY + "' translate t.strata " + options});
  }
};

TEST_F(Translators, AnswerLineByLine) {
  write_text(folder() / "in.txt", "one red dog sleeps\n\none old king sleeps\r\n");
  const Outcome file = strata({"translate", "t.strata", "in.txt"});
  ASSERT_EQ(file.exit_code, 0) << file.err;
  EXPECT_EQ(std::count(file.out.begin(), file.out.end(), '\n'), 3);
  EXPECT_NE(file.out.find("\n\n"), std::string::npos) << "of nothing comes nothing: " << file.out;
  EXPECT_EQ(piped("cat in.txt").out, file.out);
  EXPECT_EQ(piped("cat in.txt", "- --threads 2").out, file.out);

  const json result = strata_json({"translate", "t.strata", "in.txt", "--level", "0"});
  ASSERT_EQ(result["translations"].size(), 3U);
  EXPECT_EQ(result["level"], 0);
  EXPECT_EQ(result["translations"][1]["text"], "");
  EXPECT_EQ(result["translations"][2]["source"], "one old king sleeps");
  EXPECT_LT(result["translations"][0]["score"].get<double>(), 0);
  EXPECT_EQ(piped("true").out, "");
}

TEST_F(Translators, AreServedByDeadlinesAndJudgedByWhatTheySay) {
  const std::vector<std::string> run = {
      "qos",           "t.strata",  "--threads",  "1",
      "--seconds",     "0.4",       "--block",    "0.2",
      "--warm-up",     "0",         "--rate",     "60",
      "--deadline-ms", "500",       "--policies", "fixed-0,fixed-1,best-route",
      "--record",      "run.jsonl", "-q"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = run;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  expect_error(strata(run), {"t.strata", "--data"}, 2);
  expect_error(strata(with({"--data", "test", "--batch", "2"})), {"--batch"}, 2);
  expect_error(strata(with({"--data", "test", "--sweep", "2"})), {"--sweep"}, 2);
  expect_error(strata(with({"--data", "nothing"})), {"nothing.en"});

  const json served = strata_json(with({"--data", "test", "--html", "q.html"}));
  EXPECT_EQ(served["metric"], "bleu");
  const json evaluated = strata_json({"eval", "t.strata", "--data", "test", "-q"});
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(served["levels"][k]["value"].get<double>(),
                evaluated["levels"][k]["value"].get<double>(), 1e-9);
  }
  for (const json& policy : served["policies"]) {
    EXPECT_GT(policy["inferences"].get<int>(), 10);
    EXPECT_FALSE(policy.contains("simulated")) << "sentences differ in length";
    if (policy["misses"] == 0) {
      EXPECT_EQ(policy["metric"], policy["metric_met"]);
    }
  }
  // A level that is fixed says what it says without a deadline: 0 and 100 % of the way.
  for (size_t k = 0; k < 2; ++k) {
    const json& share = served["policies"][k]["accuracy_share"];
    if (!share.is_null()) {
      EXPECT_NEAR(share.get<double>(), static_cast<double>(k), 1e-9);
    }
  }
  EXPECT_NE(read("q.html").find("Latency per policy</h2>"), std::string::npos);
  const json again = strata_json({"qos", "--replay", "run.jsonl"});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(again["policies"][i]["metric"], served["policies"][i]["metric"]);
    EXPECT_EQ(again["policies"][i]["misses"], served["policies"][i]["misses"]);
  }
  std::string damaged = read("run.jsonl");
  damaged.replace(damaged.find("\"sentence\":"), 12, "\"sentence\":99");
  write_text(folder() / "bad.jsonl", damaged);
  expect_error(strata({"qos", "--replay", "bad.jsonl", "-q"}), {"bad.jsonl", "line 2", "sentence"});
}

TEST_F(Translators, KeepDeadlines) {
  expect_error(strata({"translate", "t.strata", "test.en", "--deadline-ms", "100"}),
               {"t.strata.profile", "'strata profile t.strata --threads"});
  const json profile = strata_json(
      {"profile", "t.strata", "--threads", "1", "--longest", "20", "--runs", "5", "-q"});
  ASSERT_EQ(profile["profiles"].size(), 2U);
  EXPECT_EQ(profile["profiles"][0]["length"], 15);
  EXPECT_EQ(profile["profiles"][1]["length"], 31);
  EXPECT_EQ(profile["profiles"][0]["steps"].back()["kind"], "decode");
  const json late =
      strata_json({"translate", "t.strata", "test.en", "--deadline-ms", "1e-6", "--threads", "1"});
  const json timely = strata_json({"translate", "t.strata", "test.en", "--deadline-ms", "1e9",
                                   "--nines", "0.5", "--threads", "1"});
  const json best = strata_json({"translate", "t.strata", "test.en"});
  ASSERT_EQ(late["translations"].size(), best["translations"].size());
  for (size_t i = 0; i < best["translations"].size(); ++i) {
    EXPECT_EQ(late["translations"][i]["met"], false);
    EXPECT_EQ(late["translations"][i]["levels"], (std::vector<int>{0, 0}));
    EXPECT_EQ(timely["translations"][i]["met"], true);
    EXPECT_EQ(timely["translations"][i]["levels"], (std::vector<int>{1, 1}));
    EXPECT_EQ(timely["translations"][i]["text"], best["translations"][i]["text"]);
  }
  expect_error(strata({"translate", "t.strata", "test.en", "--deadline-ms", "9", "--threads", "1",
                       "--beam", "2"}),
               {"profile"});
}

TEST_F(Translators, AreEvaluatedByBleuAtEveryLevelAndSwitch) {
  const json result = strata_json(
      {"eval", "t.strata", "--data", "test", "--limit", "6", "--switch-points=2", "-q"});
  EXPECT_EQ(result["metric"], "bleu");
  EXPECT_EQ(result["signature"], "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp");
  EXPECT_EQ(result["beam"], 5);
  EXPECT_EQ(result["data"]["sample_unit"], "sentences");
  EXPECT_EQ(result["levels"].size(), 2U);
  EXPECT_EQ(result["levels"][0]["images"], 6);
  EXPECT_EQ(result["switch_points"].size() + 1, result["steps"].size());
  EXPECT_EQ(result["steps"][0]["name"], "encoder.embedding");
}

TEST_F(Translators, AreTimedGraphByGraph) {
  for (const char* graph : {"encode", "decode"}) {
    const json result = strata_json({"bench", "t.strata", "--graph", graph, "--vs",
                                     "libtorch,alone", "--runs", "5", "--threads", "1", "-q"});
    EXPECT_EQ(result["graph"], graph);
    EXPECT_GT(result["levels"][0]["speedup"].get<double>(), 0);
  }
  expect_error(strata({"bench", "t.strata"}), {"'encode', 'decode'"});
}

TEST_F(Translators, SayWhatIsWrong) {
  write_text(folder() / "latin.txt", "one red dog sleeps\nna\xEFve\n");
  const Outcome latin = strata({"translate", "t.strata", "latin.txt", "--json"});
  expect_error(latin, {"'latin.txt':2: byte 3 (0xEF) is not UTF-8", "iconv"});
  std::string endless;
  for (int i = 0; i < 1500; ++i) endless += "dog ";
  write_text(folder() / "endless.txt", endless + "\n");
  expect_error(strata({"translate", "t.strata", "endless.txt"}),
               {"'endless.txt':1: the sentence has", "at most 1023", "split it"});
  expect_error(strata({"translate", "t.strata", "nowhere.txt"}), {"cannot read 'nowhere.txt'"});
  expect_error(strata({"translate", "t.strata", "test.en", "--level", "2"}), {"level 2"});
  expect_error(strata({"translate", "t.strata", "test.en", "--beam", "0"}), {"--beam"}, 2);
  expect_error(strata({"eval", "t.strata", "--data", "."}), {"is a directory"});
  expect_error(strata({"eval", "t.strata", "--data", "gone"}), {"gone.en"});
  make_model("m.strata");
  expect_error(strata({"translate", "m.strata", "test.en"}), {"is no translator"});
  ASSERT_EQ(strata({"init", "gnmt", "--width", "8", "--layers", "2", "--vocabulary", "40",
                    "--level-weights", "30,60", "-o", "i.strata"})
                .exit_code,
            0);
  expect_error(strata({"translate", "i.strata", "test.en"}), {"carries no vocabulary"});
  expect_error(
      strata({"init", "gnmt", "--classes", "5", "--level-weights", "30", "-o", "x.strata"}),
      {"--vocabulary"}, 2);
  expect_error(
      strata({"init", "resnet8", "--layers", "5", "--level-weights", "30", "-o", "x.strata"}),
      {"are for translators"}, 2);
}

}  // namespace
}  // namespace strata::cli_test
