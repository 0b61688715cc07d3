// Point clouds: both of ModelNet40's layouts, and what is said of bad files.
#include "train/data/point_cloud.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "data_sets.h"
#include "hdf5_file.h"
#include "sample_files.h"

namespace strata::data {
namespace {

using testing::Hdf5File;
using testing::Storage;

Bytes bytes(const std::string& text) { return {text.begin(), text.end()}; }

class PointCloudFiles : public ::testing::Test {
 protected:
  [[nodiscard]] const std::filesystem::path& path() const { return directory_.path(); }
  void write(const std::string& name, const std::string& text) const {
    directory_.write(name, bytes(text));
  }
  [[nodiscard]] PointClouds load(Split split = Split::kTrain,
                                 const PointCloudOptions& options = {.points = 2}) const {
    return load_point_clouds(path(), split, options);
  }
  /// What is said, without the directory.
  [[nodiscard]] std::string error(const PointCloudOptions& options = {.points = 2}) const {
    return failure_of([&] { (void)load(Split::kTrain, options); });
  }
  [[nodiscard]] std::string failure_of(const std::function<void()>& action) const {
    std::string message = error_of(action);
    const std::string prefix = path().string() + "/";
    for (size_t at = message.find(prefix); at != std::string::npos; at = message.find(prefix)) {
      message.erase(at, prefix.size());
    }
    return message;
  }
  /// The same for one train.h5 that `fill` writes.
  template <typename Fill>
  [[nodiscard]] std::string error_of_file(const Fill& fill,
                                          const PointCloudOptions& options = {.points = 2}) const {
    {
      Hdf5File file(path() / "train.h5");
      fill(file);
    }
    return error(options);
  }

