// From init to the report, every verb on what the verb before it wrote; the JSON keys are those
// that scripts rely on.
#include <algorithm>

#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class Pipeline : public StrataTest {
 protected:
  void SetUp() override {
    make_model("m.strata");
    write_idx_data(folder() / "digits", 60, 3, 8);
  }
};

void expect_keys(const json& object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) EXPECT_TRUE(object.contains(key)) << key << " in " << object;
}

void expect_frame(const json& document, const std::string& verb) {
  expect_keys(document, {"schema", "verb", "version", "command"});
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["verb"], verb);
}

TEST_F(Pipeline, InitMeetsTheAskedDensities) {
  const json made = strata_json({"init", "resnet8", "--input", "1x1x8x8", "--level-weights",
                                 "5.38,13.38", "--level-flops", "6,15", "-o", "d.strata"});
  expect_frame(made, "init");
  ASSERT_EQ(made["levels"].size(), 2U);
  EXPECT_NEAR(made["levels"][0]["weights_pct"].get<double>(), 5.38, 0.01);
  EXPECT_NEAR(made["levels"][1]["weights_pct"].get<double>(), 13.38, 0.01);
  EXPECT_NEAR(made["levels"][0]["flops_pct"].get<double>(), 6, 0.05);
  EXPECT_NEAR(made["levels"][1]["flops_pct"].get<double>(), 15, 0.05);
}

TEST_F(Pipeline, TheSameSeedGivesTheSameFile) {
  make_model("same.strata");
  make_model("other.strata", "2");
  // The command line stands in the record, so compare what inspect says of the weights alone.
  json a = strata_json({"inspect", "m.strata", "--layers"});
  json b = strata_json({"inspect", "same.strata", "--layers"});
  json c = strata_json({"inspect", "other.strata", "--layers"});
  EXPECT_EQ(a["layers"], b["layers"]);
  EXPECT_EQ(a["levels"][0]["position_bits_per_nonzero"],
            b["levels"][0]["position_bits_per_nonzero"]);
  EXPECT_NE(a["levels"][0]["position_bits_per_nonzero"],
            c["levels"][0]["position_bits_per_nonzero"]);
}

TEST_F(Pipeline, InspectHasItsKeys) {
  const json inspected = strata_json({"inspect", "m.strata"});
  expect_frame(inspected, "inspect");
  expect_keys(inspected, {"architecture", "graphs", "parameters", "weights", "weights_prunable",
                          "dense_macs", "values", "file_bytes", "metadata_bytes", "levels",
                          "levels_declared", "metadata", "record"});
  EXPECT_EQ(inspected["nested"], true);
  EXPECT_FALSE(inspected.contains("layers"));
  ASSERT_EQ(inspected["levels"].size(), 3U);
  int number = 0;
  uint64_t end = 0;
  for (const json& level : inspected["levels"]) {
    expect_keys(level, {"level", "weights_pct", "weights_pct_prunable", "flops_pct", "bytes_to_end",
                        "position_bits_per_nonzero", "entropy_bits_per_nonzero",
                        "value_bits_per_nonzero", "nonzeros"});
    EXPECT_EQ(level["level"], number++);
    EXPECT_GT(level["bytes_to_end"].get<uint64_t>(), end);
    end = level["bytes_to_end"];
    EXPECT_GE(level["position_bits_per_nonzero"].get<double>(),
              level["entropy_bits_per_nonzero"].get<double>());
    EXPECT_EQ(level["value_bits_per_nonzero"], 32);
  }
  EXPECT_EQ(end, std::filesystem::file_size(folder() / "m.strata"));

  const json layers = strata_json({"inspect", "m.strata", "--layers"})["layers"];
  ASSERT_FALSE(layers.empty());
  for (const json& layer : layers) {
    expect_keys(layer, {"name", "elements", "prunable", "dense_macs", "nonzeros", "density_pct"});
  }
}

