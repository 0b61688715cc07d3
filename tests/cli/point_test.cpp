// Point clouds from training to timing, as a user drives them.
#include <algorithm>
#include <cmath>

#include "hdf5_file.h"
#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

/// A spiral of points, and nonsense as the rest of each line.
std::string spiral(int points) {
  std::string text;
  for (int i = 0; i < points; ++i) {
    const double angle = 0.3 * i;
    text += std::to_string(std::cos(angle)) + "," + std::to_string(0.01 * i) + "," +
            std::to_string(std::sin(angle)) + ",0,1,0\n";
  }
  return text;
}

class PointClouds : public StrataTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(folder() / "clouds");
    data::testing::write_small_cloud_set(folder() / "clouds", 32, 12, 128);
    write_text(folder() / "points.toml", R"(
seed = 1
threads = 1
model.arch = "pointnet2-ssg-small"
model.width = 4
model.normals = true
model.keep_ends_dense = false
data.points = 128
data.augment.rotate = true
levels.weights = [30, 60]
optimizer.kind = "adam"
optimizer.lr = 0.01
optimizer.batch_size = 8
optimizer.epochs = 1
)");
  }
};

TEST_F(PointClouds, AreTrainedEvaluatedProfiledAndTimed) {
  const json trained =
      strata_json({"train", "points.toml", "--data", "clouds", "-q", "-o", "p.strata"});
  ASSERT_EQ(trained["levels"].size(), 2U);
  const json evaluated = strata_json({"eval", "p.strata", "--data", "clouds", "--threads", "2",
                                      "--switch-points", "4", "-q", "-o", "eval.json"});
  EXPECT_EQ(evaluated["metric"], "top1");
  EXPECT_EQ(evaluated["data"]["sample_unit"], "clouds");
  EXPECT_EQ(evaluated["data"]["images"], 12);
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(evaluated["levels"][k]["value"].get<double>(),
                trained["levels"][k]["value"].get<double>(), 1e-6);
  }
  EXPECT_EQ(evaluated["switch_points"].size() + 1, evaluated["steps"].size());
  const json voted =
      strata_json({"eval", "p.strata", "--data", "clouds", "--votes", "3", "--limit", "6", "-q"});
  EXPECT_EQ(voted["data"]["votes"], 3);
  EXPECT_EQ(voted["levels"][0]["images"], 6);
  const json profiled = strata_json({"profile", "p.strata", "--runs", "5", "--threads", "1", "-q"});
  EXPECT_GT(profiled["profiles"][0]["levels"][1]["p50_ms"].get<double>(), 0);
  const json timed = strata_json({"bench", "p.strata", "--vs", "libtorch", "--runs", "5", "-q"});
  EXPECT_GT(timed["peers"][0]["p50_ms"].get<double>(), 0);
}

TEST_F(PointClouds, AreServedOneByOneAndInBatchesOfWholeClouds) {
  (void)strata_json({"init", "pointnet2-ssg-small", "--input", "1x128x3", "--level-weights",
                     "20,60", "--width", "4", "--classes", "2", "-o", "p.strata"});
  for (const std::string batch : {"1", "3"}) {
    const json served = strata_json({"qos",
                                     "p.strata",
                                     "--threads",
                                     "1",
                                     "--batch",
                                     batch,
                                     "--seconds",
                                     "0.2",
                                     "--block",
                                     "0.1",
                                     "--warm-up",
                                     "0.1",
                                     "--rate",
                                     "100",
                                     "-q",
                                     "--level-metrics",
                                     "1,2",
                                     "--policies",
                                     "fixed-0,fixed-1",
                                     "--simulate",
                                     "0"});
    EXPECT_EQ(served["batch"], std::stoi(batch));
    EXPECT_GT(served["policies"][0]["inferences"], 0);
  }
}

TEST_F(PointClouds, NetworksAreMadeWithoutTraining) {
  const json made = strata_json({"init", "pointnet2-msg", "--input", "1x1024x6", "--level-weights",
                                 "5.38,13.38", "--width", "16", "-o", "m.strata"});
  EXPECT_EQ(made["levels"].size(), 2U);
  expect_error(strata({"init", "pointnet", "--input", "1x3x32x32", "--level-weights", "50", "-o",
                       "m.strata"}),
               {"is no point cloud"}, 2);
  (void)strata_json({"export", "m.strata", "--level", "0", "-o", "m.onnx"});
  expect_error(strata({"import", "m.onnx", "--bind", "batch=1,points=1024", "-o", "again.strata"}),
               {"m.onnx", "Loop", "control flow is not supported"});
}

TEST_F(PointClouds, SaysWhichDataAModelTakes) {
  (void)strata_json({"init", "pointnet2-ssg-small", "--input", "1x128x6", "--level-weights", "50",
                     "--width", "4", "--classes", "2", "-o", "p.strata"});
  expect_error(strata({"eval", "p.strata", "--data", "clouds"}),
               {"has 3 classes", "tells 2 apart"});
  expect_error(strata({"eval", "p.strata", "--data", "nowhere"}), {"nowhere"});
  write_text(folder() / "clouds" / "test.h5", "no file");
  expect_error(strata({"eval", "p.strata", "--data", "clouds"}), {"test.h5", "HDF5"});
  make_model("images.strata");
  expect_error(strata({"eval", "images.strata", "--data", "clouds", "--votes", "2"}),
               {"--votes is for point clouds"}, 2);
}

