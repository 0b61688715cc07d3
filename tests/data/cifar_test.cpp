// CIFAR-10 in its binary version.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sample_files.h"
#include "train/data/dataset.h"
#include "train/error.h"

namespace strata::data {
namespace {

using testing::HasSubstr;

Bytes records(const std::vector<uint8_t>& labels) {
  Bytes bytes;
  for (const uint8_t label : labels) {
    const Image image = sample_image({3, 32, 32}, label);
    bytes.push_back(label);
    bytes.insert(bytes.end(), image.pixels.begin(), image.pixels.end());
  }
  return bytes;
}

class LoadCifar : public testing::Test {
 protected:
  LoadCifar() {
    std::string names;
    for (const char* name : {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog",
                             "horse", "ship", "truck"}) {
      names += name + std::string("\n");
    }
    names += "\n";  // the distributed file ends with an empty line
    directory_.write("batches.meta.txt", Bytes(names.begin(), names.end()));
    for (uint8_t i = 1; i <= 5; ++i) {
      directory_.write("data_batch_" + std::to_string(i) + ".bin", records({i, 0}));
    }
    directory_.write("test_batch.bin", records({9, 8, 7}));
  }
  [[nodiscard]] std::string load_error(Split split) const {
    return error_of([&] { (void)load(directory_.path(), split); });
  }

  DataDirectory directory_{"cifar-10-batches-bin"};
};

TEST_F(LoadCifar, ReadsAllTrainingFilesInOrder) {
  const Dataset dataset = load(directory_.path(), Split::kTrain);
  EXPECT_EQ(dataset.count, 10);
  EXPECT_EQ(dataset.shape(), (ImageShape{3, 32, 32}));
  EXPECT_EQ(dataset.labels, (std::vector<int32_t>{1, 0, 2, 0, 3, 0, 4, 0, 5, 0}));
  EXPECT_EQ(dataset.classes[1], "automobile");
  const Image third = sample_image({3, 32, 32}, 2);
  EXPECT_TRUE(std::equal(third.pixels.begin(), third.pixels.end(), dataset.image(2)));
}

TEST_F(LoadCifar, ReadsTheTestFile) {
  EXPECT_EQ(load(directory_.path(), Split::kTest).labels, (std::vector<int32_t>{9, 8, 7}));
}

TEST_F(LoadCifar, OddLengthIsRefused) {
  Bytes bytes = records({1, 2});
  bytes.pop_back();
  const auto path = directory_.write("data_batch_3.bin", bytes);
  EXPECT_EQ(load_error(Split::kTrain),
            "'" + path.string() +
                "' is truncated or damaged: its 6145 bytes are not a whole number of CIFAR-10 "
                "records of 3073 bytes");
  directory_.write("test_batch.bin", {});
  EXPECT_THAT(load_error(Split::kTest), HasSubstr("its 0 bytes"));
}

TEST_F(LoadCifar, LabelOutOfRangeNamesTheRecord) {
  directory_.write("test_batch.bin", records({1, 10}));
  EXPECT_THAT(load_error(Split::kTest),
              HasSubstr("record 1 has label 10, but there are 10 classes"));
}

TEST_F(LoadCifar, MissingFileIsNamed) {
  std::filesystem::remove(directory_.path() / "data_batch_4.bin");
  EXPECT_THAT(load_error(Split::kTrain), HasSubstr("data_batch_4.bin' does not exist"));
}

TEST_F(LoadCifar, WrongCountOfNamesIsRefused) {
  directory_.write("batches.meta.txt", {'a', '\n', 'b', '\n'});
  EXPECT_THAT(load_error(Split::kTest), HasSubstr("lists 2 classes; CIFAR-10 has 10"));
}

}  // namespace
}  // namespace strata::data
