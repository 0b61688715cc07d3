// From an ONNX file to nested levels, as a user goes: check, import, compress, evaluate, export.
#include <algorithm>

#include "npz_bytes.h"
#include "small_transformer.h"
#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class BringYourOwn : public StrataTest {
 protected:
  void SetUp() override {
    write_idx_data(folder() / "digits", 60, 3, 8);
    const std::vector<std::string> init = {
        "init", "resnet8",         "--input", "1x1x8x8", "--classes", "3",       "--width",
        "4",    "--level-weights", "100",     "-q",      "-o",        "d.strata"};
    ASSERT_EQ(strata(init).exit_code, 0);
    ASSERT_EQ(strata({"export", "d.strata", "--level", "dense", "-q", "-o", "d.onnx"}).exit_code,
              0);
  }
};

TEST_F(BringYourOwn, CheckListsOperatorsAndSaysWhetherItRuns) {
  const json checked = strata_json({"import", "--check", "d.onnx"});
  EXPECT_EQ(checked["importable"], true);
  EXPECT_EQ(checked["runs"], true);
  EXPECT_EQ(checked["opset"], 13);
  ASSERT_FALSE(checked["operators"].empty());
  for (const json& use : checked["operators"]) {
    for (const char* key : {"operator", "domain", "count", "folded", "first_node", "problem"}) {
      EXPECT_TRUE(use.contains(key)) << key;
    }
    EXPECT_EQ(use["supported"], true) << use;
  }
  const Outcome text = strata({"import", "--check", "d.onnx"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("can be imported and run"), std::string::npos) << text.out;
}

TEST_F(BringYourOwn, AnImportedModelIsTheModel) {
  ASSERT_EQ(strata({"import", "d.onnx", "-q", "-o", "i.strata"}).exit_code, 0);
  const json before = strata_json({"eval", "d.strata", "--data", "digits"});
  const json after = strata_json({"eval", "i.strata", "--data", "digits"});
  EXPECT_EQ(before["levels"][0]["correct"], after["levels"][0]["correct"]);
  EXPECT_EQ(before["levels"][0]["nonzeros"], after["levels"][0]["nonzeros"]);
}

TEST_F(BringYourOwn, CompressMakesNestedLevelsAndReportsThem) {
  const json made = strata_json({"compress", "d.onnx", "--levels", "40,70", "--data", "digits",
                                 "--images", "30", "--threads", "1", "-o", "c.strata"});
  ASSERT_EQ(made["levels"].size(), 2U);
  EXPECT_TRUE(made.contains("dense_value"));
  for (const json& level : made["levels"]) {
    for (const char* key :
         {"level", "value", "output_distance", "weights_pct", "flops_pct", "p50_ms"}) {
      EXPECT_TRUE(level.contains(key)) << key;
    }
  }
  EXPECT_NEAR(made["levels"][0]["weights_pct"].get<double>(), 40, 1);
  ASSERT_FALSE(made["layers"].empty());
  EXPECT_EQ(strata_json({"inspect", "c.strata"})["nested"], true);
  const json evaluated = strata_json({"eval", "c.strata", "--data", "digits"});
  EXPECT_EQ(evaluated["levels"][1]["value"], made["levels"][1]["value"]);
  EXPECT_EQ(strata({"export", "c.strata", "--level", "1", "-q", "-o", "c.onnx"}).exit_code, 0);
  EXPECT_EQ(strata({"import", "c.onnx", "-q", "-o", "again.strata"}).exit_code, 0);
}

TEST_F(BringYourOwn, NarrowValuesAreReportedBesideF32) {
  const json made =
      strata_json({"compress", "d.onnx", "--levels", "40,70", "--data", "digits", "--images", "30",
                   "--threads", "1", "--values", "int8", "-o", "c.strata"});
  EXPECT_EQ(made["values"], "int8");
  const json evaluated = strata_json({"eval", "c.strata", "--data", "digits"});
  for (size_t k = 0; k < 2; ++k) {
    const json& level = made["levels"][k];
    EXPECT_TRUE(level.contains("value_f32"));
    EXPECT_NE(level["output_distance"], level["output_distance_f32"]);
    EXPECT_NEAR(level["output_distance"].get<double>(), level["output_distance_f32"].get<double>(),
                0.01);
    EXPECT_EQ(evaluated["levels"][k]["value"], level["value"]) << "the file's values";
    EXPECT_EQ(evaluated["levels"][k]["nonzeros"], level["nonzeros"]);
  }
  const json whole = strata_json({"import", "d.onnx", "--values", "int8", "-o", "i.strata"});
  EXPECT_EQ(strata_json({"inspect", "i.strata"})["values"], "int8");
}

TEST_F(BringYourOwn, WithoutDataItWarnsAndUsesMagnitude) {
  const Outcome made = strata({"compress", "d.onnx", "--levels", "50", "-o", "c.strata"});
  EXPECT_EQ(made.exit_code, 0);
  EXPECT_NE(made.err.find("warning: without --data"), std::string::npos) << made.err;
  const Outcome asked =
      strata({"compress", "d.onnx", "--levels", "50", "--method", "magnitude", "-o", "m.strata"});
  EXPECT_EQ(asked.err.find("warning: without --data"), std::string::npos) << asked.err;
}

/// 1x8x8 arrays of three classes, as "x" and, if asked for, "y".
void write_arrays(const std::filesystem::path& path, int64_t count, bool labelled) {
  using namespace interop::testing;
  std::vector<float> values;
  std::vector<int64_t> labels;
  uint32_t state = 3;
  for (int64_t i = 0; i < count; ++i) {
    labels.push_back(i % 3);
    for (int64_t j = 0; j < 64; ++j) {
      state = state * 1664525U + 1013904223U;
      const float noise = static_cast<float>(state >> 8) / static_cast<float>(1 << 24);
      values.push_back(noise + (j / 22 == i % 3 ? 1.0F : 0.0F));
    }
  }
  const std::string number = std::to_string(count);
  std::vector<ZipEntry> entries = {
      {"x.npy", npy("<f4", "(" + number + ", 1, 8, 8)", bytes_of(values))}};
  if (labelled) entries.push_back({"y.npy", npy("<i8", "(" + number + ",)", bytes_of(labels))});
  const Blob bytes = zip(entries);
  write_text(path, std::string(bytes.begin(), bytes.end()));
}

TEST_F(BringYourOwn, ArraysFeedItToo) {
  write_arrays(folder() / "labelled.npz", 60, true);
  write_arrays(folder() / "plain.npz", 60, false);
  const json labelled = strata_json({"compress", "d.onnx", "--levels", "40,70", "--data",
                                     "labelled.npz", "--threads", "1", "-q", "-o", "c.strata"});
  EXPECT_TRUE(labelled.contains("dense_value"));
  EXPECT_EQ(labelled["test_samples"], 6);
  const json plain = strata_json({"compress", "d.onnx", "--levels", "40,70", "--data", "plain.npz",
                                  "--threads", "1", "-q", "-o", "c.strata"});
  EXPECT_FALSE(plain.contains("dense_value"));
  EXPECT_FALSE(plain["levels"][0].contains("value"));
  EXPECT_GT(plain["levels"][0]["output_distance"].get<double>(), 0);
  expect_error(
      strata({"compress", "d.onnx", "--levels", "40", "--data", "nowhere.npz", "-o", "x.strata"}),
      {"nowhere.npz", "does not exist"});
}

TEST_F(BringYourOwn, EvalTakesArrays) {
  write_arrays(folder() / "labelled.npz", 60, true);
  write_arrays(folder() / "plain.npz", 60, false);
  const json made = strata_json({"compress", "d.onnx", "--levels", "40,70", "--data",
                                 "labelled.npz", "--threads", "1", "-q", "-o", "c.strata"});
  const json labelled = strata_json({"eval", "c.strata", "--data", "labelled.npz"});
  EXPECT_EQ(labelled["metric"], "top1");
  EXPECT_EQ(labelled["data"]["sample_unit"], "samples");
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_EQ(labelled["levels"][k]["value"], made["levels"][k]["value"]);
    EXPECT_EQ(labelled["levels"][k]["images"], 6);
  }
  const json plain =
      strata_json({"eval", "c.strata", "--data", "plain.npz", "--switch-points", "--threads", "2"});
  EXPECT_EQ(plain["metric"], "output_distance");
  EXPECT_EQ(plain["unit"], "share");
  EXPECT_FALSE(plain["levels"][0].contains("correct"));
  EXPECT_GT(plain["levels"][0]["value"].get<double>(), 0);
  EXPECT_EQ(plain["levels"][1]["value"].get<double>(), 0);  // nothing is farther from itself
  ASSERT_FALSE(plain["switch_points"].empty());
  const json again = strata_json({"eval", "c.strata", "--data", "plain.npz", "--threads", "1"});
  EXPECT_EQ(again["levels"], plain["levels"]);
  const Outcome text = strata({"eval", "c.strata", "--data", "plain.npz"});
  EXPECT_NE(text.out.find("output distance"), std::string::npos) << text.out;
  expect_error(strata({"eval", "c.strata", "--data", "nowhere.npz"}),
               {"nowhere.npz", "does not exist"});
}

