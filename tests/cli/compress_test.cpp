// From an ONNX file to nested levels, as a user goes: check, import, compress, evaluate, export.
#include <algorithm>

#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class BringYourOwn : public StrataTest {
 protected:
  void SetUp() override {
    StrataTest::SetUp();
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
    for (const char* key : {"level", "value", "output_distance", "weights_pct", "flops_pct"}) {
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

TEST_F(BringYourOwn, WithoutDataItWarnsAndUsesMagnitude) {
  const Outcome made = strata({"compress", "d.onnx", "--levels", "50", "-o", "c.strata"});
  EXPECT_EQ(made.exit_code, 0);
  EXPECT_NE(made.err.find("warning: without --data"), std::string::npos) << made.err;
  const Outcome asked =
      strata({"compress", "d.onnx", "--levels", "50", "--method", "magnitude", "-o", "m.strata"});
  EXPECT_EQ(asked.err.find("warning"), std::string::npos) << asked.err;
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