 private:
  DataDirectory directory_;
};

/// Two clouds of three points.
const std::vector<float> sample_data = {0,  1,  2,  3,  4,  5,  6,  7,  8,
                                        10, 11, 12, 13, 14, 15, 16, 17, 18};
const std::vector<uint64_t> sample_shape = {2, 3, 3};

TEST_F(PointCloudFiles, Hdf5GivesTheFirstPointsOfEveryCloud) {
  {
    Hdf5File file(path() / "train.h5");
    file.floats("data", sample_shape, sample_data, Storage::kDeflate);
    file.floats("normal", sample_shape, std::vector<float>(18, 0.5F));
    file.labels("label", {2, 1}, {1, 0});
  }
  write("shape_names.txt", "chair\r\n\n  night stand \n");
  const PointClouds clouds = load();
  EXPECT_EQ(clouds.count, 2);
  EXPECT_EQ(clouds.values, (std::vector<float>{0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(clouds.labels, (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(clouds.classes, (std::vector<std::string>{"chair", "night stand"}));
  const PointClouds with_normals = load(Split::kTrain, {.points = 1, .normals = true});
  EXPECT_EQ(with_normals.values,
            (std::vector<float>{0, 1, 2, 0.5F, 0.5F, 0.5F, 10, 11, 12, 0.5F, 0.5F, 0.5F}));
  const PointClouds one = load(Split::kTrain, {.points = 1, .limit = 1});
  EXPECT_EQ(one.labels, (std::vector<int32_t>{0}));
  EXPECT_EQ(one.values, (std::vector<float>{10, 11, 12}));
}

TEST_F(PointCloudFiles, ListsNameTheFilesAndNumbersStandForMissingNames) {
  for (const int i : {0, 1}) {
    Hdf5File file(path() / ("ply_data_" + std::to_string(i) + ".h5"));
    file.floats("data", sample_shape, sample_data);
    file.labels("label", {2}, {static_cast<uint8_t>(i), 2});
  }
  write("train_files.txt",
        "data/modelnet40_ply_hdf5_2048/ply_data_1.h5\n/elsewhere/ply_data_0.h5\n");
  const PointClouds clouds = load();
  EXPECT_EQ(clouds.count, 4);
  EXPECT_EQ(clouds.labels, (std::vector<int32_t>{1, 2, 0, 2}));
  EXPECT_EQ(clouds.classes, (std::vector<std::string>{"0", "1", "2"}));
  write("train_files.txt", "ply_data_7.h5\n");
  EXPECT_EQ(error(), "there is no file 'ply_data_7.h5'");
}

TEST_F(PointCloudFiles, TextCloudsAreCentredAndScaled) {
  write("modelnet40_shape_names.txt", "chair\nnight_stand\n");
  write("modelnet40_train.txt", "night_stand_0001\nchair_0001\n");
  write("night_stand/night_stand_0001.txt", "0,0,0,1,0,0\n4,0,0,1,0,0\n9,9,9,1,0,0\n");
  write("chair/chair_0001.txt", "1,1,1,0,1,0\n1,1,1,0,1,0\n");
  const PointClouds clouds = load(Split::kTrain, {.points = 2, .normals = true, .threads = 2});
  EXPECT_EQ(clouds.labels, (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(clouds.values, (std::vector<float>{-1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0,  //
                                               0,  0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(load().values, (std::vector<float>{-1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(error({.points = 3}),
            "'chair/chair_0001.txt' has 2 points, but 3 are wanted (data.points)");
  write("chair/chair_0001.txt", "1,1,1\n1,nan,1\n");
  EXPECT_EQ(error(),
            "'chair/chair_0001.txt', line 2: number 2 of 3 is missing or not finite; a "
            "line is x,y,z");
  write("chair/chair_0001.txt", "1,1,1,0,1\n");
  EXPECT_EQ(error({.points = 1, .normals = true}),
            "'chair/chair_0001.txt', line 1: number 6 of 6 is missing or not finite; a line is "
            "x,y,z,nx,ny,nz");
  write("modelnet40_train.txt", "sofa_0001\n");
  EXPECT_EQ(error(),
            "'modelnet40_train.txt': 'sofa_0001' is no shape name and number such as chair_0001");
}

TEST_F(PointCloudFiles, BadHdf5FilesAreRefused) {
  EXPECT_NE(error().find("holds no point clouds: expected *train*.h5"), std::string::npos);
  write("train.h5", "no such file");
  EXPECT_EQ(error(), "'train.h5' is no readable HDF5 file");
  EXPECT_EQ(error_of_file([](Hdf5File& /*file*/) {}),
            "'train.h5' has no data set 'data'; ModelNet40's layout has data, normal and label");
  EXPECT_EQ(error_of_file([](Hdf5File& file) { file.floats("data", {18}, sample_data); }),
            "'train.h5', data set 'data': its shape is not [clouds, points, 3]");
  EXPECT_EQ(error_of_file([](Hdf5File& file) { file.text("data"); }),
            "'train.h5', data set 'data': its values are no floats");
  EXPECT_EQ(error_of_file([](Hdf5File& file) { file.floats("data", sample_shape, sample_data); },
                          {.points = 4}),
            "'train.h5', data set 'data': a cloud has 3 points, but 4 are wanted (data.points)");
  EXPECT_EQ(error_of_file([](Hdf5File& file) {
              file.floats("data", sample_shape, sample_data);
              file.labels("label", {3}, {0, 1, 2});
            }),
            "'train.h5', data set 'label': its shape is not [2, 1]");
  const auto labelled = [](Hdf5File& file) {
    file.floats("data", sample_shape, sample_data);
    file.labels("label", {2}, {0, 1});
  };
  EXPECT_EQ(error_of_file(labelled, {.points = 2, .normals = true}),
            "'train.h5' has no data set 'normal'; ModelNet40's layout has data, normal and label");
  write("shape_names.txt", "chair\n");
  EXPECT_EQ(error_of_file(labelled),
            "'train.h5', data set 'label': cloud 1 has label 1, there are classes 0 to 0");
  write("shape_names.txt", "chair\nlamp\n");
  EXPECT_NE(error_of_file(labelled, {.points = 2, .classes = {"chair", "sofa"}})
                .find("are not those that the model was trained with"),
            std::string::npos);
  EXPECT_EQ(error_of_file([](Hdf5File& file) {
              std::vector<float> values = sample_data;
              values[12] = std::numeric_limits<float>::infinity();
              file.floats("data", sample_shape, values);
              file.labels("label", {2}, {0, 1});
            }),
            "'train.h5', data set 'data': point 1 of cloud 1 is not finite");
}

TEST_F(PointCloudFiles, Hdf5FilesMayNotReachBeyondThemselves) {
  EXPECT_EQ(error_of_file([](Hdf5File& file) { file.link("data", "/etc/passwd"); }),
            "'train.h5': 'data' is a link to somewhere else, not a data set");
  EXPECT_EQ(error_of_file([](Hdf5File& file) {
              file.floats("data", sample_shape, sample_data, Storage::kOtherFile);
            }),
            "'train.h5', data set 'data': its values lie in other files");
  EXPECT_EQ(error_of_file([](Hdf5File& file) {
              file.floats("data", sample_shape, sample_data, Storage::kOtherFilter);
            }),
            "'train.h5', data set 'data': its values are compressed by HDF5's filter 6, strata "
            "reads gzip only");
  EXPECT_EQ(error_of_file([](Hdf5File& file) {
              file.floats("data", {1'000'000, 1'000'000, 3}, {}, Storage::kUnwritten);
            }),
            "'train.h5', data set 'data': it claims 12000000000000 bytes, but only 0 are stored");
}

TEST_F(PointCloudFiles, ClassifiedFilesNeedNoLabels) {
  write("cloud.xyz", "0,0,0\n4,0,0\n");
  const PointClouds text = load_cloud_file(path() / "cloud.xyz", 2, false);
  EXPECT_EQ(text.count, 1);
  EXPECT_EQ(text.values, (std::vector<float>{-1, 0, 0, 1, 0, 0}));
  {
    Hdf5File file(path() / "clouds.h5");
    file.floats("data", sample_shape, sample_data);
  }
  const PointClouds stored = load_cloud_file(path() / "clouds.h5", 1, false);
  EXPECT_EQ(stored.count, 2);
  EXPECT_EQ(stored.values, (std::vector<float>{0, 1, 2, 10, 11, 12}));
  const auto failure = [this](const char* name, int64_t points) {
    return failure_of([&] { (void)load_cloud_file(path() / name, points, false); });
  };
  EXPECT_EQ(failure("cloud.xyz", 3), "'cloud.xyz' has 2 points, but 3 are wanted (data.points)");
  write("empty.xyz", "");
  EXPECT_EQ(failure("empty.xyz", 3), "'empty.xyz' has 0 points, but 3 are wanted (data.points)");
  EXPECT_NE(failure("nowhere.xyz", 3).find("nowhere.xyz"), std::string::npos);
}

TEST_F(PointCloudFiles, DamagedHdf5FilesAreRefusedOrRead) {
  testing::write_small_clouds(path() / "train.h5", 6, 16, 1);
  std::ifstream in(path() / "train.h5", std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  for (size_t size = 0; size < good.size(); size += good.size() / 23) {
    write("train.h5", good.substr(0, size));
    EXPECT_NE(error({.points = 16}), "no error") << "cut at " << size;
  }
}

TEST(PointClouds, NormalisingMovesToTheUnitBall) {
  std::vector<float> cloud = {1, 0, 0, 3, 0, 0};
  normalise_cloud(cloud.data(), 2, 3);
  EXPECT_EQ(cloud, (std::vector<float>{-1, 0, 0, 1, 0, 0}));
  cloud = {7, 7, 7, 7, 7, 7};
  normalise_cloud(cloud.data(), 2, 3);
  EXPECT_EQ(cloud, std::vector<float>(6, 0));
}

TEST(PointClouds, Shapes69IsReadAsItIs) {
  const auto directory =
      strata::testing::find_data_set("shapes69", STRATA_SOURCE_DIR, STRATA_BINARY_DIR);
  if (directory.empty()) GTEST_SKIP() << "shapes69 is not there";
  const PointClouds test = load_point_clouds(directory, Split::kTest, {.normals = true});
  EXPECT_EQ(test.count, 493);
  EXPECT_EQ(test.classes.size(), 69U);
  for (int64_t i = 0; i < test.count * test.points; ++i) {
    const float* const point = test.values.data() + i * 6;
    ASSERT_LE(std::hypot(point[0], point[1], point[2]), 1.001F);
    const float length = std::hypot(point[3], point[4], point[5]);
    ASSERT_TRUE(length < 1.01F) << length;
  }
}

}  // namespace
}  // namespace strata::data
