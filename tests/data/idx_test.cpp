// IDX and gzip in memory, and the data sets made of them.
#include "train/data/idx.h"

#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_files.h"
#include "train/data/dataset.h"
#include "train/error.h"

namespace strata::data {
namespace {

using testing::HasSubstr;

TEST(ParseIdx, ReadsDimensionsAndValues) {
  const IdxArray array = parse_idx(idx_file({2, 1, 3}, {1, 2, 3, 4, 5, 6}), 3, "f");
  EXPECT_EQ(array.dims, (std::vector<int64_t>{2, 1, 3}));
  EXPECT_EQ(array.values, (Bytes{1, 2, 3, 4, 5, 6}));
}

TEST(ParseIdx, WrongMagicShowsBothNumbers) {
  EXPECT_EQ(error_of([] { (void)parse_idx(idx_file({4}, Bytes(12)), 3, "f"); }),
            "'f' has the magic number 0x00000801; an IDX file of unsigned bytes in 3 dimensions "
            "begins with 0x00000803");
  Bytes floats = idx_file({4}, Bytes(4));
  floats[2] = 0x0d;
  EXPECT_THAT(error_of([&] { (void)parse_idx(floats, 1, "f"); }), HasSubstr("0x00000d01"));
}

TEST(ParseIdx, WrongLengthSaysWhichWay) {
  EXPECT_EQ(error_of([] {
              (void)parse_idx(idx_file({2, 2, 2}, Bytes(7)), 3, "f");
            }),
            "'f' declares 2x2x2 elements but holds 7 bytes of data: it is truncated or damaged");
  EXPECT_THAT(error_of([] {
                (void)parse_idx(idx_file({2, 2, 2}, Bytes(9)), 3, "f");
              }),
              HasSubstr("too long or damaged"));
  EXPECT_THAT(error_of([] {
                (void)parse_idx(Bytes{0, 0, 8}, 3, "f");
              }),
              HasSubstr("'f' is truncated: 3 bytes"));
}

TEST(ParseIdx, DimensionsThatOverflowAreRefused) {
  const uint32_t huge = 0xffffffff;
  EXPECT_THAT(error_of([&] {
                (void)parse_idx(idx_file({huge, huge, huge}, Bytes(1)), 3, "f");
              }),
              HasSubstr("truncated or damaged"));
  // 2^32 * 2^32 would be 0 in 64 bits, as would the data here.
  const uint32_t half = 0x80000000;
  EXPECT_THAT(error_of([&] {
                (void)parse_idx(idx_file({half, half, 4}, {}), 3, "f");
              }),
              HasSubstr("truncated or damaged"));
}

TEST(Gunzip, GivesBackWhatWasCompressed) {
  Bytes bytes(300'000);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  EXPECT_TRUE(is_gzip(gzip(bytes)));
  EXPECT_EQ(gunzip(gzip(bytes), 300'000, "f"), bytes);
  EXPECT_EQ(gunzip(gzip({}), 300'000, "f"), Bytes());
}

TEST(Gunzip, ReadsSeveralMembersAsOne) {
  Bytes two = gzip({1, 2});
  const Bytes second = gzip({3});
  two.insert(two.end(), second.begin(), second.end());
  EXPECT_EQ(gunzip(two, 100, "f"), (Bytes{1, 2, 3}));
}

TEST(Gunzip, EveryTruncationIsFoundAndNoFlippedBitChangesTheBytes) {
  const Bytes bytes = sample_image({1, 10, 10}).pixels;
  const Bytes packed = gzip(bytes);
  for (size_t size = 0; size < packed.size(); ++size) {
    const Bytes cut(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_THAT(error_of([&] { (void)gunzip(cut, 1000, "f"); }), HasSubstr("'f' is truncated"));
  }
  // A bit that means nothing (a time stamp, padding) may change; the bytes may not.
  for (size_t bit = 0; bit < packed.size() * 8; ++bit) {
    Bytes damaged = packed;
    damaged[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    try {
      ASSERT_EQ(gunzip(damaged, 1000, "f"), bytes) << bit;
    } catch (const Error& error) {
      ASSERT_THAT(error.what(), HasSubstr("'f' ")) << bit;
    }
  }
}

TEST(Gunzip, RefusesBombsAndTails) {
  EXPECT_THAT(error_of([] { (void)gunzip(gzip(Bytes(1'000'000)), 999'999, "f"); }),
              HasSubstr("'f' holds more than 999999 bytes once decompressed"));
  Bytes tail = gzip({1});
  tail.push_back(7);
  EXPECT_THAT(error_of([&] { (void)gunzip(tail, 100, "f"); }),
              HasSubstr("1 bytes follow the end of its gzip data"));
}

// Twelve images of 2x3 and a label that is the image's number modulo `classes`.
void write_split(const DataDirectory& directory, const std::string& prefix, uint8_t classes) {
  const Image pixels = sample_image({1, 12, 6});
  Bytes labels;
  for (uint8_t i = 0; i < 12; ++i) labels.push_back(i % classes);
  directory.write(prefix + "-images-idx3-ubyte.gz", gzip(idx_file({12, 2, 3}, pixels.pixels)));
  directory.write(prefix + "-labels-idx1-ubyte", idx_file({12}, labels));
}

TEST(LoadIdx, ReadsPlainAndGzippedFiles) {
  const DataDirectory directory("digits");
  write_split(directory, "train", 4);
  const Dataset dataset = load(directory.path(), Split::kTrain);
  EXPECT_EQ(dataset.name, "digits");
  EXPECT_EQ(dataset.count, 12);
  EXPECT_EQ(dataset.shape(), (ImageShape{1, 2, 3}));
  EXPECT_EQ(dataset.pixels, sample_image({1, 12, 6}).pixels);
  EXPECT_EQ(dataset.labels, (std::vector<int32_t>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}));
  EXPECT_EQ(dataset.classes, (std::vector<std::string>{"0", "1", "2", "3"}));
}

TEST(LoadIdx, FashionDirectoryHasNamesAndTenClasses) {
  const DataDirectory directory("Fashion-MNIST");
  write_split(directory, "t10k", 10);
  const Dataset dataset = load(directory.path() / "", Split::kTest);
  EXPECT_EQ(dataset.classes.size(), 10);
  EXPECT_EQ(dataset.classes[9], "Ankle boot");
  write_split(directory, "train", 11);
  EXPECT_EQ(error_of([&] { (void)load(directory.path(), Split::kTrain); }),
            "image 10 of the data set 'Fashion-MNIST' has label 10, but there are only 10 classes");
}

TEST(LoadIdx, ModelClassesAreCheckedAndNameTheNumbers) {
  const DataDirectory digits("digits");
  write_split(digits, "t10k", 3);
  LoadOptions options;
  options.classes = {"zero", "one", "two", "three"};
  EXPECT_EQ(load(digits.path(), Split::kTest, options).classes, options.classes);
  options.classes = {"zero", "one"};
  EXPECT_EQ(error_of([&] { (void)load(digits.path(), Split::kTest, options); }),
            "the data set 'digits' has 3 classes, the model 2");

  const DataDirectory fashion("fashion");
  write_split(fashion, "t10k", 3);
  options.classes = load(fashion.path(), Split::kTest).classes;
  options.classes[1] = "Trousers";
  EXPECT_EQ(error_of([&] { (void)load(fashion.path(), Split::kTest, options); }),
            "class 1 of the data set 'fashion' is 'Trouser', but the model calls it 'Trousers'");
}

TEST(LoadIdx, MismatchOfImagesAndLabelsGivesBothCounts) {
  const DataDirectory directory("digits");
  write_split(directory, "train", 4);
  directory.write("train-labels-idx1-ubyte", idx_file({11}, Bytes(11)));
  EXPECT_THAT(error_of([&] { (void)load(directory.path(), Split::kTrain); }),
              HasSubstr("has 12 images but 11 labels"));
}

TEST(LoadIdx, MissingAndDamagedFilesAreNamed) {
  const DataDirectory directory("digits");
  write_split(directory, "train", 4);
  EXPECT_THAT(error_of([&] { (void)load(directory.path(), Split::kTest); }),
              HasSubstr("has no t10k-images-idx3-ubyte[.gz], the images of the test split"));
  Bytes broken = gzip(idx_file({12, 2, 3}, Bytes(72)));
  broken.erase(broken.end() - 4, broken.end());
  const auto path = directory.write("train-images-idx3-ubyte.gz", broken);
  EXPECT_EQ(error_of([&] { (void)load(directory.path(), Split::kTrain); }),
            "'" + path.string() + "' is truncated: its gzip data ends early");
}

TEST(LoadIdx, NoImagesIsAnError) {
  const DataDirectory directory("digits");
  directory.write("train-images-idx3-ubyte", idx_file({0, 28, 28}, {}));
  directory.write("train-labels-idx1-ubyte", idx_file({0}, {}));
  EXPECT_THAT(error_of([&] { (void)load(directory.path(), Split::kTrain); }),
              HasSubstr("has no images"));
}

TEST(LoadIdx, LimitTakesEvenlyFromAllClasses) {
  const DataDirectory directory("digits");
  write_split(directory, "train", 4);
  LoadOptions options;
  options.limit = 6;
  const Dataset dataset = load(directory.path(), Split::kTrain, options);
  EXPECT_EQ(dataset.count, 6);
  EXPECT_EQ(dataset.labels, (std::vector<int32_t>{0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(dataset.pixels.size(), 36);
}

TEST(LoadIdx, OtherShapesNeedConversion) {
  const DataDirectory directory("digits");
  write_split(directory, "train", 4);
  LoadOptions options;
  options.shape = ImageShape{3, 2, 3};
  EXPECT_EQ(error_of([&] { (void)load(directory.path(), Split::kTrain, options); }),
            "the images of the data set 'digits' are 1x2x3, but the model expects 3x2x3; pass "
            "--convert (recipe: convert = true) to convert and resize them");
  options.convert = true;
  const Dataset dataset = load(directory.path(), Split::kTrain, options);
  EXPECT_EQ(dataset.shape(), (ImageShape{3, 2, 3}));
  EXPECT_EQ(dataset.image(1)[0], sample_image({1, 12, 6}).pixels[6]);
}

TEST(SpreadOverClasses, TakesTheFirstOfEachThenTheSecond) {
  const std::vector<int32_t> labels = {5, 5, 5, 2, 2, 9};
  EXPECT_EQ(spread_over_classes(labels, 0), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(spread_over_classes(labels, 99), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(spread_over_classes(labels, 3), (std::vector<int64_t>{0, 3, 5}));
  EXPECT_EQ(spread_over_classes(labels, 5), (std::vector<int64_t>{0, 1, 3, 4, 5}));
}

}  // namespace
}  // namespace strata::data