TEST_F(BringYourOwn, TheReportShowsWhatCompressFound) {
  write_arrays(folder() / "labelled.npz", 60, true);
  write_arrays(folder() / "plain.npz", 60, false);
  const auto keep = [&](const std::string& name, const json& document) {
    write_text(folder() / name, document.dump());
  };
  const std::vector<std::string> command = {"compress", "d.onnx", "--levels", "40,70", "--threads",
                                            "1",        "-o",     "c.strata", "-q",    "--data"};
  const auto compressed_with = [&](const std::string& data) {
    std::vector<std::string> words = command;
    words.push_back(data);
    return strata_json(words);
  };
  keep("c.json", compressed_with("labelled.npz"));
  const Outcome made = strata({"report", "--compress", "c.json", "-o", "r.html"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_NE(made.out.find("top-1 %"), std::string::npos) << made.out;
  EXPECT_NE(made.out.find("median ms"), std::string::npos) << made.out;
  const std::string page = read_text(folder() / "r.html");
  for (const char* words :
       {"The levels</h2>", "Accuracy against weights</h2>", "Accuracy against latency</h2>",
        "Density per layer</h2>", "labelled.npz", "strata compress d.onnx"}) {
    EXPECT_NE(page.find(words), std::string::npos) << words;
  }
  // Without labels there is no accuracy to show, and distances are none.
  keep("plain.json", compressed_with("plain.npz"));
  const Outcome plain = strata({"report", "--compress", "plain.json", "-o", "plain.html"});
  ASSERT_EQ(plain.exit_code, 0) << plain.err;
  EXPECT_EQ(plain.out.find("top-1 %"), std::string::npos) << plain.out;
  keep("distances.json", strata_json({"eval", "c.strata", "--data", "plain.npz"}));
  expect_error(strata({"report", "--eval", "distances.json", "-o", "x.html"}),
               {"'distances.json'", "distances between outputs"});
  expect_error(strata({"report", "--compress", "distances.json", "-o", "x.html"}),
               {"'distances.json'", "no result of strata compress"});
  make_model("three.strata");
  keep("bench.json", strata_json({"bench", "three.strata", "--runs", "2", "--threads", "1"}));
  expect_error(strata({"report", "--compress", "c.json", "--bench", "bench.json", "-o", "x.html"}),
               {"about another model"});
}

TEST_F(BringYourOwn, ATransformerGoesThroughAllOfIt) {
  using namespace interop::testing;
  const std::string model = SmallTransformer(17).model().bytes();
  write_text(folder() / "t.onnx", model);
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < 200 * SmallTransformer::kTime; ++i) tokens.push_back(1 + i * i % 16);
  const Blob bytes = zip({{"x.npy", npy("<i8", "(200, 6)", bytes_of(tokens))}});
  write_text(folder() / "t.npz", std::string(bytes.begin(), bytes.end()));
  EXPECT_EQ(strata_json({"import", "--check", "t.onnx"})["runs"], true);
  const json made = strata_json({"compress", "t.onnx", "--levels", "40,70", "--data", "t.npz",
                                 "--threads", "1", "-q", "-o", "t.strata"});
  EXPECT_NEAR(made["levels"][0]["weights_pct"].get<double>(), 40, 1);
  EXPECT_LT(made["levels"][1]["output_distance"], made["levels"][0]["output_distance"]);
  EXPECT_EQ(strata_json({"inspect", "t.strata"})["nested"], true);
  const json evaluated = strata_json({"eval", "t.strata", "--data", "t.npz", "--switch-points"});
  EXPECT_EQ(evaluated["metric"], "output_distance");
  EXPECT_GT(evaluated["switch_points"].size(), 20U);
  const json tuned =
      strata_json({"compress", "t.onnx", "--levels", "40,70", "--data", "t.npz", "--threads", "1",
                   "-q", "--finetune", "2epochs", "-o", "tuned.strata"});
  EXPECT_NEAR(tuned["fine_tuning"]["epochs"].get<double>(), 2, 0.5);
  EXPECT_EQ(strata({"export", "t.strata", "--level", "0", "-q", "-o", "0.onnx"}).exit_code, 0);
  EXPECT_EQ(strata({"import", "0.onnx", "-q", "-o", "0.strata"}).exit_code, 0);
}

TEST_F(BringYourOwn, FineTunesFromTheDenseNetworkAlone) {
  write_arrays(folder() / "plain.npz", 200, false);
  const std::vector<std::string> command = {"compress", "d.onnx",    "--levels",  "30,60",
                                            "--data",   "plain.npz", "--threads", "1",
                                            "-q",       "-o",        "c.strata"};
  std::vector<std::string> tuning = command;
  tuning.insert(tuning.end(), {"--finetune", "20epochs", "--set", "optimizer.batch_size=32"});
  const json after = strata_json(tuning);
  EXPECT_NEAR(after["fine_tuning"]["epochs"].get<double>(), 20, 0.5);
  EXPECT_LT(after["levels"][0]["output_distance"].get<double>(), 0.05);
  EXPECT_EQ(strata_json({"inspect", "c.strata"})["nested"], true);
  EXPECT_FALSE(std::filesystem::exists(folder() / "c.strata.ckpt"));
  expect_error(strata({"compress", "d.onnx", "--levels", "30", "--data", "plain.npz", "--finetune",
                       "1m", "--set", "optimizer.speed=1", "-q", "-o", "x.strata"}),
               {"optimizer.speed"});
}

TEST_F(BringYourOwn, LevelsMayBeFlopsOrMilliseconds) {
  const json flops = strata_json({"compress", "d.onnx", "--level-flops", "40,70", "--data",
                                  "digits", "--threads", "1", "-q", "-o", "c.strata"});
  EXPECT_NEAR(flops["levels"][0]["flops_pct"].get<double>(), 40, 1.5);
  (void)strata_json({"init", "resnet18-small", "--level-weights", "100", "--width", "16", "-q",
                     "-o", "big.strata"});
  const double dense =
      strata_json({"compress", "big.strata", "--levels", "99", "--method", "magnitude", "--threads",
                   "1", "-q", "-o", "c.strata"})["dense_ms"];
  const std::string wanted = std::to_string(dense / 2);
  const json searched = strata_json({"compress", "big.strata", "--level-ms", wanted, "--method",
                                     "magnitude", "--threads", "1", "-q", "-o", "c.strata"});
  EXPECT_LT(searched["levels"][0]["weights_pct"].get<double>(), 95);
  EXPECT_GT(searched["levels"][0]["p50_ms"].get<double>(), 0);
  EXPECT_NEAR(searched["levels"][0]["asked_ms"].get<double>(), dense / 2, 1e-5);
  expect_error(strata({"compress", "big.strata", "--level-ms", "1000000", "--method", "magnitude",
                       "-q", "-o", "x.strata"}),
               {"needs no pruning"});
}

TEST_F(BringYourOwn, WrongUsage) {
  expect_error(strata({"import", "d.onnx"}), {"-o FILE", "--check"}, 2);
  expect_error(strata({"import", "d.onnx", "--check", "-o", "x.strata"}), {"leave -o out"}, 2);
  expect_error(strata({"import", "--check", "--bind", "height", "d.onnx"}), {"'height'"}, 2);
  expect_error(strata({"import", "--check", "--bind", "height=0", "d.onnx"}), {"'height=0'"}, 2);
  expect_error(strata({"compress", "d.onnx", "-o", "x.strata"}), {"--levels"}, 2);
  expect_error(strata({"compress", "d.onnx", "--levels", "50,30", "-o", "x.strata"}), {"grow"}, 2);
  expect_error(strata({"compress", "d.onnx", "--levels", "120", "-o", "x.strata"}), {"120"}, 2);
  expect_error(strata({"compress", "d.onnx", "--levels", "5", "--method", "m", "-o", "x.strata"}),
               {"--method"}, 2);
  expect_error(strata({"compress", "d.onnx", "--levels", "5", "--level-ms", "1", "-o", "x.strata"}),
               {"one of"}, 2);
  expect_error(strata({"compress", "d.onnx", "--level-ms", "2,1", "-o", "x.strata"}), {"grow"}, 2);
  expect_error(strata({"compress", "d.onnx", "--levels", "5", "--finetune", "ten", "--data",
                       "digits", "-o", "x.strata"}),
               {"'ten'", "10m"}, 2);
  expect_error(
      strata({"compress", "d.onnx", "--levels", "5", "--finetune", "1m", "-o", "x.strata"}),
      {"--data"}, 2);
  expect_error(strata({"compress", "d.onnx", "--levels", "5", "--resume", "-o", "x.strata"}),
               {"--finetune"}, 2);
}

TEST_F(BringYourOwn, BadFilesAreOneSentence) {
  write_text(folder() / "bad.onnx", "this is no model");
  for (const char* verb : {"import", "compress"}) {
    std::vector<std::string> words = {verb, "bad.onnx", "-o", "x.strata"};
    if (std::string(verb) == "compress") words.insert(words.end(), {"--levels", "50"});
    expect_error(strata(words), {"'bad.onnx'", "not an ONNX model"});
    words[1] = "nowhere.onnx";
    expect_error(strata(words), {"nowhere.onnx", "does not exist"});
  }
  make_model("three.strata");
  expect_error(strata({"compress", "three.strata", "--levels", "50", "-o", "x.strata"}),
               {"'three.strata'", "3 levels already"});
  expect_error(
      strata({"compress", "d.onnx", "--levels", "50", "--data", "nowhere", "-o", "x.strata"}),
      {"nowhere"});
  expect_error(strata({"compress", "d.strata", "--levels", "0.001", "-q", "--data", "digits", "-o",
                       "x.strata"}),
               {"at least"});
  EXPECT_FALSE(std::filesystem::exists(folder() / "x.strata"));
}

}  // namespace
}  // namespace strata::cli_test
