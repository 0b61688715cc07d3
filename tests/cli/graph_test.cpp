// Graphs from training to timing, as a user drives it.
#include <filesystem>

#include "small_graph_bytes.h"
#include "strata_process.h"

namespace strata::cli_test {
namespace {

using nlohmann::json;

class Graphs : public StrataTest {
 protected:
  void SetUp() override {
    const auto bytes = interop::testing::small_graph();
    write_text(folder() / "graph.npz", std::string(bytes.begin(), bytes.end()));
    write_text(folder() / "gat.toml", R"(
seed = 1
threads = 1
model.arch = "gat"
model.width = 4
model.heads = 2
model.dropout = 0.3
model.keep_ends_dense = false
levels.weights = [30, 60]
optimizer.kind = "adam"
optimizer.lr = 0.02
optimizer.schedule = "constant"
optimizer.epochs = 40
)");
  }
};

TEST_F(Graphs, AreTrainedEvaluatedAndTimed) {
  const json trained =
      strata_json({"train", "gat.toml", "--data", "graph.npz", "-q", "-o", "g.strata"});
  ASSERT_EQ(trained["levels"].size(), 2U);
  const json evaluated =
      strata_json({"eval", "g.strata", "--data", "graph.npz", "--switch-points", "-q"});
  EXPECT_EQ(evaluated["metric"], "top1");
  EXPECT_EQ(evaluated["data"]["sample_unit"], "nodes");
  EXPECT_EQ(evaluated["data"]["images"], 60);
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(evaluated["levels"][k]["value"].get<double>(),
                trained["levels"][k]["value"].get<double>(), 1e-6);
  }
  EXPECT_EQ(evaluated["switch_points"].size() + 1, evaluated["steps"].size());
  const json timed =
      strata_json({"bench", "g.strata", "--data", "graph.npz", "--runs", "20", "-q"});
  EXPECT_GT(timed["levels"][1]["p50_ms"].get<double>(), 0);
  EXPECT_EQ(strata_json({"eval", "g.strata", "--data", "graph.npz", "--limit", "9",
                         "-q"})["levels"][0]["images"],
            9);
}

TEST_F(Graphs, AreProfiledAndServedByDeadlines) {
  (void)strata_json({"train", "gat.toml", "--data", "graph.npz", "-q", "-o", "g.strata"});
  expect_error(strata({"profile", "g.strata", "-q"}), {"g.strata", "--data"});
  (void)strata_json(
      {"profile", "g.strata", "--data", "graph.npz", "--threads", "1", "--runs", "5"});
  const json answered = strata_json({"classify", "g.strata", "graph.npz", "--threads", "1",
                                     "--nodes", "3", "--deadline-ms", "1000"});
  EXPECT_EQ(answered["results"].size(), 1U);

  const std::vector<std::string> run = {
      "qos",           "g.strata", "--threads",  "1",
      "--seconds",     "0.4",      "--block",    "0.2",
      "--warm-up",     "0",        "--rate",     "100",
      "--deadline-ms", "50",       "--policies", "fixed-1,best-route",
      "--simulate",    "500",      "-q"};
  expect_error(strata(run), {"g.strata", "--data"});
  std::vector<std::string> with_data = run;
  with_data.insert(with_data.end(), {"--data", "graph.npz"});
  const json served = strata_json(with_data);
  const json evaluated = strata_json({"eval", "g.strata", "--data", "graph.npz", "-q"});
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(served["levels"][k]["value"].get<double>(),
                evaluated["levels"][k]["value"].get<double>(), 1e-9);
  }
  EXPECT_GT(served["policies"][1]["inferences"].get<int>(), 0);
  EXPECT_TRUE(served["policies"][1].contains("simulated"));
}

