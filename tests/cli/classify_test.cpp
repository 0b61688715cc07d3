// What is in an image, and of which class a node is, as a user asks for it.
#include <algorithm>

#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class Classify : public StrataTest {
 protected:
  void SetUp() override {
    make_model("m.strata");
    std::filesystem::create_directories(folder() / "photos" / "more");
    write_png(folder() / "photos" / "a.png", 1, 8);
    write_png(folder() / "photos" / "more" / "b.png", 1, 8);
    write_png(folder() / "large.png", 3, 16);
  }
};

TEST_F(Classify, SaysWhatIsInEachImage) {
  const json result = strata_json({"classify", "m.strata", "photos", "photos/a.png", "--top", "3"});
  ASSERT_EQ(result["results"].size(), 3U);
  EXPECT_EQ(result["results"][0]["input"], "photos/a.png");
  EXPECT_EQ(result["results"][1]["input"], "photos/more/b.png");
  EXPECT_EQ(result["results"][2]["classes"], result["results"][0]["classes"]);
  const json& classes = result["results"][0]["classes"];
  ASSERT_EQ(classes.size(), 3U);
  double sum = 0;
  for (const json& one : classes) sum += one["probability"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_GE(classes[0]["probability"], classes[1]["probability"]);
  EXPECT_GE(classes[1]["probability"], classes[2]["probability"]);
  EXPECT_EQ(result["results"][0]["levels"], json({2, 2})) << "the highest level by default";

  const json sparse = strata_json({"classify", "m.strata", "photos/a.png", "--level", "0"});
  EXPECT_EQ(sparse["results"][0]["levels"], json({0, 0}));
  EXPECT_NE(sparse["results"][0]["classes"][0]["probability"], classes[0]["probability"]);

  const Outcome text = strata({"classify", "m.strata", "photos"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 2);
  EXPECT_EQ(text.out.substr(0, 13), "photos/a.png\t");
}

TEST_F(Classify, ReadsStandardInput) {
  const auto piped = [this](const std::string& from) {
    return run_program(folder(), "/bin/sh",
                       {"-c", from + " | '" + STRATA_BINARY + "' classify m.strata - --json -q"});
  };
  const Outcome image = piped("cat photos/a.png");
  ASSERT_EQ(image.exit_code, 0) << image.err;
  const Outcome list = piped("ls photos/a.png photos/more/b.png");
  ASSERT_EQ(list.exit_code, 0) << list.err;
  const json names = json::parse(list.out)["results"];
  ASSERT_EQ(names.size(), 2U);
  EXPECT_EQ(json::parse(image.out)["results"][0]["classes"], names[0]["classes"]);
  expect_error(piped("printf 'nowhere.png\\n'"), {"nowhere.png", "does not exist"});
}

TEST_F(Classify, AnswersByADeadline) {
  expect_error(strata({"classify", "m.strata", "photos/a.png", "--deadline-ms", "1000", "-q"}),
               {"strata profile m.strata"});
  (void)strata_json({"profile", "m.strata", "--threads", "1", "--runs", "3"});
  const json result = strata_json({"classify", "m.strata", "photos/a.png", "--deadline-ms", "10000",
                                   "--nines", "1", "--threads", "1"});
  EXPECT_EQ(result["results"][0]["met"], true);
  EXPECT_GT(result["results"][0]["ms"].get<double>(), 0);
  expect_error(
      strata({"classify", "m.strata", "photos/a.png", "--deadline-ms", "5", "--level", "1"}),
      {"--level and --deadline-ms"}, 2);
}

TEST_F(Classify, SaysWhatIsWrongWithAnInput) {
  expect_error(strata({"classify", "m.strata", "nowhere.png"}), {"nowhere.png", "does not exist"});
  expect_error(strata({"classify", "m.strata", "large.png"}),
               {"large.png", "3x16x16", "--convert"});
  EXPECT_EQ(strata({"classify", "m.strata", "large.png", "--convert"}).exit_code, 0);
  write_text(folder() / "text.png", "no image");
  expect_error(strata({"classify", "m.strata", "text.png"}), {"text.png"});
  std::filesystem::create_directory(folder() / "empty");
  expect_error(strata({"classify", "m.strata", "empty"}), {"empty", ".png"});
  expect_error(strata({"classify", "m.strata", "photos", "--level", "7"}), {"level 7"});
  expect_error(strata({"classify", "m.strata", "photos", "--nodes", "1"}), {"--nodes"}, 2);
}

}  // namespace
}  // namespace strata::cli_test
