// Image folders: how they are found, divided and labelled, and what is refused.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_files.h"
#include "train/data/dataset.h"
#include "train/error.h"

namespace strata::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr ImageShape kColour = {3, 4, 5};

class LoadFolder : public testing::Test {
 protected:
  void add(const std::string& relative, int seed = 0, const ImageShape& shape = kColour) const {
    directory_.write(relative, encode_png(sample_image(shape, seed)));
  }
  [[nodiscard]] std::string load_error(Split split = Split::kTrain,
                                       const LoadOptions& options = {}) const {
    return error_of([&] { (void)load(directory_.path(), split, options); });
  }
  [[nodiscard]] std::string path(const std::string& relative) const {
    return "'" + (directory_.path() / relative).string() + "'";
  }

  DataDirectory directory_{"pets"};
};

TEST_F(LoadFolder, SortsClassesAndFilesAndTellsFormatsByContent) {
  add("train/dog/2.png", 3);
  add("train/dog/10.PNG", 2);
  add("train/cat/a.jpg", 1);  // a PNG all the same
  directory_.write("train/cat/notes.txt", {'x'});
  directory_.write("train/cat/.hidden.png", {'x'});
  directory_.write("train/.cache/x.png", {'x'});
  add("test/dog/1.png", 4);
  add("test/cat/1.png", 5);
  const Dataset dataset = load(directory_.path(), Split::kTrain);
  EXPECT_EQ(dataset.name, "pets");
  EXPECT_EQ(dataset.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(dataset.labels, (std::vector<int32_t>{0, 1, 1}));
  EXPECT_EQ(dataset.shape(), kColour);
  for (int i = 0; i < 3; ++i) {
    const Image image = sample_image(kColour, i + 1);
    EXPECT_TRUE(std::equal(image.pixels.begin(), image.pixels.end(), dataset.image(i))) << i;
  }
  EXPECT_EQ(load(directory_.path(), Split::kTest).count, 2);
}

TEST_F(LoadFolder, TestSplitMayBeCalledValAndLackAClass) {
  add("train/ant/1.png");
  add("train/bee/1.png");
  add("val/bee/1.png");
  const Dataset dataset = load(directory_.path(), Split::kTest);
  EXPECT_EQ(dataset.labels, (std::vector<int32_t>{1}));
  EXPECT_EQ(dataset.classes.size(), 2);
}

TEST_F(LoadFolder, UndividedDirectoryIsWholeOrHeldOut) {
  for (int i = 0; i < 20; ++i) add("a/" + std::to_string(100 + i) + ".png", i);
  for (int i = 0; i < 10; ++i) add("b/" + std::to_string(100 + i) + ".png", 20 + i);
  EXPECT_EQ(load(directory_.path(), Split::kTrain).count, 30);
  EXPECT_EQ(load(directory_.path(), Split::kTest).count, 30);
  LoadOptions options;
  options.holdout = 0.2;
  const Dataset train = load(directory_.path(), Split::kTrain, options);
  const Dataset test = load(directory_.path(), Split::kTest, options);
  EXPECT_EQ(train.count, 24);
  EXPECT_EQ(std::count(test.labels.begin(), test.labels.end(), 0), 4);
  EXPECT_EQ(std::count(test.labels.begin(), test.labels.end(), 1), 2);
  options.holdout = 0.01;
  EXPECT_THAT(load_error(Split::kTest, options), HasSubstr("too few images to hold some out"));
}

TEST_F(LoadFolder, ClassCalledTrainIsAClass) {
  add("train/1.png");
  add("tram/1.png");
  EXPECT_EQ(load(directory_.path(), Split::kTrain).classes,
            (std::vector<std::string>{"train", "tram"}));
}

TEST_F(LoadFolder, EveryThreadCountGivesTheSameData) {
  for (int i = 0; i < 40; ++i)
    add((i % 2 == 0 ? "a/" : "b/") + std::to_string(100 + i) + ".png", i);
  const Dataset alone = load(directory_.path(), Split::kTrain);
  LoadOptions options;
  options.threads = 4;
  int64_t last = 0;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 40);
    last = done;
  };
  const Dataset together = load(directory_.path(), Split::kTrain, options);
  EXPECT_EQ(together.pixels, alone.pixels);
  EXPECT_EQ(together.labels, alone.labels);
  EXPECT_EQ(last, 40);
}

TEST_F(LoadFolder, LimitDecodesOnlyWhatItTakes) {
  add("a/1.png", 1);
  add("b/1.png", 2);
  directory_.write("a/2.png", {'x'});  // broken, but not wanted
  LoadOptions options;
  options.limit = 2;
  EXPECT_EQ(load(directory_.path(), Split::kTrain, options).labels, (std::vector<int32_t>{0, 1}));
}

TEST_F(LoadFolder, MissingDirectoryAndPlainFile) {
  EXPECT_EQ(error_of([] { (void)load("no/such/place", Split::kTrain); }),
            "the data directory 'no/such/place' does not exist");
  const auto file = directory_.write("file", {'x'});
  EXPECT_THAT(error_of([&] { (void)load(file, Split::kTrain); }), HasSubstr("is not a directory"));
}