class ClassifyClouds : public PointClouds {
 protected:
  void SetUp() override {
    PointClouds::SetUp();
    (void)strata_json({"init", "pointnet2-ssg-small", "--input", "1x128x3", "--level-weights",
                       "20,60", "--width", "8", "--classes", "3", "-o", "p.strata"});
    std::filesystem::create_directory(folder() / "scans");
    write_text(folder() / "scans" / "a.txt", spiral(130));
  }
  [[nodiscard]] json results(std::vector<std::string> words) const {
    words.insert(words.begin(), {"classify", "p.strata"});
    return strata_json(words)["results"];
  }
  [[nodiscard]] Outcome piped(const std::string& from) const {
    return run_program(folder(), "/bin/sh",
                       {"-c", from + " | '" + STRATA_BINARY + "' classify p.strata - --json -q"});
  }
};

TEST_F(ClassifyClouds, SaysOfWhichClassEachIs) {
  const json text = results({"scans/a.txt", "scans", "--top", "3"});
  ASSERT_EQ(text.size(), 2U);
  EXPECT_EQ(text[0]["input"], "scans/a.txt");
  EXPECT_EQ(text[0]["cloud"], 0);
  EXPECT_EQ(text[0]["levels"], json({1, 1})) << "the highest level by default";
  EXPECT_EQ(text[0]["classes"], text[1]["classes"]);
  double sum = 0;
  for (const json& one : text[0]["classes"]) sum += one["probability"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-5);
  EXPECT_NE(results({"scans/a.txt", "--level", "0", "--top", "3"})[0]["classes"],
            text[0]["classes"]);
  const json stored = results({"clouds/test.h5"});
  ASSERT_EQ(stored.size(), 12U);
  EXPECT_EQ(stored[11]["cloud"], 11);
  const Outcome lines = strata({"classify", "p.strata", "clouds/test.h5", "-q"});
  EXPECT_EQ(lines.exit_code, 0) << lines.err;
  EXPECT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 12);
  EXPECT_EQ(lines.out.substr(0, 17), "clouds/test.h5:0\t");
}

TEST_F(ClassifyClouds, ReadsStandardInput) {
  const json file = results({"scans/a.txt"});
  const Outcome cloud = piped("cat scans/a.txt");
  ASSERT_EQ(cloud.exit_code, 0) << cloud.err;
  EXPECT_EQ(json::parse(cloud.out)["results"][0]["classes"], file[0]["classes"]);
  const Outcome list = piped("ls scans/a.txt clouds/test.h5");
  ASSERT_EQ(list.exit_code, 0) << list.err;
  EXPECT_EQ(json::parse(list.out)["results"].size(), 13U);
  expect_error(piped("printf ''"), {"standard input has 0 points, but 128 are wanted"});
  expect_error(piped("printf 'nan,0,0\\n'"), {"standard input, line 1", "not finite"});
  expect_error(piped("printf '3d/nowhere.txt\\n'"), {"3d/nowhere.txt", "does not exist"});
}

TEST_F(ClassifyClouds, AnswersByADeadline) {
  expect_error(strata({"classify", "p.strata", "scans/a.txt", "--deadline-ms", "1000", "-q"}),
               {"strata profile p.strata"});
  (void)strata_json({"profile", "p.strata", "--threads", "1", "--runs", "3"});
  const json result =
      results({"scans/a.txt", "--deadline-ms", "10000", "--nines", "1", "--threads", "1"});
  EXPECT_EQ(result[0]["met"], true);
}

TEST_F(ClassifyClouds, BadCloudsAreRefusedAndDoublesAreNot) {
  const auto classify = [this](const std::string& text) {
    write_text(folder() / "bad.txt", text);
    return strata({"classify", "p.strata", "bad.txt"});
  };
  expect_error(classify(""), {"bad.txt' has 0 points, but 128 are wanted"});
  expect_error(classify(spiral(127)), {"bad.txt' has 127 points, but 128 are wanted"});
  expect_error(classify("0,0,0\n0,nan,0\n"), {"bad.txt', line 2: number 2 of 3"});
  expect_error(classify("0,0,0\n0,0,inf\n"), {"bad.txt', line 2: number 3 of 3"});
  expect_error(classify("0 0\n"), {"bad.txt', line 1: number 3 of 3"});
  expect_error(strata({"classify", "p.strata", "nowhere.txt"}), {"nowhere.txt", "does not exist"});
  expect_error(strata({"classify", "p.strata", "scans", "--nodes", "1"}), {"--nodes"}, 2);
  expect_error(strata({"classify", "p.strata", "scans", "--level", "7"}), {"level 7"});
  std::string doubles;
  for (int i = 0; i < 128; ++i) doubles += i % 2 == 0 ? "1,2,3\n" : "3,2,1\n";
  std::string one_point;
  for (int i = 0; i < 128; ++i) one_point += "1,2,3\n";
  for (const std::string& text : {doubles, one_point}) {
    write_text(folder() / "doubles.txt", text);
    double sum = 0;
    const json answers = results({"doubles.txt", "--top", "3"});
    for (const json& one : answers[0]["classes"]) {
      sum += one["probability"].get<double>();
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

}  // namespace
}  // namespace strata::cli_test
