// Point clouds from data to file: every algorithm learns, training resumes without a trace, and
// what is said of bad recipes.
#include <gtest/gtest.h>

#include "format/reader.h"
#include "hdf5_file.h"
#include "small_clouds.h"
#include "temporary_directory.h"

namespace strata::train {
namespace {

using testing::error_of;
using testing::read_bytes;
using testing::small_cloud_options;

class PointTraining : public ::testing::Test {
 protected:
  void SetUp() override { data::testing::write_small_cloud_set(scratch_.path(), 96, 48, 128); }
  [[nodiscard]] const std::filesystem::path& data() const { return scratch_.path(); }
  [[nodiscard]] TrainOptions options(const std::string& algorithm,
                                     const std::vector<std::string>& overrides = {}) const {
    return small_cloud_options(data(), data() / "model.strata", algorithm, overrides);
  }

 private:
  TemporaryDirectory scratch_;
};

TEST_F(PointTraining, EveryAlgorithmLearnsEveryLevel) {
  for (const std::string algorithm : {"dense", "joint", "grow"}) {
    const TrainOptions run =
        options(algorithm, {"model.width=8", "optimizer.epochs=24", "algorithm.grow.dense_epochs=8",
                            "algorithm.grow.retrain_epochs=4"});
    const TrainResult result = train(run);
    ASSERT_EQ(result.levels.size(), algorithm == "dense" ? 1U : 3U);
    for (const LevelResult& level : result.levels) {
      EXPECT_GT(level.value, 0.6)  // guessing gives a third
          << algorithm << ", level " << level.level;
    }
    const auto reader = format::Reader::open(run.output.string()).value();
    EXPECT_EQ(reader->model().metadata.at("family"), "point-classification");
    EXPECT_EQ(reader->model().metadata.at("classes"), "sphere\ndisc\nline");
    EXPECT_NE(reader->record().find(R"("test_clouds":48)"), std::string::npos);
  }
}

TEST_F(PointTraining, InterruptedAndResumedRunsLeaveNoTrace) {
  for (const std::string algorithm : {"joint", "grow", "dense"}) {
    TrainOptions straight = options(algorithm);
    straight.output = data() / "straight.strata";
    (void)train(straight);
    TrainOptions stopped = options(algorithm);
    const std::string message = testing::train_until_interrupted(stopped, 3);
    EXPECT_NE(message.find("--resume"), std::string::npos) << message;
    stopped.resume = true;
    (void)train(stopped);
    EXPECT_TRUE(read_bytes(straight.output) == read_bytes(stopped.output)) << algorithm;
    std::filesystem::remove(stopped.output);
  }
}

TEST_F(PointTraining, VotesOfSeveralViewsAreAddedUp) {
  const TrainResult one = train(options("dense", {"eval.votes=1", "data.augment.rotate=true"}));
  const TrainResult many = train(options("dense", {"eval.votes=5", "data.augment.rotate=true"}));
  EXPECT_GT(many.levels[0].value, 0.3);
  EXPECT_GT(one.levels[0].value, 0.3);
}

TEST_F(PointTraining, SaysWhatIsWrongWithARun) {
  const auto failure = [](const TrainOptions& run) { return error_of([&] { (void)train(run); }); };
  EXPECT_NE(failure(options("dense", {"model.classes=2"})).find("have 3 classes"),
            std::string::npos);
  EXPECT_NE(failure(options("dense", {"data.points=127"}))
                .find("128 centres cannot be chosen of 127 points"),
            std::string::npos);
  EXPECT_NE(failure(options("dense", {"data.points=129"}))
                .find("a cloud has 128 points, but 129 are wanted (data.points)"),
            std::string::npos);
  EXPECT_NE(failure(options("dense", {"data.dir='/nonexistent'"})).find("/nonexistent"),
            std::string::npos);
}

}  // namespace
}  // namespace strata::train
