// Training from data to file: what each algorithm must deliver, that a run can be interrupted and
// resumed without a trace, and what is said when something is wrong.
#include <algorithm>
#include <cmath>
#include <sstream>

#include <gtest/gtest.h>

#include "format/reader.h"
#include "runtime/session.h"
#include "small_training.h"
#include "temporary_directory.h"
#include "train/data/dataset.h"
#include "train/data/normalisation.h"
#include "train/error.h"
#include "train/torch/checkpoint.h"

namespace strata::train {
namespace {

using testing::error_of;
using testing::log_without_seconds;
using testing::read_bytes;
using testing::small_options;
using testing::write_bytes;

class Training : public ::testing::Test {
 protected:
  void SetUp() override { testing::write_small_images(data()); }
  [[nodiscard]] std::filesystem::path data() const { return scratch_ / "images"; }
  [[nodiscard]] std::filesystem::path output(const std::string& name = "model.strata") const {
    return scratch_ / name;
  }
  [[nodiscard]] TrainOptions options(const std::string& algorithm,
                                     const std::vector<std::string>& overrides = {}) const {
    return small_options(data(), output(), algorithm, overrides);
  }
  /// What train() says.
  [[nodiscard]] static std::string failure(const TrainOptions& options) {
    return error_of([&] { (void)train(options); });
  }
  /// Leaves a checkpoint behind.
  void interrupt(const TrainOptions& options) const {
    const std::string message = testing::train_until_interrupted(options, 3);
    ASSERT_NE(message.find("run the same command with --resume"), std::string::npos) << message;
  }