TEST_F(Graphs, TheirNodesAreClassified) {
  (void)strata_json({"train", "gat.toml", "--data", "graph.npz", "-q", "-o", "g.strata"});
  const json all = strata_json({"classify", "g.strata", "graph.npz", "--level", "1"})["results"];
  ASSERT_EQ(all.size(), 120U);
  EXPECT_EQ(all[17]["node"], 17);
  const json some = strata_json(
      {"classify", "g.strata", "graph.npz", "--level", "1", "--nodes", "17,3"})["results"];
  ASSERT_EQ(some.size(), 2U);
  EXPECT_EQ(some[0]["classes"], all[17]["classes"]);
  EXPECT_EQ(some[1]["classes"], all[3]["classes"]);
  const Outcome piped = run_program(
      folder(), "/bin/sh",
      {"-c", std::string("'") + STRATA_BINARY + "' classify g.strata - --json -q < graph.npz"});
  ASSERT_EQ(piped.exit_code, 0) << piped.err;
  EXPECT_EQ(json::parse(piped.out)["results"].size(), 120U);
  expect_error(strata({"classify", "g.strata", "graph.npz", "--nodes", "120"}), {"no node 120"});
}

TEST_F(Graphs, AFolderOfGraphsTeachesWhatHoldsForOthers) {
  uint32_t seed = 1;
  for (const char* name : {"train/a", "train/b", "val/a", "test/a", "test/b"}) {
    const auto bytes = interop::testing::small_graph(seed, static_cast<int>(60 + 15 * seed));
    const std::filesystem::path file = folder() / "graphs" / (std::string(name) + ".npz");
    std::filesystem::create_directories(file.parent_path());
    write_text(file, std::string(bytes.begin(), bytes.end()));
    ++seed;
  }
  const json trained =
      strata_json({"train", "gat.toml", "--data", "graphs", "-q", "-o", "g.strata"});
  const json evaluated =
      strata_json({"eval", "g.strata", "--data", "graphs", "--switch-points", "-q"});
  EXPECT_EQ(evaluated["data"]["name"], "graphs");
  EXPECT_EQ(evaluated["data"]["images"], 120 + 135);
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_NEAR(evaluated["levels"][k]["value"].get<double>(),
                trained["levels"][k]["value"].get<double>(), 1e-6);
  }
  const json limited =
      strata_json({"eval", "g.strata", "--data", "graphs", "--limit", "200", "-q"});
  EXPECT_EQ(limited["levels"][0]["images"], 200);
  const json classified =
      strata_json({"classify", "g.strata", "graphs/test/a.npz", "graphs/test/b.npz"})["results"];
  EXPECT_EQ(classified.size(), 120U + 135U) << "whatever the number of nodes";
  EXPECT_GT(strata_json({"bench", "g.strata", "--data", "graphs/test/b.npz", "--runs", "20",
                         "-q"})["levels"][0]["p50_ms"]
                .get<double>(),
            0);
  std::filesystem::remove_all(folder() / "graphs" / "val");
  expect_error(strata({"train", "gat.toml", "--data", "graphs", "-q", "-o", "h.strata"}),
               {"graphs/val", "holds no graphs", "train/, val/ and test/"});
  EXPECT_EQ(strata_json({"eval", "g.strata", "--data", "graphs", "-q"})["data"]["images"], 255)
      << "evaluation needs test/ alone";
}

TEST_F(Graphs, SaysWhichGraphAModelTakes) {
  (void)strata_json({"train", "gat.toml", "--data", "graph.npz", "-q", "-o", "g.strata"});
  make_model("images.strata");
  expect_error(strata({"bench", "g.strata"}), {"takes a graph", "--data"});
  expect_error(strata({"bench", "images.strata", "--data", "graph.npz"}), {"takes no graph"});
  expect_error(strata({"eval", "g.strata", "--data", "nowhere.npz"}), {"nowhere.npz"});
  write_text(folder() / "bad.npz", "no archive");
  expect_error(strata({"eval", "g.strata", "--data", "bad.npz"}), {"bad.npz", ".npz archive"});
}

}  // namespace
}  // namespace strata::cli_test