TEST_F(LoadFolder, DirectoryWithoutAClass) {
  EXPECT_THAT(load_error(), AllOf(HasSubstr("holds no class"), HasSubstr("train/CLASS/*.jpg")));
  add("1.png");
  EXPECT_THAT(load_error(), HasSubstr("holds no class"));
  std::filesystem::create_directories(directory_.path() / ".git");
  EXPECT_THAT(load_error(), HasSubstr("has no class: expected one folder of images per class"));
}

TEST_F(LoadFolder, ClassWithoutImages) {
  add("train/cat/1.png");
  directory_.write("train/dog/1.gif", {'x'});
  EXPECT_EQ(load_error(),
            "the class " + path("train/dog") + " has no image: expected .jpg, .jpeg or .png files");
}

TEST_F(LoadFolder, MissingSplitSaysWhatToAdd) {
  add("train/cat/1.png");
  EXPECT_THAT(load_error(Split::kTest), HasSubstr("has train/ but neither test/ nor val/"));
  std::filesystem::rename(directory_.path() / "train", directory_.path() / "test");
  EXPECT_THAT(load_error(Split::kTrain), HasSubstr("train/ is missing"));
  EXPECT_EQ(load(directory_.path(), Split::kTest).count, 1);
}

TEST_F(LoadFolder, UnknownClassIsNamed) {
  add("train/cat/1.png");
  add("train/dog/1.png");
  add("test/fox/1.png");
  EXPECT_EQ(load_error(Split::kTest),
            path("test/fox") + " is not one of the 2 known classes ('cat' to 'dog')");
  LoadOptions options;
  options.classes = {"dog", "cat", "fox"};
  const Dataset dataset = load(directory_.path(), Split::kTest, options);
  EXPECT_EQ(dataset.labels, (std::vector<int32_t>{2}));
}

TEST_F(LoadFolder, BrokenImagesAreNamedWithTheCause) {
  add("a/1.png");
  Bytes png = encode_png(sample_image(kColour));
  png.resize(png.size() / 2);
  directory_.write("a/2.png", png);
  EXPECT_THAT(load_error(), HasSubstr(path("a/2.png") + " is a damaged PNG: "));
  Bytes jpeg = encode_jpeg(sample_image(kColour));
  jpeg.resize(jpeg.size() - 10);
  std::filesystem::remove(directory_.path() / "a/2.png");
  directory_.write("a/3.jpg", jpeg);
  EXPECT_THAT(load_error(), HasSubstr(path("a/3.jpg") + " is a damaged JPEG: "));
}

TEST_F(LoadFolder, FirstOfSeveralErrorsWinsWhateverTheThreads) {
  for (int i = 0; i < 30; ++i) add("a/" + std::to_string(100 + i) + ".png", i);
  directory_.write("a/105.png", {'x'});
  directory_.write("a/106.png", {'x'});
  LoadOptions options;
  options.threads = 4;
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(load_error(Split::kTrain, options), HasSubstr("105.png"));
  }
}

TEST_F(LoadFolder, GreyAmongColourIsRefusedOrConverted) {
  add("a/1.png");
  add("a/2.png", 1, {1, 4, 5});
  EXPECT_EQ(load_error(), path("a/2.png") + " is 1x4x5 (grey), but the first image " +
                              path("a/1.png") +
                              " is 3x4x5; pass --convert (recipe: convert = true) to convert and "
                              "resize such images");
  LoadOptions options;
  options.convert = true;
  const Dataset dataset = load(directory_.path(), Split::kTrain, options);
  EXPECT_EQ(dataset.image(1)[0], dataset.image(1)[20]);
}

TEST_F(LoadFolder, WrongSizeIsRefusedOrConverted) {
  add("a/1.png");
  add("a/2.png", 1, {3, 8, 8});
  LoadOptions options;
  options.shape = kColour;
  EXPECT_THAT(load_error(Split::kTrain, options),
              AllOf(HasSubstr("is 3x8x8, but the model expects 3x4x5"), HasSubstr("--convert")));
  options.convert = true;
  EXPECT_EQ(load(directory_.path(), Split::kTrain, options).shape(), kColour);
}

TEST_F(LoadFolder, MoreThanTheMemoryIsRefusedBeforeItIsTaken) {
  for (int i = 0; i < 8; ++i) add("a/" + std::to_string(i) + ".png");
  for (int i = 8; i < 5000; ++i) {
    std::filesystem::create_hard_link(directory_.path() / "a/0.png",
                                      directory_.path() / ("a/" + std::to_string(i) + ".png"));
  }
  LoadOptions options;
  options.shape = ImageShape{3, 30'000, 30'000};  // 13 TB in all
  options.convert = true;
  EXPECT_THAT(load_error(Split::kTrain, options),
              AllOf(HasSubstr("GiB of memory"), HasSubstr("limit")));
}

TEST_F(LoadFolder, DirectoryInAnImagesPlaceIsRefused) {
  add("a/1.png");
  std::filesystem::create_directories(directory_.path() / "a/2.png");
  EXPECT_EQ(load_error(), path("a/2.png") + " is not a regular file");
}

}  // namespace
}  // namespace strata::data