 private:
  TemporaryDirectory scratch_;
};

/// Correct answers of the file's level on the test images, by our own runtime.
int64_t count_correct(const std::filesystem::path& file, int level,
                      const std::filesystem::path& images) {
  const auto reader = format::Reader::open(file.string()).value();
  const auto session = runtime::Session::create(reader, {}).value();
  const data::Dataset test = data::load(images, data::Split::kTest);
  const auto normalisation = data::read_normalisation(reader->model().metadata, test.channels);
  std::vector<float> image(static_cast<size_t>(test.shape().elements()));
  std::vector<float> logits(test.classes.size());
  int64_t correct = 0;
  for (int64_t i = 0; i < test.count; ++i) {
    data::to_float(test, {&i, 1}, normalisation, image.data());
    const runtime::InputView in{image};
    const runtime::OutputView out{logits};
    EXPECT_TRUE(session->run({&in, 1}, {&out, 1}, level).ok());
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    correct += best == test.labels[static_cast<size_t>(i)] ? 1 : 0;
  }
  return correct;
}

TEST_F(Training, JointLearnsEveryLevelAtItsDensity) {
  const TrainResult result =
      train(options("joint", {"optimizer.epochs=6", "model.keep_ends_dense=false"}));
  ASSERT_EQ(result.levels.size(), 3U);
  const std::vector<double> wanted = {20, 40, 80};
  for (const LevelResult& level : result.levels) {
    EXPECT_GT(level.value, 0.9) << "level " << level.level;
    EXPECT_NEAR(level.weights_pct, wanted[static_cast<size_t>(level.level)], 0.05);
    EXPECT_EQ(count_correct(output(), level.level, data()), std::llround(level.value * 60));
  }
  EXPECT_EQ(result.steps, 90);
  EXPECT_EQ(result.epochs, 6);
  EXPECT_FALSE(std::filesystem::exists(output().string() + ".ckpt"));
}

TEST_F(Training, FileHoldsWhatItsUserMustKnow) {
  TrainOptions run = options("joint");
  run.recipe_text = "# as written";
  (void)train(run);
  const auto reader = format::Reader::open(output().string()).value();
  EXPECT_EQ(reader->level_count(), 3);
  const auto& metadata = reader->model().metadata;
  EXPECT_EQ(metadata.at("family"), "image-classification");
  EXPECT_EQ(metadata.at("classes"), "0\n1\n2");
  EXPECT_TRUE(metadata.contains("input.mean"));
  for (const char* part :
       {R"("algorithm":"joint")", R"("seed":3)", R"("epochs":2.0)",
        R"("recipe_text":"# as written")", R"("accuracy":)", R"("weights_pct":)", R"("strata":)"}) {
    EXPECT_NE(reader->record().find(part), std::string::npos) << part << "\n" << reader->record();
  }
  EXPECT_TRUE(sparse::check(reader->read_all().value()).ok());
}

TEST_F(Training, DenseKeepsEverything) {
  const TrainResult result = train(options("dense", {"optimizer.epochs=4"}));
  ASSERT_EQ(result.levels.size(), 1U);
  EXPECT_GT(result.levels[0].value, 0.9);
  EXPECT_EQ(result.levels[0].weights_pct, 100);
}

TEST_F(Training, BeginsWithWhatAFileKnowsThoughItsNormalisationIsFolded) {
  const auto last_loss = [](const std::filesystem::path& file) {
    std::istringstream row(log_without_seconds(file).back());
    std::string field;
    for (int i = 0; i < 4; ++i) std::getline(row, field, ',');
    return std::stod(field);
  };
  TrainOptions first = options("dense", {"optimizer.epochs=6"});
  first.output = output("first.strata");
  (void)train(first);
  for (const std::string algorithm : {"dense", "grow"}) {
    const TrainOptions second =
        options(algorithm, {"model.start='" + first.output.string() + "'", "optimizer.epochs=1",
                            "levels.weights=[100]", "optimizer.lr=0"});
    (void)train(second);
    EXPECT_LT(last_loss(second.output), 1.2 * last_loss(first.output) + 0.02) << algorithm;
  }
}

TEST_F(Training, GrowLearnsEveryLevelAndNeverTouchesTheLevelsBelow) {
  const TrainResult result = train(options("grow", {"optimizer.epochs=12"}));
  ASSERT_EQ(result.levels.size(), 3U);
  const std::vector<double> wanted = {20, 40, 80};
  std::vector<std::string> last;
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_GT(result.levels[k].value, 0.8) << "level " << k;
    EXPECT_NEAR(result.levels[k].weights_pct, wanted[k], 0.05);
  }
  // Rows: step,epoch,lr,loss_0..2,accuracy_0..2. Once level 1 learns, level 0 stays as it is.
  std::string accuracy_of_level_0;
  size_t rows_after = 0;
  for (const std::string& line : log_without_seconds(output())) {
    std::vector<std::string> fields;
    std::istringstream stream(line + ",");
    for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
    ASSERT_EQ(fields.size(), 9U) << line;
    if (fields[0] == "step" || !fields[3].empty() || fields[6].empty()) continue;
    if (accuracy_of_level_0.empty()) accuracy_of_level_0 = fields[6];
    EXPECT_EQ(fields[6], accuracy_of_level_0) << line;
    ++rows_after;
  }
  EXPECT_GT(rows_after, 10U);
}

TEST_F(Training, GrowShortenedStillTrainsEveryLevel) {
  const TrainResult result = train(options("grow", {"optimizer.epochs=0.1"}));
  EXPECT_GE(result.steps, 3);
  EXPECT_NEAR(result.levels[0].weights_pct, 20, 0.05);
}

TEST_F(Training, FlopsBudgetsAreMet) {
  const TrainResult result =
      train(options("joint", {"levels.flops=[30,50,85]", "levels.allocation=erk"}));
  EXPECT_NEAR(result.levels[0].flops_pct, 30, 0.1);
  EXPECT_NEAR(result.levels[1].flops_pct, 50, 0.1);
  EXPECT_NEAR(result.levels[2].flops_pct, 85, 0.1);
  EXPECT_NEAR(result.levels[0].weights_pct, 20, 0.05);
}

TEST_F(Training, AdamAndStepsAndClippingLearnToo) {
  const TrainResult result = train(options(
      "joint", {"optimizer.kind=adam", "optimizer.lr=0.01", "optimizer.epochs=6",
                "optimizer.schedule=step", "optimizer.step_epochs=4", "optimizer.gradient_clip=1",
                "optimizer.warmup_epochs=0.5", "optimizer.label_smoothing=0.05"}));
  for (const LevelResult& level : result.levels) EXPECT_GT(level.value, 0.8) << level.level;
}

TEST_F(Training, SameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  const auto bytes = [&](const std::string& name, const std::string& seed) {
    TrainOptions run = options("joint", {"seed=" + seed});
    run.output = output(name);
    (void)train(run);
    return read_bytes(run.output);
  };
  const std::string first = bytes("a.strata", "3");
  EXPECT_TRUE(first == bytes("b.strata", "3"));
  EXPECT_FALSE(first == bytes("c.strata", "4"));
}

TEST_F(Training, InterruptedAndResumedRunsLeaveNoTrace) {
  for (const std::string algorithm : {"joint", "grow", "dense"}) {
    for (const std::string optimizer : {"sgd", "adam"}) {
      const std::vector<std::string> overrides = {"optimizer.kind=" + optimizer,
                                                  "optimizer.lr=0.01"};
      TrainOptions straight = options(algorithm, overrides);
      straight.output = output("straight.strata");
      (void)train(straight);

      TrainOptions stopped = options(algorithm, overrides);
      interrupt(stopped);
      EXPECT_FALSE(std::filesystem::exists(stopped.output));
      stopped.resume = true;
      const std::string again = testing::train_until_interrupted(stopped, 5);
      EXPECT_NE(again.find("--resume"), std::string::npos) << again;
      (void)train(stopped);
      EXPECT_TRUE(read_bytes(straight.output) == read_bytes(stopped.output))
          << algorithm << " with " << optimizer;
      EXPECT_EQ(log_without_seconds(straight.output), log_without_seconds(stopped.output));
      std::filesystem::remove(stopped.output);
    }
  }
}

TEST_F(Training, ResumingWithoutACheckpointBegins) {
  TrainOptions run = options("dense");
  run.resume = true;
  EXPECT_EQ(train(run).steps, 30);
}

TEST_F(Training, RefusesACheckpointOfAnotherRecipeOrOtherData) {
  interrupt(options("joint"));
  TrainOptions other = options("joint", {"optimizer.lr=0.07"});
  other.resume = true;
  const std::string message = failure(other);
  EXPECT_NE(message.find("its run had optimizer.lr = 0.05, the recipe now has 0.07"),
            std::string::npos)
      << message;

  TrainOptions same = options("joint", {"checkpoint.every_seconds=7"});
  same.resume = true;
  testing::write_small_images(data(), 240, 60, 99);
  EXPECT_NE(failure(same).find("its run had other training data"), std::string::npos);
  testing::write_small_images(data());
  EXPECT_EQ(train(same).steps, 30);
}

TEST_F(Training, TakesKeysThatAnOlderBuildDidNotKnowForTheirDefaults) {
  const std::string path = (output().parent_path() / "older.ckpt").string();
  const auto without = [](std::string toml, const std::string& line) {
    const size_t at = toml.find(line);
    EXPECT_NE(at, std::string::npos) << toml;
    return toml.erase(at, line.size());
  };
  const std::string usual = to_toml(Recipe());
  const auto no_state = [](const StateVisitor&) {};
  write_checkpoint(path, {without(usual, "label_smoothing = 0\n"), 1, 2, 3}, no_state);
  EXPECT_EQ(read_checkpoint(path, {usual, 1, 0, 0}, no_state).steps_done, 2);

  Recipe other;
  other.optimizer.label_smoothing = 0.25;
  EXPECT_THROW((void)read_checkpoint(path, {to_toml(other), 1, 0, 0}, no_state), Error);
}

TEST_F(Training, RefusesADamagedCheckpoint) {
  interrupt(options("joint"));
  const std::string path = output().string() + ".ckpt";
  const std::string good = read_bytes(path);
  TrainOptions run = options("joint");
  run.resume = true;
  const auto message_for = [&](const std::string& bytes) {
    write_bytes(path, bytes);
    return failure(run);
  };
  for (const size_t place : {size_t{9}, size_t{20}, good.size() / 2, good.size() - 1}) {
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 4);
    EXPECT_EQ(message_for(bad),
              "cannot resume from '" + path + "': it is damaged or truncated (checksum)");
  }
  EXPECT_EQ(message_for(good.substr(0, good.size() - 100)),
            "cannot resume from '" + path + "': it is damaged or truncated (checksum)");
  EXPECT_EQ(message_for(good.substr(0, 12)), "cannot resume from '" + path + "': it is truncated");
  EXPECT_EQ(message_for("hello, world"),
            "cannot resume from '" + path + "': it is not a checkpoint of strata");
  write_bytes(path, good);
  EXPECT_EQ(train(run).steps, 30);
}

TEST_F(Training, AFullDiskDuringACheckpointLosesNothing) {
  TrainOptions straight = options("joint");
  straight.output = output("straight.strata");
  (void)train(straight);
  interrupt(options("joint"));
  const std::string path = output().string() + ".ckpt";
  const std::string kept = read_bytes(path);
  ASSERT_GT(kept.size(), 50'000U);

  const auto recipe = output("recipe.toml");
  write_bytes(recipe, testing::small_recipe(data(), "joint"));
  const auto errors = output("errors.txt");
  const pid_t child = testing::start_child({.recipe = recipe,
                                            .output = output(),
                                            .file_size = 50'000,
                                            .interrupt_rows = 5,
                                            .errors = errors});
  EXPECT_EQ(testing::wait_for_child(child), 1);
  const std::string message = read_bytes(errors);
  EXPECT_EQ(message.find("error: the checkpoint could not be written"), 0U) << message;
  EXPECT_NE(message.find(path), std::string::npos) << message;
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 1) << message;
  EXPECT_TRUE(read_bytes(path) == kept);

  TrainOptions again = options("joint");
  again.resume = true;
  (void)train(again);
  EXPECT_TRUE(read_bytes(output()) == read_bytes(straight.output));
}

TEST_F(Training, SaysWhatIsWrongWithARun) {
  EXPECT_NE(failure(options("joint", {"levels.weights=[0.02]"}))
                .find("level 0 of the recipe (levels.weights) cannot be met"),
            std::string::npos);
  EXPECT_NE(failure(options("joint", {"optimizer.lr=100", "optimizer.weight_decay=1"}))
                .find("is not finite"),
            std::string::npos);
  EXPECT_NE(failure(options("joint", {"model.classes=2"})).find("has 3 classes"),
            std::string::npos);
  EXPECT_NE(failure(options("joint", {"model.arch=resnet18", "model.stem_stride=2"}))
                .find("model.stem_stride"),
            std::string::npos);
  EXPECT_NE(failure(options("joint", {"data.dir=''"})).find("pass --data DIR"), std::string::npos);

  TrainOptions nowhere = options("joint");
  nowhere.output = "/nonexistent/model.strata";
  EXPECT_EQ(
      failure(nowhere),
      "cannot write '/nonexistent/model.strata': the directory '/nonexistent' does not exist");
  TrainOptions device = options("joint");
  device.device = "tpu";
  EXPECT_EQ(failure(device), "device 'tpu' is unknown; there are cpu and cuda");
}

}  // namespace
}  // namespace strata::train
