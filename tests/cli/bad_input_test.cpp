// Whatever is wrong with the input, the user gets one sentence and an exit code, and files that
// were there before stay as they were.
#include <algorithm>

#include "strata_process.h"

namespace strata::cli_test {
namespace {

class BadModel : public StrataTest {
 protected:
  void SetUp() override {
    make_model("m.strata");
    write_idx_data(folder() / "digits", 12, 3, 8);
  }

  /// Every verb that opens a model refuses this one, naming it.
  void expect_refused(const std::string& name, const std::vector<std::string>& words) const {
    std::vector<std::string> expected = {name};
    expected.insert(expected.end(), words.begin(), words.end());
    expect_error(strata({"inspect", name}), expected);
    expect_error(strata({"eval", name, "--data", "digits"}), expected);
    expect_error(strata({"bench", name, "--runs", "1"}), expected);
    expect_error(strata({"profile", name, "--runs", "1"}), expected);
    expect_error(strata({"export", name, "--level", "0", "-o", "x.onnx"}), expected);
    expect_error(strata({"report", name, "-o", "x.html"}), expected);
  }
};

TEST_F(BadModel, Missing) { expect_refused("nowhere.strata", {"does not exist"}); }

TEST_F(BadModel, AFolder) { expect_refused("digits", {}); }

TEST_F(BadModel, Empty) {
  write_text(folder() / "empty.strata", "");
  expect_refused("empty.strata", {});
}

TEST_F(BadModel, Foreign) {
  write_text(
      folder() / "f.strata",
      "PK\3\4 this is no model at all, but long enough for a header " + std::string(4096, 'x'));
  expect_refused("f.strata", {"not a .strata file"});
}

TEST_F(BadModel, Truncated) {
  const std::string whole = read("m.strata");
  for (const size_t size : {size_t{5}, size_t{70}, whole.size() / 2 + 1, whole.size() - 1}) {
    write_text(folder() / "t.strata", whole.substr(0, size));
    expect_error(strata({"inspect", "t.strata"}), {"t.strata"});
  }
  write_text(folder() / "t.strata", whole.substr(0, whole.size() - 1));
  expect_refused("t.strata", {});
}

TEST_F(BadModel, Hostile) {
  const std::string whole = read("m.strata");
  // Bits flipped all over the file: header, metadata, positions, values.
  for (size_t at = 0; at < whole.size(); at += whole.size() / 40 + 1) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    write_text(folder() / "h.strata", flipped);
    expect_error(strata({"inspect", "h.strata"}), {"h.strata"});
  }
  // Sizes that would fill the memory, right behind the magic number.
  std::string huge = whole;
  std::fill(huge.begin() + 16, huge.begin() + 64, '\xff');
  write_text(folder() / "h.strata", huge);
  expect_refused("h.strata", {});
}

TEST_F(BadModel, ALevelThatDoesNotExist) {
  expect_error(strata({"eval", "m.strata", "--data", "digits", "--level", "3"}),
               {"level 3 does not exist", "levels 0 to 2"});
  expect_error(strata({"bench", "m.strata", "--level", "7"}),
               {"level 7 does not exist", "levels 0 to 2"});
}

using BadData = BadModel;

TEST_F(BadData, MissingOrWithoutAnyClass) {
  expect_error(strata({"eval", "m.strata", "--data", "nowhere"}), {"nowhere"});
  std::filesystem::create_directory(folder() / "empty");
  expect_error(strata({"eval", "m.strata", "--data", "empty"}), {"empty"});
  std::filesystem::create_directories(folder() / "no-images" / "test" / "cat");
  expect_error(strata({"eval", "m.strata", "--data", "no-images"}), {"no-images"});
}

TEST_F(BadData, TrainingRefusesItToo) {
  if (!strata_json({"version"})["build"]["libtorch"].is_string()) GTEST_SKIP();
  write_text(folder() / "r.toml", "");
  const auto train = [this](const std::string& data) {
    return strata({"train", "r.toml", "--data", data, "-o", "t.strata"});
  };
  expect_error(train("nowhere"), {"nowhere", "does not exist"});
  std::filesystem::create_directory(folder() / "empty");
  expect_error(train("empty"), {"empty"});
  for (const std::string label : {"a", "b"}) {
    write_png(folder() / "photos" / "train" / label / "1.png", 1, 8);
    write_png(folder() / "photos" / "test" / label / "1.png", 1, 8);
  }
  write_png(folder() / "photos" / "train" / "b" / "2.png", 3, 8);
  expect_error(train("photos"), {"2.png"});
  write_png(folder() / "photos" / "train" / "b" / "2.png", 1, 9);
  expect_error(train("photos"), {"2.png"});
  write_text(folder() / "photos" / "train" / "b" / "2.png", "not a picture");
  expect_error(train("photos"), {"2.png"});
  EXPECT_FALSE(std::filesystem::exists(folder() / "t.strata"));
}

TEST_F(BadData, ImagesThatDoNotFit) {
  const auto with_image = [this](const std::string& name, int channels, int side) {
    for (const std::string label : {"a", "b", "c"}) {
      write_png(folder() / name / "test" / label / "1.png", 1, 8);
    }
    write_png(folder() / name / "test" / "b" / "2.png", channels, side);
    return strata({"eval", "m.strata", "--data", name});
  };
  EXPECT_EQ(with_image("good", 1, 8).exit_code, 0);
  expect_error(with_image("large", 1, 9), {"2.png", "1x9x9", "1x8x8"});
  expect_error(with_image("coloured", 3, 8), {"2.png", "3x8x8", "1x8x8"});
  EXPECT_EQ(strata({"eval", "m.strata", "--data", "large", "--convert", "-q"}).exit_code, 0);
  EXPECT_EQ(strata({"eval", "m.strata", "--data", "coloured", "--convert", "-q"}).exit_code, 0);
}

TEST_F(BadData, GreyImagesForAColourModel) {
  ASSERT_EQ(strata({"init", "resnet8", "--input", "1x3x8x8", "--width", "4", "--classes", "3",
                    "--level-weights", "20", "-q", "-o", "rgb.strata"})
                .exit_code,
            0);
  expect_error(strata({"eval", "rgb.strata", "--data", "digits"}), {"1x8x8", "3x8x8"});
}

TEST_F(BadData, BrokenImages) {
  for (const std::string label : {"a", "b", "c"}) {
    write_png(folder() / "photos" / "test" / label / "1.png", 1, 8);
  }
  const std::string whole = read("photos/test/b/1.png");
  write_text(folder() / "photos" / "test" / "b" / "2.png", whole.substr(0, whole.size() / 2));
  expect_error(strata({"eval", "m.strata", "--data", "photos"}), {"2.png"});
  write_text(folder() / "photos" / "test" / "b" / "2.png", "not a picture");
  expect_error(strata({"eval", "m.strata", "--data", "photos"}), {"2.png"});
}

TEST_F(BadData, AnotherNumberOfClasses) {
  write_idx_data(folder() / "many", 20, 5, 8);
  expect_error(strata({"eval", "m.strata", "--data", "many"}), {"many", "classes"});
}

using BadRecipe = BadModel;

TEST_F(BadRecipe, NamesFileKeyAndWhatWasExpected) {
  const auto train = [this](const std::string& recipe, const std::vector<std::string>& more = {}) {
    write_text(folder() / "r.toml", recipe);
    std::vector<std::string> words = {"train", "r.toml", "--data", "digits", "-o", "t.strata"};
    words.insert(words.end(), more.begin(), more.end());
    return strata(words);
  };
  expect_error(train("[optimizer]\nlr = \"fast\"\n"), {"r.toml", "lr"});
  expect_error(train("[optimizer]\nlearning = 1\n"), {"r.toml", "learning"});
  expect_error(train("[optimizer]\nmomentun = 0.9\n"), {"momentun", "momentum"});
  expect_error(train("[levels]\nweights = 5\n"), {"weights"});
  expect_error(train("[optimizer\n"), {"r.toml"});
  expect_error(train("", {"--set", "optimizer.lr=fast"}), {"optimizer.lr"});
  expect_error(train("", {"--set", "optimizer.lr"}), {"optimizer.lr"});
  expect_error(strata({"train", "none.toml", "-o", "t.strata"}), {"none.toml"});
  EXPECT_FALSE(std::filesystem::exists(folder() / "t.strata"));
}

using FullDisk = BadModel;

TEST_F(FullDisk, LeavesTheOldFileAndNothingElse) {
  RunOptions full;
  full.file_size_limit = 2048;
  const auto files = [this] {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder())) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  };
  ASSERT_EQ(strata({"export", "m.strata", "--level", "0", "-q", "-o", "x.onnx"}).exit_code, 0);
  ASSERT_EQ(strata({"report", "m.strata", "-q", "-o", "x.html"}).exit_code, 0);
  ASSERT_EQ(strata({"bench", "m.strata", "--runs", "1", "-q", "-o", "b.json"}).exit_code, 0);
  const std::string model = read("m.strata");
  const std::string onnx = read("x.onnx");
  const std::string page = read("x.html");
  const std::string bench = read("b.json");
  const size_t before = files();

  const auto init = {"init", "resnet8", "--level-weights", "50", "-q", "-o", "m.strata"};
  expect_error(strata({init.begin(), init.end()}, full), {"m.strata"});
  expect_error(strata({"export", "m.strata", "--level", "2", "-q", "-o", "x.onnx"}, full),
               {"x.onnx"});
  expect_error(strata({"report", "m.strata", "-q", "-o", "x.html"}, full), {"x.html"});
  expect_error(strata({"bench", "m.strata", "--runs", "1", "-q", "--steps", "-o", "b.json"}, full),
               {"b.json"});
  EXPECT_EQ(read("m.strata"), model);
  EXPECT_EQ(read("x.onnx"), onnx);
  EXPECT_EQ(read("x.html"), page);
  EXPECT_EQ(read("b.json"), bench);
  EXPECT_EQ(files(), before);
}

}  // namespace
}  // namespace strata::cli_test