TEST_F(Pipeline, InspectAsTextSaysTheSame) {
  const Outcome text = strata({"inspect", "m.strata", "--layers"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_EQ(text.err, "");
  for (const char* words : {"resnet8", "nested        yes", "[batch,1,8,8]", "conv1.weight"}) {
    EXPECT_NE(text.out.find(words), std::string::npos) << words << " in\n" << text.out;
  }
}

TEST_F(Pipeline, AFileCutAtALevelsEndIsAFileOfTheLevelsBelow) {
  const json whole = strata_json({"inspect", "m.strata"});
  std::filesystem::resize_file(folder() / "m.strata",
                               whole["levels"][1]["bytes_to_end"].get<uint64_t>());
  const json cut = strata_json({"inspect", "m.strata"});
  EXPECT_EQ(cut["levels"].size(), 2U);
  EXPECT_EQ(cut["levels_declared"], 3);
  EXPECT_EQ(cut["nested"], true);
  EXPECT_EQ(cut["levels"][1]["nonzeros"], whole["levels"][1]["nonzeros"]);
  EXPECT_NE(strata({"inspect", "m.strata"}).out.find("2 of 3"), std::string::npos);
  expect_error(strata({"bench", "m.strata", "--level", "2"}), {"level 2", "levels 0 to 1"});
}

TEST_F(Pipeline, NarrowValuesMakeTheFileSmaller) {
  const auto bytes = [this](const std::string& values) {
    return strata_json({"init", "resnet8", "--input", "1x1x8x8", "--level-weights", "50",
                        "--values", values, "-o", values + ".strata"})["model"]["bytes"]
        .get<uint64_t>();
  };
  const uint64_t f32 = bytes("f32");
  const uint64_t f16 = bytes("f16");
  const uint64_t int8 = bytes("int8");
  EXPECT_LT(f16, f32);
  EXPECT_LT(int8, f16);
}

TEST_F(Pipeline, ConvertStoresTheSameLevelsInFewerBytes) {
  const json before = strata_json({"inspect", "m.strata"});
  const json made = strata_json({"convert", "m.strata", "--values", "int8", "-o", "8.strata"});
  expect_frame(made, "convert");
  expect_keys(made, {"output", "values", "bytes_before", "rounding_error_pct", "rounded_to_zero"});
  EXPECT_EQ(made["values"], "int8");
  EXPECT_EQ(made["bytes_before"], before["file_bytes"]);
  EXPECT_GT(made["rounding_error_pct"].get<double>(), 0);
  EXPECT_LT(made["rounding_error_pct"].get<double>(), 2);
  const json after = strata_json({"inspect", "8.strata"});
  EXPECT_EQ(after["values"], "int8");
  EXPECT_EQ(after["nested"], true);
  EXPECT_LT(after["file_bytes"], before["file_bytes"]);
  EXPECT_EQ(after["levels"][2]["nonzeros"].get<int64_t>() + made["rounded_to_zero"].get<int64_t>(),
            before["levels"][2]["nonzeros"].get<int64_t>());
  // Rounded once: again changes nothing.
  const json again = strata_json({"convert", "8.strata", "--values", "int8", "-o", "9.strata"});
  EXPECT_EQ(again["rounding_error_pct"], 0);
  expect_error(strata({"convert", "m.strata", "--values", "int8", "-o", "m.strata"}), {"m.strata"});
  EXPECT_EQ(strata({"convert", "m.strata", "-o", "x.strata"}).exit_code, 2);
  EXPECT_EQ(strata({"convert", "m.strata", "--values", "int4", "-o", "x.strata"}).exit_code, 2);
}

TEST_F(Pipeline, EvalCountsEveryLevelAndEverySwitchPoint) {
  const json result = strata_json({"eval", "m.strata", "--data", "digits", "--threads", "2",
                                   "--switch-points=30", "-o", "e.json"});
  expect_frame(result, "eval");
  EXPECT_EQ(result["metric"], "top1");
  EXPECT_EQ(result["unit"], "percent");
  EXPECT_EQ(result["data"]["images"], 60);
  ASSERT_EQ(result["levels"].size(), 3U);
  for (const json& level : result["levels"]) {
    EXPECT_EQ(level["images"], 60);
    EXPECT_NEAR(level["value"].get<double>(), level["correct"].get<double>() / 60 * 100, 1e-9);
  }
  EXPECT_EQ(result["switch_point_images"], 30);
  const size_t steps = result["steps"].size();
  ASSERT_GT(steps, 2U);
  // Three pairs of levels, a switch before every step but the first.
  ASSERT_EQ(result["switch_points"].size(), 3 * (steps - 1));
  for (const json& point : result["switch_points"]) {
    expect_keys(point, {"step", "from", "to", "value"});
    EXPECT_GT(point["from"].get<int>(), point["to"].get<int>());
  }
  EXPECT_EQ(json::parse(read("e.json")), result);

  // The number of threads changes nothing.
  const json again = strata_json({"eval", "m.strata", "--data", "digits", "--threads", "1"});
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(again["levels"][k]["value"], result["levels"][k]["value"]);
  }
  EXPECT_TRUE(again["switch_points"].empty());
}

TEST_F(Pipeline, EvalOfOneLevelOnFewerImages) {
  const json result =
      strata_json({"eval", "m.strata", "--data", "digits", "--level", "1", "--limit", "9"});
  ASSERT_EQ(result["levels"].size(), 1U);
  EXPECT_EQ(result["levels"][0]["level"], 1);
  EXPECT_EQ(result["levels"][0]["images"], 9);
  expect_error(strata({"eval", "m.strata", "--data", "digits", "--level", "1", "--switch-points"}),
               {"--level"}, 2);
  expect_error(strata({"eval", "m.strata", "--data", "digits", "--switch-points=few"}), {"'few'"},
               2);
}

TEST_F(Pipeline, BenchTimesEveryLevel) {
  const json result = strata_json(
      {"bench", "m.strata", "--threads", "2", "--runs", "5", "--steps", "-o", "b.json"});
  expect_frame(result, "bench");
  EXPECT_EQ(result["threads"], 2);
  expect_keys(result["machine"], {"cpu", "cores", "os", "load"});
  expect_keys(result, {"memory_bytes", "others_cores", "quiet_machine"});
  expect_keys(result["build"], {"strata", "type", "compiler", "libtorch"});
  ASSERT_EQ(result["levels"].size(), 3U);
  for (const json& level : result["levels"]) {
    expect_keys(level,
                {"level", "p50_ms", "p90_ms", "p99_ms", "weights_pct", "flops_pct", "steady"});
    EXPECT_GT(level["p50_ms"].get<double>(), 0);
    EXPECT_LE(level["p50_ms"], level["p90_ms"]);
    EXPECT_LE(level["p90_ms"], level["p99_ms"]);
    EXPECT_EQ(level["runs"], 5);
    EXPECT_EQ(level["step_us"].size(), result["steps"].size());
  }
  EXPECT_TRUE(result["peers"].empty());
  EXPECT_EQ(
      strata_json({"bench", "m.strata", "--threads", "1", "--runs", "2", "--level", "1"})["levels"]
          .size(),
      1U);
}

TEST_F(Pipeline, BenchComparesWithLibtorchWhereItIsBuiltIn) {
  const bool has_libtorch = strata_json({"version"})["build"]["libtorch"].is_string();
  const std::vector<std::string> words = {"bench",  "m.strata", "--threads", "1",
                                          "--runs", "3",        "--vs",      "libtorch"};
  if (!has_libtorch) {
    expect_error(strata(words), {"without libtorch"});
    return;
  }
  const json result = strata_json(words);
  ASSERT_EQ(result["peers"].size(), 1U);
  EXPECT_EQ(result["peers"][0]["name"], "libtorch");
  const double peer = result["peers"][0]["p50_ms"];
  for (const json& level : result["levels"]) {
    EXPECT_NEAR(level["speedup"].get<double>(), peer / level["p50_ms"].get<double>(), 1e-6);
  }
}

TEST_F(Pipeline, BenchComparesEveryLevelWithItselfStoredAlone) {
  const json result = strata_json(
      {"bench", "--vs", "alone", "m.strata", "--threads", "1", "--runs", "5", "-o", "b.json"});
  ASSERT_EQ(result["peers"].size(), 3U);
  const json inspected = strata_json({"inspect", "m.strata"});
  for (size_t k = 0; k < 3; ++k) {
    const json& peer = result["peers"][k];
    const json& level = result["levels"][k];
    expect_keys(peer, {"p50_ms", "p90_ms", "p99_ms", "steady", "file_bytes"});
    EXPECT_EQ(peer["name"], "level " + std::to_string(k) + " alone");
    EXPECT_EQ(peer["level"], k);
    EXPECT_EQ(peer["runs"], 5);
    EXPECT_NEAR(level["over_alone"].get<double>(),
                level["p50_ms"].get<double>() / peer["p50_ms"].get<double>(), 1e-9);
    EXPECT_FALSE(level.contains("speedup"));
    // A file of one level needs no blocks for the other levels.
    EXPECT_LE(peer["file_bytes"], inspected["levels"][k]["bytes_to_end"]);
  }

  const Outcome text = strata({"bench", "m.strata", "--level", "1", "--vs", "alone", "--threads",
                               "1", "--runs", "2", "-q"});
  EXPECT_NE(text.out.find("time / alone"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("level 1 alone"), std::string::npos) << text.out;
  EXPECT_EQ(text.out.find("level 2"), std::string::npos) << text.out;

  const Outcome report = strata({"report", "--bench", "b.json", "m.strata", "-o", "r.html", "-q"});
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_NE(report.out.find("time / alone"), std::string::npos) << report.out;
  EXPECT_EQ(report.out.find("alone, dense"), std::string::npos) << report.out;
}

TEST_F(Pipeline, BenchTakesSeveralPeersAsAListOrOneByOne) {
  expect_error(strata({"bench", "m.strata", "--vs", "alone,torchlib"}), {"torchlib"}, 2);
  if (!strata_json({"version"})["build"]["libtorch"].is_string()) return;
  const auto names = [this](const std::vector<std::string>& peers) {
    std::vector<std::string> words = {"bench", "m.strata", "--threads", "1", "--runs", "2"};
    words.insert(words.end(), peers.begin(), peers.end());
    const json result = strata_json(words);
    std::string list;
    for (const json& peer : result["peers"]) {
      list += peer["name"].get<std::string>() + ";";
    }
    return list;
  };
  const std::string both = "libtorch;level 0 alone;level 1 alone;level 2 alone;";
  EXPECT_EQ(names({"--vs", "libtorch,alone"}), both);
  EXPECT_EQ(names({"--vs", "alone", "--vs", "libtorch"}), both);
}

TEST_F(Pipeline, ExportWritesEveryLevelAndTheDenseModel) {
  for (const std::string level : {"0", "2", "dense"}) {
    const json result =
        strata_json({"export", "m.strata", "--level", level, "-o", level + ".onnx"});
    expect_frame(result, "export");
    EXPECT_EQ(result["bytes"], std::filesystem::file_size(folder() / (level + ".onnx")));
  }
  EXPECT_NE(read("0.onnx"), read("2.onnx"));
  // An architecture's name and an operator's stand in the file as they are.
  EXPECT_NE(read("0.onnx").find("Conv"), std::string::npos);
  expect_error(strata({"export", "m.strata", "--level", "3", "-o", "x.onnx"}),
               {"level 3 does not exist", "levels 0 to 2"});
  expect_error(strata({"export", "m.strata", "--level", "-1", "-o", "x.onnx"}),
               {"level -1 does not exist"});
  expect_error(strata({"export", "m.strata", "--level", "top", "-o", "x.onnx"}), {"'top'"}, 2);
  EXPECT_FALSE(std::filesystem::exists(folder() / "x.onnx"));
}

TEST_F(Pipeline, TheReportIsOnePageThatNeedsNothingElse) {
  ASSERT_EQ(
      strata({"eval", "m.strata", "--data", "digits", "--switch-points=9", "-q", "-o", "e.json"})
          .exit_code,
      0);
  ASSERT_EQ(strata({"bench", "m.strata", "--threads", "1", "--runs", "3", "-q", "-o", "b.json"})
                .exit_code,
            0);
  const Outcome outcome =
      strata({"report", "--eval", "e.json", "--bench", "b.json", "m.strata", "-o", "r.html"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* words :
       {"top-1 %", "weights %", "FLOPs %", "file bytes", "median ms", "level 2"}) {
    EXPECT_NE(outcome.out.find(words), std::string::npos) << words << " in\n" << outcome.out;
  }
  const std::string page = read("r.html");
  for (const char* words :
       {"Accuracy against weights", "Accuracy against latency", "Density per layer",
        "Changing level in the middle", "What the file holds", "The levels", "strata eval m.strata",
        "strata bench m.strata", "increment 2", "conv1"}) {
    EXPECT_NE(page.find(words), std::string::npos) << words;
  }
  for (const char* words : {"http://", "https://", "<script", "<link", "@import", "url("}) {
    EXPECT_EQ(page.find(words), std::string::npos) << words;
  }
}

TEST_F(Pipeline, TheReportWarnsOfTimesTakenOnABusyMachine) {
  json bench = strata_json({"bench", "m.strata", "--threads", "1", "--runs", "2"});
  for (json& level : bench["levels"]) level["steady"] = true;
  for (const bool quiet : {true, false}) {
    bench["quiet_machine"] = quiet;
    write_text(folder() / "b.json", bench.dump());
    const Outcome outcome =
        strata({"report", "--bench", "b.json", "m.strata", "-o", "r.html", "-q"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.out.find("busy machine") == std::string::npos, quiet) << outcome.out;
    EXPECT_EQ(read("r.html").find("busy machine") == std::string::npos, quiet);
  }
}

TEST_F(Pipeline, TheReportShowsWhatThereIs) {
  ASSERT_EQ(strata({"report", "m.strata", "-o", "r.html", "-q"}).exit_code, 0);
  const std::string page = read("r.html");
  EXPECT_NE(page.find("Density per layer"), std::string::npos);
  EXPECT_EQ(page.find("Accuracy against"), std::string::npos);
  expect_error(strata({"report", "-o", "r.html"}), {"nothing to report"}, 2);
}

TEST_F(Pipeline, TheReportRefusesResultsOfAnotherModel) {
  ASSERT_EQ(strata({"bench", "m.strata", "--runs", "1", "-q", "-o", "b.json"}).exit_code, 0);
  ASSERT_EQ(
      strata({"init", "resnet8", "--level-weights", "7,30", "-q", "-o", "o.strata"}).exit_code, 0);
  expect_error(strata({"report", "--bench", "b.json", "o.strata", "-o", "r.html"}),
               {"another model"});
  expect_error(strata({"report", "--eval", "b.json", "-o", "r.html"}),
               {"no result of strata eval"});
  write_text(folder() / "x.json", "{");
  expect_error(strata({"report", "--eval", "x.json", "-o", "r.html"}), {"no JSON"});
  json incomplete = json::parse(read("b.json"));
  incomplete.erase("threads");
  write_text(folder() / "x.json", incomplete.dump());
  expect_error(strata({"report", "--bench", "x.json", "-o", "r.html"}), {"x.json", "threads"});
  EXPECT_FALSE(std::filesystem::exists(folder() / "r.html"));
}

TEST_F(Pipeline, TrainMakesAFileThatTheOtherVerbsUnderstand) {
  write_text(folder() / "r.toml",
             "[model]\narch = \"resnet8\"\nwidth = 4\n[levels]\nweights = [20, 60]\n"
             "[optimizer]\nepochs = 1\nbatch_size = 20\n");
  const std::vector<std::string> words = {"train", "r.toml", "--data", "digits", "-o", "t.strata"};
  if (!strata_json({"version"})["build"]["libtorch"].is_string()) {
    expect_error(strata(words), {"without libtorch"});
    return;
  }
  const json trained = strata_json(words);
  expect_frame(trained, "train");
  ASSERT_EQ(trained["levels"].size(), 2U);
  expect_keys(trained["levels"][0], {"level", "value", "weights_pct", "flops_pct", "bytes_to_end"});
  EXPECT_EQ(strata_json({"inspect", "t.strata"})["nested"], true);
  // Our runtime agrees with what training measured, but for a tie or two.
  const json evaluated = strata_json({"eval", "t.strata", "--data", "digits"});
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(evaluated["levels"][k]["value"].get<double>(),
                trained["levels"][k]["value"].get<double>(), 2);
  }
}

}  // namespace
}  // namespace strata::cli_test
